/**
 * Units x rules -> nano-USD: one function prices the estimate, the hold and the capture. Exact fractions in BigInt inside, one
 * rounding, up, per request.
 */
import type { PriceRule, PriceUnit } from './config/config.ts';
import { type NanoUsd, nanoUsd } from './money.ts';
import type { Usage } from './providers/provider.ts';

const DECIMAL = /^(0|[1-9][0-9]{0,6})(?:\.([0-9]{1,12}))?$/;
const PICO_PER_NANO = 1_000n;
const MOST_NANO = BigInt(Number.MAX_SAFE_INTEGER);

/** The rules of one model, compiled once: whole numerators over one denominator, in nano-USD. */
export interface CompiledPrice {
  /** Names the rules that a hold was priced by; kept on its row. */
  version: string;
  denominator: bigint;
  input: bigint;
  cachedInput: bigint;
  cacheWrite: bigint;
  output: bigint;
  reasoning: bigint;
  request: bigint;
}

/**
 * Compiles a rule list (ordered, the first rule of a unit wins). Cached, cache-write and reasoning tokens without a rule of their
 * own cost what input and output cost. Throws RangeError for a price that is not a decimal string of at most twelve decimals, and
 * for a list without input or output tokens: what has no price is never free.
 */
export function compilePrice(
  rules: PriceRule[],
  version: string,
  unpriced: PriceUnit[] = [],
): CompiledPrice {
  const rates = new Map<PriceUnit, Rate>();
  for (const rule of rules) if (!rates.has(rule.unit)) rates.set(rule.unit, rateOf(rule));
  for (const unit of ['input_token', 'output_token'] as const) {
    if (!rates.has(unit) && !unpriced.includes(unit))
      throw new RangeError(`no rule prices ${unit}`);
  }
  const free: Rate = { pico: 0n, per: 1n };
  const input = rates.get('input_token') ?? free;
  const output = rates.get('output_token') ?? free;
  const parts = {
    input,
    cachedInput: rates.get('cached_input_token') ?? input,
    cacheWrite: rates.get('cache_write_token') ?? input,
    output,
    reasoning: rates.get('reasoning_token') ?? output,
    request: rates.get('request') ?? free,
  };
  return { version, ...overOneDenominator(parts) };
}

interface Rate {
  pico: bigint;
  per: bigint;
}

function rateOf(rule: PriceRule): Rate {
  const match = DECIMAL.exec(rule.usd);
  if (!match) {
    throw new RangeError(
      `the price of ${rule.unit} is not a decimal amount of US dollars: ${JSON.stringify(String(rule.usd).slice(0, 40))}`,
    );
  }
  if (!Number.isSafeInteger(rule.per) || rule.per < 1) {
    throw new RangeError(`"per" of ${rule.unit} is not a whole number from 1: ${rule.per}`);
  }
  const pico = BigInt(match[1]!) * 10n ** 12n + BigInt((match[2] ?? '').padEnd(12, '0'));
  return { pico, per: BigInt(rule.per) };
}

type Parts<T> = Record<Exclude<keyof CompiledPrice, 'version' | 'denominator'>, T>;

function overOneDenominator(rates: Parts<Rate>): Parts<bigint> & { denominator: bigint } {
  const all = Object.values(rates);
  const common = all.reduce((lcm, rate) => (lcm / gcd(lcm, rate.per)) * rate.per, 1n);
  const over = (rate: Rate) => rate.pico * (common / rate.per);
  const denominator = common * PICO_PER_NANO;
  const shared = all.reduce((divisor, rate) => gcd(divisor, over(rate)), denominator);
  return {
    denominator: denominator / shared,
    input: over(rates.input) / shared,
    cachedInput: over(rates.cachedInput) / shared,
    cacheWrite: over(rates.cacheWrite) / shared,
    output: over(rates.output) / shared,
    reasoning: over(rates.reasoning) / shared,
    request: over(rates.request) / shared,
  };
}

function gcd(a: bigint, b: bigint): bigint {
  while (b) [a, b] = [b, a % b];
  return a;
}

/**
 * What one request with this usage costs, rounded up to the nano-dollar. Cached and cache-write tokens are part of the input
 * tokens and reasoning tokens part of the output tokens, so each token is priced once. An amount beyond 2^53-1 nano is that
 * number: more than any account can hold, so its hold is refused.
 */
export function priceOf(price: CompiledPrice, usage: Usage): NanoUsd {
  return rounded(price, numerator(price, usage));
}

function numerator(price: CompiledPrice, usage: Usage): bigint {
  const cached = Math.min(usage.cachedInputTokens, usage.inputTokens);
  const written = Math.min(usage.cacheWriteTokens, usage.inputTokens - cached);
  const reasoning = Math.min(usage.reasoningTokens, usage.outputTokens);
  let sum =
    price.request +
    price.input * BigInt(usage.inputTokens - cached - written) +
    price.output * BigInt(usage.outputTokens - reasoning);
  if (cached) sum += price.cachedInput * BigInt(cached);
  if (written) sum += price.cacheWrite * BigInt(written);
  if (reasoning) sum += price.reasoning * BigInt(reasoning);
  return sum;
}

function rounded(price: CompiledPrice, sum: bigint): NanoUsd {
  const nano = (sum + price.denominator - 1n) / price.denominator;
  return nanoUsd(nano > MOST_NANO ? MOST_NANO : nano);
}

/** The dearest way in which these counts can be billed: the upstream decides what it caches and how much it thinks. */
export function dearestUsage(
  price: CompiledPrice,
  inputTokens: number,
  outputTokens: number,
): Usage {
  const isWriteDearest = price.cacheWrite > price.input && price.cacheWrite >= price.cachedInput;
  return {
    inputTokens,
    outputTokens,
    cachedInputTokens: !isWriteDearest && price.cachedInput > price.input ? inputTokens : 0,
    cacheWriteTokens: isWriteDearest ? inputTokens : 0,
    reasoningTokens: price.reasoning > price.output ? outputTokens : 0,
  };
}

/** The most output tokens that `budget` covers beside the input, at the dearest; Infinity where output is free. */
export function affordableOutput(
  price: CompiledPrice,
  inputTokens: number,
  budget: NanoUsd,
): number {
  const left =
    BigInt(budget) * price.denominator - numerator(price, dearestUsage(price, inputTokens, 0));
  if (left < 0n) return 0;
  const rate = price.reasoning > price.output ? price.reasoning : price.output;
  return rate === 0n ? Infinity : Number(left / rate);
}
