/**
 * Tokens x rules -> nano-USD, compiled for the path of every chat request: one function prices the estimate, the hold and the capture.
 * It says what rules.ts says, which a test holds it to.
 */
import { type NanoUsd, nanoUsd } from '../money.ts';
import type { Usage } from '../providers/provider.ts';
import { femto, Prices, type Range, type Rule } from './rules.ts';
import {
  compileUpstream,
  upstreamCharge,
  type UpstreamPrice,
  type UpstreamPricing,
} from './upstream.ts';

/** 10^-30 dollars in a nano-dollar: rates are femto-dollars times a markup in 10^-15. */
const FEMTO_SQUARED_PER_NANO = 10n ** 21n;
const MOST_NANO = BigInt(Number.MAX_SAFE_INTEGER);

/** The rules of one model, compiled once. */
export interface CompiledPrice {
  /** Names the rules that a hold was priced by; kept on its row. */
  version: string;
  /** By the input tokens that they begin at; the first one begins at 0. */
  tiers: readonly [Tier, ...Tier[]];
  /** Whether sound in the input has a price; without one it is not sold. */
  hears: boolean;
  /** Where the upstream's own word prices it. Then the tiers say what is held, and `rules` price what ended without its word. */
  upstream?: UpstreamPrice & { rules: CompiledPrice | null };
}

/** Rates that hold from a number of input tokens on: whole numerators over one denominator, in nano-USD. */
export interface Tier {
  from: number;
  denominator: bigint;
  input: bigint;
  cachedInput: bigint;
  cacheWrite: bigint;
  longCacheWrite: bigint;
  inputAudio: bigint;
  output: bigint;
  reasoning: bigint;
  request: bigint;
  /** The least that a request costs, over the same denominator. */
  least: bigint;
}

export interface TokenPrices {
  rules: readonly Rule[];
  version: string;
  /** Multiplies every rate, decimal. */
  markup?: string;
  /** The least that a request costs, decimal US dollars. */
  minCharge?: string;
  /** Where the upstream's own word prices it: see UpstreamPricing. */
  upstream?: UpstreamPricing;
}

/** Every unit that tokens are sold by. */
export const TOKEN_UNITS = [
  'input_token',
  'cached_input_token',
  'cache_write_token',
  'cache_write_1h_token',
  'input_audio_token',
  'output_token',
  'reasoning_token',
  'request',
] as const;
export type TokenUnit = (typeof TOKEN_UNITS)[number];

/** The one circumstance that prices of tokens depend on. */
const INPUT_TOKENS = 'input_tokens';

/**
 * Compiles a rule list (ordered; of a unit the first rule whose `when.input_tokens` holds). Cached, cache-write, audio and reasoning
 * tokens without a rule of their own cost what input and output cost, those written for an hour what others written cost. Throws RangeError for a price that is not a decimal string, for a
 * condition on anything else, and for a list that leaves input or output tokens without a price at some length: what has no price is
 * never free.
 */
export function compilePrice(prices: TokenPrices, unpriced: TokenUnit[] = []): CompiledPrice {
  if (prices.upstream) return compileReported(prices, prices.upstream, unpriced);
  const { rules, version, markup = '1', minCharge = '0' } = prices;
  for (const rule of rules) requireToken(rule);
  // Said once for all its parts: what is wrong in a rule, its conditions or the markup.
  void new Prices({ rules, markup, minCharge });
  const tiers = thresholds(rules).map((from) => tierFrom(from, prices, unpriced));
  const [first, ...others] = tiers;
  if (!first) throw new RangeError('no rules');
  const hears = rules.some(({ unit }) => unit === 'input_audio_token');
  return { version, tiers: [first, ...others], hears };
}

/** Whatever is asked, the most is held: a price per request, as far as holds and limits know. */
function compileReported(
  prices: TokenPrices,
  pricing: UpstreamPricing,
  unpriced: TokenUnit[],
): CompiledPrice {
  const list = { ...prices };
  delete list.upstream;
  const rules = list.rules.length ? compilePrice(list, unpriced) : null;
  const free = ['input_token', 'output_token'].map((unit) => ({ unit, usd: '0' }));
  const held = { rules: [...free, { unit: 'request', usd: pricing.maxUsd }], version: '' };
  const { tiers } = compilePrice(held);
  const upstream = { ...compileUpstream(pricing), rules };
  return { version: list.version, tiers, hears: true, upstream };
}

function requireToken({ unit, when = {}, included, min, step }: Rule): void {
  if (!TOKEN_UNITS.some((known) => known === unit)) {
    throw new RangeError(`${unit} is not a unit that tokens are sold by`);
  }
  const other = Object.keys(when).find((name) => name !== INPUT_TOKENS);
  if (other !== undefined) throw new RangeError(`the price of ${unit} depends on ${other}`);
  if (included !== undefined || min !== undefined || step !== undefined) {
    throw new RangeError(
      `the price of ${unit} has "included", "min" or "step", which tokens have not`,
    );
  }
}

