/** What a media request costs: ordered rules over units, or what the upstream says that it cost. */
import { type PriceList, Prices } from './rules.ts';
import { compileUpstream, type UpstreamPrice, type UpstreamPricing } from './upstream.ts';

/** With both, the rules price what ended without a cost of the upstream's; without rules that costs the most. */
export interface MediaPrices extends PriceList {
  version: string;
  upstream?: UpstreamPricing;
}

/** Compiled once. */
export interface MediaPrice {
  /** Names the prices that a hold was priced by; kept on its row. */
  version: string;
  /** As it stands in the configuration. */
  list: MediaPrices;
  /** Null where nothing but the upstream's word prices it. */
  rules: Prices | null;
  upstream: UpstreamPrice | null;
}

/** Throws RangeError, naming what is wrong. */
export function compileMediaPrice(list: MediaPrices): MediaPrice {
  const { version, upstream } = list;
  const rules = list.rules.length || !upstream ? new Prices(list) : null;
  return { version, list, rules, upstream: upstream ? compileUpstream(upstream) : null };
}
