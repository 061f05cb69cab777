/** Models that are sold by tokens: their bounds, and a price for every length of input. */
import { Prices } from '../pricing/rules.ts';
import { compilePrice, type TokenPrices, type TokenUnit } from '../pricing/tokens.ts';
import type { TokenModel } from './config.ts';
import type { Faults, Path } from './fault.ts';
import { isBehindAll } from './prices.ts';
import type { RawModel } from './raw.ts';

const DEFAULT_OUTPUT = 4_096;

type Bounds = Pick<TokenModel, 'context' | 'imageTokens' | 'maxOutput' | 'defaultOutput'>;

export function readBounds(raw: RawModel, path: Path, faults: Faults): Bounds {
  if (raw.context === undefined)
    faults.add([...path, 'context'], 'is missing; it must be a whole number of tokens');
  if (Object.keys(raw.params).length > 0)
    faults.add([...path, 'params'], `must be left out: they are of media models`);
  const images = raw.image_tokens === undefined ? {} : { imageTokens: raw.image_tokens };
  return { context: raw.context ?? 0, ...images, ...readOutput(raw, path, faults) };
}

function readOutput(
  raw: RawModel,
  path: Path,
  faults: Faults,
): Pick<Bounds, 'maxOutput' | 'defaultOutput'> {
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

/** Every length of input has a price, or the model is not sold; and every rule some length. `path`: of the rules. */
export function checkTokenPrice(
  price: TokenPrices,
  type: TokenModel['type'],
  path: Path,
  faults: Faults,
): void {
  // What the upstream says that it cost needs no rules.
  if (price.upstream && !price.rules.length) return;
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
    const why = error instanceof Error ? error.message : 'they do not';
    faults.add(path, `must price every request: ${why}`);
    return;
  }
  checkUse(price, path, faults);
}

function checkUse({ rules, markup, minCharge }: TokenPrices, path: Path, faults: Faults): void {
  const prices = new Prices({ rules, ...(markup && { markup }), ...(minCharge && { minCharge }) });
  const bounds = prices.boundsOf('input_tokens');
  const lengths = [0, ...bounds.flatMap((bound) => [bound - 1, bound, bound + 1])];
  for (const [n, rule] of rules.entries()) {
    const isUsed = lengths.some(
      (tokens) => prices.find(rule.unit, { input_tokens: tokens }) === rule,
    );
    if (isUsed || isBehindAll(rules, n)) continue;
    faults.add([...path, n], 'can never apply: an earlier rule takes every length of input');
  }
}
