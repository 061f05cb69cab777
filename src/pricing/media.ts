/** What a media request costs: ordered rules over units, or what the upstream says that it cost. */
import { type NanoUsd, nanoUsd } from '../money.ts';
import { type PriceList, Prices } from './rules.ts';

/** The charge is what the upstream says that it cost, times the markup; the hold and every quote is `maxUsd`. Decimals. */
export interface UpstreamPricing {
  markup: string;
  maxUsd: string;
}

/** With both, the rules price what ended without a cost of the upstream's; without rules that costs the most. */
export interface MediaPrices extends PriceList {
  version: string;
  upstream?: UpstreamPricing;
}

/** Compiled once. */
export interface MediaPrice {
  /** Names the prices that a hold was priced by; kept on its row. */
  version: string;
  /** What it was compiled from; a task keeps it. */
  list: MediaPrices;
  /** Null where nothing but the upstream's word prices it. */
  rules: Prices | null;
  upstream: { markup: string; most: NanoUsd } | null;
}

/** More decimals than a price may have say nothing in nano-dollars. */
const MOST_DECIMALS = 12;
const COST = /^(0|[1-9][0-9]{0,6})(?:\.([0-9]{1,40}))?$/;

/** Throws RangeError, naming what is wrong. */
export function compileMediaPrice(prices: MediaPrices): MediaPrice {
  const { upstream, version, ...list } = prices;
  const rules = list.rules.length || !upstream ? new Prices(list) : null;
  if (!upstream) return { version, list: prices, rules, upstream: null };
  const { markup, maxUsd } = upstream;
  const most = costWith(maxUsd, '1') ?? nanoUsd(0);
  return { version, list: prices, rules, upstream: { markup, most } };
}

/** An upstream's own cost times the operator's markup, rounded up; null where it is no amount of money. */
export function costWith(usd: string, markup: string): NanoUsd | null {
  const [, whole, decimals = ''] = COST.exec(usd) ?? [];
  if (whole === undefined) return null;
  const kept = decimals.slice(0, MOST_DECIMALS);
  const rule = { unit: 'cost', usd: kept ? `${whole}.${kept}` : whole };
  return new Prices({ rules: [rule], markup }).price({ cost: 1 }, {}).amount;
}