/** Where prices may change, in input tokens; 0 first. */
function thresholds(rules: readonly Rule[]): number[] {
  const starts = new Set([0]);
  for (const { when } of rules) {
    const bounds = when?.[INPUT_TOKENS];
    if (bounds === undefined) continue;
    if (typeof bounds !== 'object' || Array.isArray(bounds)) {
      throw new RangeError('"when.input_tokens" must have bounds gt, gte, lt, lte');
    }
    const { gt, gte, lt, lte } = bounds as Range;
    for (const at of [gt === undefined ? gte : gt + 1, lte === undefined ? lt : lte + 1]) {
      if (at !== undefined) starts.add(Math.max(0, Math.ceil(at)));
    }
  }
  return [...starts].toSorted((a, b) => a - b);
}

interface Rate {
  /** 10^-15 US dollars, times the markup in 10^-15. */
  numerator: bigint;
  per: bigint;
}

function tierFrom(from: number, prices: TokenPrices, unpriced: TokenUnit[]): Tier {
  const { rules, markup = '1', minCharge = '0' } = prices;
  const free: Rate = { numerator: 0n, per: 1n };
  const find = (unit: TokenUnit): Rate | undefined => {
    const rule = rules.find((each) => each.unit === unit && holdsAt(each, from));
    return rule && { numerator: femto(rule.usd) * femto(markup), per: BigInt(rule.per ?? 1) };
  };
  for (const unit of ['input_token', 'output_token'] as const) {
    if (unpriced.includes(unit) || find(unit)) continue;
    throw new RangeError(`no rule prices ${unit}${from ? ` from ${from} input tokens on` : ''}`);
  }
  const input = find('input_token') ?? free;
  const output = find('output_token') ?? free;
  const cacheWrite = find('cache_write_token') ?? input;
  const parts = {
    input,
    cachedInput: find('cached_input_token') ?? input,
    cacheWrite,
    longCacheWrite: find('cache_write_1h_token') ?? cacheWrite,
    inputAudio: find('input_audio_token') ?? input,
    output,
    reasoning: find('reasoning_token') ?? output,
    request: find('request') ?? free,
    least: { numerator: femto(minCharge) * femto('1'), per: 1n },
  };
  return { from, ...overOneDenominator(parts) };
}

function holdsAt({ when }: Rule, inputTokens: number): boolean {
  const {
    gt = -Infinity,
    gte = -Infinity,
    lt = Infinity,
    lte = Infinity,
  } = (when?.[INPUT_TOKENS] ?? {}) as Range;
  return inputTokens > gt && inputTokens >= gte && inputTokens < lt && inputTokens <= lte;
}

type Parts<T> = Record<Exclude<keyof Tier, 'from' | 'denominator'>, T>;

function overOneDenominator(rates: Parts<Rate>): Parts<bigint> & { denominator: bigint } {
  const all = Object.values(rates);
  const common = all.reduce((lcm, rate) => (lcm / gcd(lcm, rate.per)) * rate.per, 1n);
  const over = (rate: Rate) => rate.numerator * (common / rate.per);
  const denominator = common * FEMTO_SQUARED_PER_NANO;
  const shared = all.reduce((divisor, rate) => gcd(divisor, over(rate)), denominator);
  return {
    denominator: denominator / shared,
    input: over(rates.input) / shared,
    cachedInput: over(rates.cachedInput) / shared,
    cacheWrite: over(rates.cacheWrite) / shared,
    longCacheWrite: over(rates.longCacheWrite) / shared,
    inputAudio: over(rates.inputAudio) / shared,
    output: over(rates.output) / shared,
    reasoning: over(rates.reasoning) / shared,
    request: over(rates.request) / shared,
    least: over(rates.least) / shared,
  };
}

function gcd(a: bigint, b: bigint): bigint {
  while (b) [a, b] = [b, a % b];
  return a;
}

/** The rates of a request with that much input. */
function tierOf({ tiers }: CompiledPrice, inputTokens: number): Tier {
  const [first] = tiers;
  if (tiers.length === 1) return first;
  return tiers.findLast(({ from }) => from <= inputTokens) ?? first;
}

/**
 * What one request with this usage costs, rounded up to the nano-dollar. Cached, cache-write and audio tokens are part of the input
 * tokens and reasoning tokens part of the output tokens, so each token is priced once. An amount beyond 2^53-1 nano is that
 * number: more than any account can hold, so its hold is refused.
 */
export function priceOf(price: CompiledPrice, usage: Usage): NanoUsd {
  return priceAt(tierOf(price, usage.inputTokens), usage);
}

/** What an answer is charged by: what was used, what the upstream said of its cost, and the tokens that were held for. */
export interface Answered {
  usage: Usage;
  upstreamCostUsd: string | null;
  heldTokens: number;
}

