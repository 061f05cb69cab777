/** `models`: every one routed and priced, or refused; what has no price is never free. */
import { createHash } from 'node:crypto';
import type { Rule, When } from '../pricing/rules.ts';
import { compilePrice, type TokenPrices, type TokenUnit } from '../pricing/tokens.ts';
import type { ModelConfig, RouteConfig, TokenModel } from './config.ts';
import type { Faults, Path } from './fault.ts';
import { nearest } from './fault.ts';
import type { RawModel, RawPrices } from './raw.ts';

const DEFAULT_OUTPUT = 4_096;
const VERSION_HEX = 16;

/** Names a price: the same for the same prices however they are spelled ("2", "2.00"). */
export function priceVersion({
  rules,
  markup = '1',
  minCharge = '0',
}: Omit<TokenPrices, 'version'>): string {
  const canonical = rules.map(({ unit, per = 1, usd, when }) => [
    unit,
    per,
    plain(usd),
    ...(when === undefined ? [] : [when]),
  ]);
  const more =
    plain(markup) === '1' && plain(minCharge) === '0' ? [] : [[plain(markup), plain(minCharge)]];
  return createHash('sha256')
    .update(JSON.stringify([...canonical, ...more]))
    .digest('hex')
    .slice(0, VERSION_HEX);
}

function plain(usd: string): string {
  return usd.replace(/(\.[0-9]*?)0+$/, '$1').replace(/\.$/, '');
}

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
  const seen = new Set<string>();
  return raw.flatMap((model, n) => {
    if (model === undefined) return [];
    const path = ['models', n];
    if (model.id !== undefined && seen.has(model.id))
      faults.add([...path, 'id'], 'must be the only model of this id');
    seen.add(model.id ?? '');
    checkTier(model.tier, [...path, 'tier'], tiers, faults);
    return [readModel(model, path, channelIds, faults)];
  });
}

function readModel(
  raw: RawModel,
  path: Path,
  channelIds: ReadonlySet<string> | null,
  faults: Faults,
): ModelConfig {
  const { maxOutput, defaultOutput } = readOutput(raw, path, faults);
  return {
    id: raw.id ?? '',
    type: raw.type,
    name: null,
    description: null,
    aliases: [],
    capabilities: [],
    traits: [],
    ...(raw.tier !== undefined && { tier: raw.tier }),
    context: raw.context ?? 0,
    maxOutput,
    defaultOutput,
    routes: readRoutes(raw, path, channelIds, faults),
    price: readPrice(raw, path, faults),
  };
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

function readOutput(
  raw: RawModel,
  path: Path,
  faults: Faults,
): Pick<TokenModel, 'maxOutput' | 'defaultOutput'> {
  if (raw.type === 'embedding') {
    for (const name of ['max_output', 'default_output'] as const) {
      if (raw[name] !== undefined)
        faults.add([...path, name], 'must be left out: an embedding has no output tokens');
    }
    return { maxOutput: 0, defaultOutput: 0 };
  }
  if (raw.max_output === undefined) {
    faults.add([...path, 'max_output'], 'is missing; it must be a whole number of tokens');
  } else if (raw.context !== undefined && raw.max_output > raw.context) {
    faults.add([...path, 'max_output'], 'must be at most context');
  }
  const maxOutput = raw.max_output ?? DEFAULT_OUTPUT;
  const defaultOutput = raw.default_output ?? Math.min(DEFAULT_OUTPUT, maxOutput);
  if (raw.max_output !== undefined && defaultOutput > maxOutput) {
    faults.add([...path, 'default_output'], 'must be at most max_output');
  }
  return { maxOutput, defaultOutput };
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
    const rules = cost === undefined ? [] : readRules(cost, [...at, 'cost'], faults);
    if (channel === undefined) return [];
    if (channelIds !== null && !channelIds.has(channel)) {
      const meant = nearest(channel, channelIds);
      const hint =
        meant === null
          ? `there are: ${[...channelIds].join(', ') || 'none'}`
          : `did you mean ${meant}?`;
      faults.add([...at, 'channel'], `must be the id of a channel; ${hint}`);
    }
    const prices = { rules, markup: cost?.markup ?? '1', minCharge: cost?.min_charge ?? '0' };
    return [{ channel, model, ...(cost !== undefined && { cost: { from: 'rules', prices } }) }];
  });
}

function readPrice(raw: RawModel, path: Path, faults: Faults): TokenPrices {
  const at = [...path, 'price'];
  const rules = readRules(raw.price, at, faults);
  const prices = {
    rules,
    markup: raw.price?.markup ?? '1',
    minCharge: raw.price?.min_charge ?? '0',
  };
  const price = { ...prices, version: priceVersion(prices) };
  const isWhole = raw.price?.rules?.every((rule) => rule?.unit !== undefined) ?? false;
  if (isWhole) requirePriced(price, raw.type, [...at, 'rules'], faults);
  return price;
}

/** Every length of input has a price, or the model is not sold. */
function requirePriced(
  price: TokenPrices,
  type: RawModel['type'],
  path: Path,
  faults: Faults,
): void {
  const unpriced: TokenUnit[] = type === 'embedding' ? ['output_token'] : [];
  const missing = (['input_token', 'output_token'] as const).filter(
    (unit) => !unpriced.includes(unit) && !price.rules.some((rule) => rule.unit === unit),
  );
  if (missing.length > 0) {
    faults.add(path, `must price ${missing.join(' and ')}: what has no price is not sold`);
    return;
  }
  try {
    compilePrice(price, unpriced);
  } catch (error) {
    faults.add(
      path,
      `must price every request: ${error instanceof Error ? error.message : 'they do not'}`,
    );
  }
}

/** Ordered; a rule behind one of its unit without a condition would never be used, which nobody means. */
function readRules(raw: RawPrices | undefined, path: Path, faults: Faults): Rule[] {
  const seen = new Set<TokenUnit>();
  return (raw?.rules ?? []).flatMap((rule, n) => {
    if (rule?.unit === undefined) return [];
    const { unit, per, usd, when } = rule;
    if (seen.has(unit))
      faults.add(
        [...path, 'rules', n, 'unit'],
        `must not come twice: an earlier rule prices ${unit}`,
      );
    if (when === undefined) seen.add(unit);
    return [
      { unit, per, usd: usd ?? '0', ...(when !== undefined && { when: { ...when } as When }) },
    ];
  });
}
