/** Prices that are the upstream's own word: what it says that a request cost, times a markup. */
import { type NanoUsd, nanoUsd } from '../money.ts';
import { femto } from './rules.ts';

/** The charge is what the upstream says that it cost, times the markup; the hold and every quote is `maxUsd`. Decimals. */
export interface UpstreamPricing {
  markup: string;
  maxUsd: string;
}

/** Compiled once: the markup as a fraction. */
export interface UpstreamPrice {
  numerator: bigint;
  denominator: bigint;
  /** On top of it, for each request. */
  flat: NanoUsd;
  /** What a request is held and quoted at. */
  most: NanoUsd;
}

const COST = /^(0|[1-9][0-9]{0,6})(?:\.([0-9]{1,40}))?$/;
const DIGITS = 15;
const FEMTO_PER_NANO = 10n ** 6n;
const MOST_NANO = BigInt(Number.MAX_SAFE_INTEGER);

/** Throws RangeError, naming what is wrong. */
export function compileUpstream({ markup, maxUsd }: UpstreamPricing): UpstreamPrice {
  const most = ceil(femto(maxUsd, 'max_usd'), FEMTO_PER_NANO);
  return {
    numerator: femto(markup, 'markup'),
    denominator: 10n ** BigInt(DIGITS),
    flat: nanoUsd(0),
    most: nano(most),
  };
}

/** Rounded up; null where the upstream's word is no amount of money. */
export function upstreamCharge(price: UpstreamPrice, usd: string): NanoUsd | null {
  const [, whole, decimals = ''] = COST.exec(usd) ?? [];
  if (whole === undefined) return null;
  const kept = BigInt(whole + decimals.slice(0, DIGITS).padEnd(DIGITS, '0'));
  const isCut = /[1-9]/.test(decimals.slice(DIGITS));
  const cost = (kept + (isCut ? 1n : 0n)) * price.numerator;
  return nano(ceil(cost, price.denominator * FEMTO_PER_NANO) + BigInt(price.flat));
}

const PLAIN: UpstreamPrice = compileUpstream({ markup: '1', maxUsd: '0' });

/** What the upstream says, in nano-dollars rounded up; null where that is no amount of money. */
export function readCost(usd: string): NanoUsd | null {
  return upstreamCharge(PLAIN, usd);
}

function ceil(numerator: bigint, denominator: bigint): bigint {
  return (numerator + denominator - 1n) / denominator;
}

function nano(amount: bigint): NanoUsd {
  return nanoUsd(amount > MOST_NANO ? MOST_NANO : amount);
}