/** Priced from the upstream without its word: by the rules, or as the share of the most that its tokens have in those held for. */
export function priceOfAnswer(price: CompiledPrice, answered: Answered): NanoUsd {
  const { upstream } = price;
  const { usage, upstreamCostUsd, heldTokens } = answered;
  if (!upstream) return priceOf(price, usage);
  const said = upstreamCostUsd === null ? null : upstreamCharge(upstream, upstreamCostUsd);
  if (said !== null) return said;
  const { most, rules } = upstream;
  if (rules) return nanoUsd(Math.min(most, priceOf(rules, usage)));
  const held = BigInt(Math.max(1, heldTokens));
  const used = BigInt(usage.inputTokens + usage.outputTokens);
  const share = used < held ? (BigInt(most) * used + held - 1n) / held : BigInt(most);
  return nanoUsd(share);
}

function priceAt(tier: Tier, usage: Usage): NanoUsd {
  const sum = numerator(tier, usage);
  const most = sum > tier.least ? sum : tier.least;
  const nano = (most + tier.denominator - 1n) / tier.denominator;
  return nanoUsd(nano > MOST_NANO ? MOST_NANO : nano);
}

function numerator(tier: Tier, usage: Usage): bigint {
  const cached = Math.min(usage.cachedInputTokens, usage.inputTokens);
  const written = Math.min(usage.cacheWriteTokens, usage.inputTokens - cached);
  const heard = Math.min(usage.inputAudioTokens ?? 0, usage.inputTokens - cached - written);
  const reasoning = Math.min(usage.reasoningTokens, usage.outputTokens);
  let sum =
    tier.request +
    tier.input * BigInt(usage.inputTokens - cached - written - heard) +
    tier.output * BigInt(usage.outputTokens - reasoning);
  if (cached) sum += tier.cachedInput * BigInt(cached);
  if (written) {
    const long = Math.min(usage.longCacheWriteTokens ?? 0, written);
    sum += tier.cacheWrite * BigInt(written - long) + tier.longCacheWrite * BigInt(long);
  }
  if (heard) sum += tier.inputAudio * BigInt(heard);
  if (reasoning) sum += tier.reasoning * BigInt(reasoning);
  return sum;
}

/** What the input of a request may be made of, besides text. */
export interface InputKinds {
  /** Tokens of the input that may be sound. */
  audioTokens: number;
  /** Whether it asks that anything be cached for an hour. */
  mayCacheLong: boolean;
}

export const TEXT: InputKinds = { audioTokens: 0, mayCacheLong: false };

/**
 * The most that these counts can cost: the upstream decides what it caches, how much it thinks, and, counting the input itself, in
 * which tier up to ours it falls.
 */
export function ceilingOf(
  price: CompiledPrice,
  inputTokens: number,
  outputTokens: number,
  kinds: InputKinds = TEXT,
): NanoUsd {
  let most = nanoUsd(0);
  for (const tier of price.tiers) {
    if (tier.from > inputTokens) break;
    const cost = priceAt(tier, dearestAt(tier, inputTokens, outputTokens, kinds));
    if (cost > most) most = cost;
  }
  return most;
}

function dearestAt(
  tier: Tier,
  inputTokens: number,
  outputTokens: number,
  { audioTokens, mayCacheLong }: InputKinds,
): Usage {
  const write = mayCacheLong ? bigger(tier.longCacheWrite, tier.cacheWrite) : tier.cacheWrite;
  const isWriteDearest = write > tier.input && write >= tier.cachedInput;
  const isCachedDearest = !isWriteDearest && tier.cachedInput > tier.input;
  const dearest = isWriteDearest ? write : isCachedDearest ? tier.cachedInput : tier.input;
  const heard = tier.inputAudio > dearest ? Math.min(audioTokens, inputTokens) : 0;
  const read = inputTokens - heard;
  return {
    inputTokens,
    outputTokens,
    cachedInputTokens: isCachedDearest ? read : 0,
    cacheWriteTokens: isWriteDearest ? read : 0,
    longCacheWriteTokens: isWriteDearest && write > tier.cacheWrite ? read : 0,
    reasoningTokens: tier.reasoning > tier.output ? outputTokens : 0,
    inputAudioTokens: heard,
  };
}

function bigger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** The most output tokens that `budget` covers beside the input, at the dearest; Infinity where output is free. */
export function affordableOutput(
  price: CompiledPrice,
  inputTokens: number,
  budget: NanoUsd,
  kinds: InputKinds = TEXT,
): number {
  let most = Infinity;
  for (const tier of price.tiers) {
    if (tier.from > inputTokens) break;
    const left =
      BigInt(budget) * tier.denominator - numerator(tier, dearestAt(tier, inputTokens, 0, kinds));
    const rate = bigger(tier.reasoning, tier.output);
    if (left < 0n || tier.least > BigInt(budget) * tier.denominator) return 0;
    if (rate > 0n) most = Math.min(most, Number(left / rate));
  }
  return most;
}
