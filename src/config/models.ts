/** `models`: every one routed and priced, or refused; what has no price is never free. */
import { createHash } from 'node:crypto';
import type { ModelConfig, PriceRule, PriceUnit } from './config.ts';
import type { Faults, Path } from './fault.ts';
import { nearest } from './fault.ts';
import type { RawModel, RawPrices } from './raw.ts';

const DEFAULT_OUTPUT = 4_096;
const VERSION_HEX = 16;

/** Names a rule list: the same for the same prices however they are spelled ("2", "2.00"). */
export function priceVersion(rules: readonly PriceRule[]): string {
  const canonical = rules.map(({ unit, per, usd }) => [
    unit,
    per,
    usd.replace(/(\.[0-9]*?)0+$/, '$1').replace(/\.$/, ''),
  ]);
  return createHash('sha256').update(JSON.stringify(canonical)).digest('hex').slice(0, VERSION_HEX);
}

/** `channelIds`: null when the channels are faulty themselves, so that routes cannot be checked. */
export function readModels(
  raw: readonly (RawModel | undefined)[],
  channelIds: ReadonlySet<string> | null,
  faults: Faults,
): ModelConfig[] {
  const seen = new Set<string>();
  return raw.flatMap((model, n) => {
    if (model === undefined) return [];
    const path = ['models', n];
    if (model.id !== undefined && seen.has(model.id))
      faults.add([...path, 'id'], 'must be the only model of this id');
    seen.add(model.id ?? '');
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
    context: raw.context ?? 0,
    maxOutput,
    defaultOutput,
    routes: readRoutes(raw, path, channelIds, faults),
    price: readPrice(raw, path, faults),
  };
}

function readOutput(
  raw: RawModel,
  path: Path,
  faults: Faults,
): Pick<ModelConfig, 'maxOutput' | 'defaultOutput'> {
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
): ModelConfig['routes'] {
  return (raw.routes ?? []).flatMap((route, n) => {
    const at = [...path, 'routes', n];
    const { channel, model = raw.id ?? '', cost } = route ?? {};
    if (cost !== undefined) readRules(cost, [...at, 'cost'], faults);
    if (channel === undefined) return [];
    if (channelIds !== null && !channelIds.has(channel)) {
      const meant = nearest(channel, channelIds);
      const hint =
        meant === null
          ? `there are: ${[...channelIds].join(', ') || 'none'}`
          : `did you mean ${meant}?`;
      faults.add([...at, 'channel'], `must be the id of a channel; ${hint}`);
    }
    return [{ channel, model }];
  });
}

function readPrice(raw: RawModel, path: Path, faults: Faults): ModelConfig['price'] {
  const at = [...path, 'price'];
  const rules = readRules(raw.price, at, faults);
  const isWhole = raw.price?.rules?.every((rule) => rule?.unit !== undefined) ?? false;
  const needed: PriceUnit[] =
    raw.type === 'embedding' ? ['input_token'] : ['input_token', 'output_token'];
  const missing = needed.filter((unit) => !rules.some((rule) => rule.unit === unit));
  if (isWhole && missing.length > 0) {
    faults.add(
      [...at, 'rules'],
      `must price ${missing.join(' and ')}: what has no price is not sold`,
    );
  }
  return { rules, version: priceVersion(rules) };
}

/** Ordered, the first rule of a unit wins; a second one would never be used, which nobody means. */
function readRules(raw: RawPrices | undefined, path: Path, faults: Faults): PriceRule[] {
  const seen = new Set<PriceUnit>();
  return (raw?.rules ?? []).flatMap((rule, n) => {
    if (rule?.unit === undefined) return [];
    const { unit, per, usd } = rule;
    if (seen.has(unit))
      faults.add(
        [...path, 'rules', n, 'unit'],
        `must not come twice: an earlier rule prices ${unit}`,
      );
    seen.add(unit);
    return [{ unit, per, usd: usd ?? '0' }];
  });
}
