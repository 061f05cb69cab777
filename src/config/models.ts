/** `models`: every one routed and priced, or refused; what has no price is never free. */
import type { MediaModel, ModelConfig, RouteConfig, TokenModel } from './config.ts';
import type { Faults, Path } from './fault.ts';
import { nearest } from './fault.ts';
import { readParams } from './params.ts';
import { readCost, readPrice } from './prices.ts';
import type { RawModel } from './raw.ts';
import { checkTokenPrice, readBounds } from './token-model.ts';
import { walkMedia } from './walk.ts';

/** What models may name. */
export interface Known {
  /** Null when the channels are faulty themselves, so that routes cannot be checked. */
  channelIds: ReadonlySet<string> | null;
  /** Of limits.rates. */
  tiers: ReadonlySet<string>;
}

export function readModels(
  raw: readonly (RawModel | undefined)[],
  { channelIds, tiers }: Known,
  faults: Faults,
): ModelConfig[] {
  checkNames(raw, faults);
  return raw.flatMap((model, n) => {
    if (model === undefined) return [];
    const path = ['models', n];
    checkTier(model.tier, [...path, 'tier'], tiers, faults);
    return [readModel(model, path, channelIds, faults)];
  });
}

/** A name stands for one model, or a caller would get another one at another price than they think. */
function checkNames(raw: readonly (RawModel | undefined)[], faults: Faults): void {
  const ids = new Set<string>();
  for (const [n, model] of raw.entries()) {
    if (model?.id === undefined) continue;
    if (ids.has(model.id)) faults.add(['models', n, 'id'], 'must be the only model of this id');
    ids.add(model.id);
  }
  const aliases = new Set<string>();
  for (const [n, model] of raw.entries()) {
    for (const [at, alias] of (model?.aliases ?? []).entries()) {
      if (alias === undefined) continue;
      if (ids.has(alias) || aliases.has(alias))
        faults.add(['models', n, 'aliases', at], 'must not be the id or an alias of another model');
      aliases.add(alias);
    }
  }
}

function readModel(
  raw: RawModel,
  path: Path,
  channelIds: ReadonlySet<string> | null,
  faults: Faults,
): ModelConfig {
  const routes = readRoutes(raw, path, channelIds, faults);
  const base = {
    id: raw.id ?? '',
    name: raw.name ?? null,
    description: raw.description ?? null,
    aliases: present(raw.aliases),
    capabilities: present(raw.capabilities),
    traits: present(raw.traits),
    ...(raw.tier !== undefined && { tier: raw.tier }),
    routes,
    ...(raw.source !== undefined && { source: raw.source }),
    ...(raw.as_of !== undefined && { asOf: raw.as_of }),
  };
  const { type } = raw;
  const at = [...path, 'price'];
  const price = readPrice(raw.price, { type, routes }, at, faults);
  // Of half a list nothing can be said.
  const isWhole = raw.price?.rules === undefined || raw.price.rules.length === price.rules.length;
  const rulesAt = raw.price?.rules ? [...at, 'rules'] : at;
  const isPriced = isWhole && (price.rules.length > 0 || price.upstream !== undefined);
  if (type === 'text' || type === 'embedding') {
    const model: TokenModel = { type, ...base, ...readBounds(raw, path, faults), price };
    if (isPriced) checkTokenPrice(price, type, rulesAt, faults);
    return model;
  }
  requireNoTokens(raw, path, faults);
  const params = readParams(raw.params, type, price.rules, [...path, 'params'], faults);
  const model: MediaModel = { type, ...base, params, price };
  const isBounded = (params.duration?.max ?? 0) < Infinity;
  if (isPriced && isBounded) walkMedia(model, path, rulesAt, faults);
  return model;
}

function requireNoTokens(raw: RawModel, path: Path, faults: Faults): void {
  for (const name of ['context', 'max_output', 'default_output'] as const) {
    if (raw[name] === undefined) continue;
    faults.add([...path, name], 'must be left out: it is of text and embedding models');
  }
}

function present(list: readonly (string | undefined)[]): string[] {
  return list.filter((item) => item !== undefined);
}

function checkTier(
  tier: string | undefined,
  path: Path,
  tiers: ReadonlySet<string>,
  faults: Faults,
): void {
  if (tier === undefined || tiers.has(tier)) return;
  const meant = nearest(tier, tiers);
  const hint = meant === null ? `there are: ${[...tiers].join(', ')}` : `did you mean ${meant}?`;
  faults.add(path, `must be the name of a tier in limits.rates; ${hint}`);
}

function readRoutes(
  raw: RawModel,
  path: Path,
  channelIds: ReadonlySet<string> | null,
  faults: Faults,
): RouteConfig[] {
  return (raw.routes ?? []).flatMap((route, n) => {
    const at = [...path, 'routes', n];
    const { channel, model = raw.id ?? '', cost } = route ?? {};
    const paid = cost && readCost(cost, raw.type, [...at, 'cost'], faults);
    if (channel === undefined) return [];
    if (channelIds !== null && !channelIds.has(channel)) {
      const meant = nearest(channel, channelIds);
      const hint =
        meant === null
          ? `there are: ${[...channelIds].join(', ') || 'none'}`
          : `did you mean ${meant}?`;
      faults.add([...at, 'channel'], `must be the id of a channel; ${hint}`);
    }
    return [{ channel, model, ...(paid && { cost: paid }) }];
  });
}
