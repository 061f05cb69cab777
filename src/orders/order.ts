/** One media request in units and circumstances: the same for its estimate, its quote, its hold and its charge. */
import type { MediaEntry } from '../catalogue.ts';
import type { MediaModel } from '../config/config.ts';
import { type NanoUsd, nanoUsd } from '../money.ts';
import { upstreamCharge } from '../pricing/upstream.ts';
import {
  type Circumstances,
  type Priced,
  type Scalar,
  type Units,
  UnpricedError,
} from '../pricing/rules.ts';
import type { Asked } from './asked.ts';
import { chosenBy } from './choices.ts';
import { lengthsOf } from './lengths.ts';
import { deliveredItems, deliveredUnits } from './delivered.ts';
import { priceUnits } from './price.ts';
import { unitsOf } from './units.ts';

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
  const { asked: whole, assumed } = chosenBy(model, asked);
  return { ...orderFor(model, whole, longest(model, whole)), asked: whole, assumed };
}

function orderFor(model: MediaModel, asked: Asked, seconds: number | null) {
  const { n, size, resolution, quality, aspect_ratio, fps, audio, factor, input_mode } = asked;
  const units = unitsOf(model, asked, seconds);
  const inputs = { input_mode, input_tokens: units['input_token'] };
  const duration = seconds ?? undefined;
  const made = { n, size, resolution, quality, aspect_ratio, fps, audio, factor, duration };
  return { units, circumstances: said({ ...made, ...inputs }) };
}

function said(circumstances: Circumstances): Circumstances {
  return Object.fromEntries(
    Object.entries(circumstances).filter(([, value]) => value !== undefined),
  );
}

function longest(model: MediaModel, { duration }: Asked): number | null {
  if (typeof duration === 'number') return duration;
  if (duration === undefined) return null;
  const { durations, duration: range } = model.params;
  return range?.max ?? (durations.length ? Math.max(...durations) : null);
}

/** The most that it can cost. Throws UnpricedError where no rule prices it, which a checked configuration excludes. */
export function ceilingOfOrder(entry: MediaEntry, order: Order): Priced {
  return atLengths(entry, order).reduce((most, each) => (each.amount > most.amount ? each : most));
}

/** The least that a whole answer costs: less than the ceiling where the upstream decides how long it gets. */
export function leastOfOrder(entry: MediaEntry, order: Order): Priced {
  if (!entry.price.rules) return { amount: nanoUsd(0), lines: [] };
  return atLengths(entry, order).reduce((least, each) =>
    each.amount < least.amount ? each : least,
  );
}

/** What it costs at every length that may be the dearest or the cheapest. */
function atLengths({ model, price }: MediaEntry, order: Order): [Priced, ...Priced[]] {
  const { rules, upstream } = price;
  if (upstream || !rules) return [{ amount: upstream?.most ?? nanoUsd(0), lines: [] }];
  const main = priceUnits(model.type, rules, order.units, order.circumstances);
  if (order.asked.duration !== 'auto') return [main];
  const others = lengthsOf(model.params, rules).map((seconds) => {
    const { units, circumstances } = orderFor(model, order.asked, seconds);
    return priceUnits(model.type, rules, units, circumstances);
  });
  return [main, ...others];
}

/** What was delivered costs this: at most the ceiling, while the upstream stays inside what was ordered. */
export function deliveredCost(entry: MediaEntry, order: Order, measured: Measured): Priced {
  const { rules, upstream } = entry.price;
  if (upstream) {
    const { upstreamCostUsd: usd } = measured;
    const amount = usd === undefined ? null : upstreamCharge(upstream, usd);
    if (amount !== null) return { amount, lines: [] };
    if (!rules) return shareOfMost(upstream.most, order, measured);
  }
  const { n = 1 } = order.asked;
  const made = measured.units['output_second'];
  const isOpen = order.asked.duration === 'auto' && made !== undefined;
  const length = isOpen ? made / deliveredItems(measured.units, n) : null;
  const ordered = length === null ? order.units : unitsAt(entry.model, order, length);
  const units = deliveredUnits(entry.model.type, ordered, measured.units, n);
  const price = (circumstances: Circumstances) =>
    priceUnits(entry.model.type, rules!, units, circumstances);
  const priced = length === null ? price(order.circumstances) : atLength(price, order, length);
  if (!upstream || priced.amount <= upstream.most) return priced;
  return { ...priced, amount: upstream.most };
}

/** A clip of another length than the longest has as many tokens as it has frames, where its upstream does not say how many. */
function unitsAt(model: MediaModel, { units, asked }: Order, seconds: number): Units {
  const { video_token: tokens } = orderFor(model, asked, seconds).units;
  return tokens === undefined || !Number.isFinite(seconds)
    ? units
    : { ...units, video_token: tokens };
}

/** Rules may know the declared lengths alone: then another one costs what the longest does. */
function atLength(
  price: (circumstances: Circumstances) => Priced,
  { circumstances }: Order,
  duration: number,
): Priced {
  try {
    return price({ ...circumstances, duration });
  } catch (error) {
    if (error instanceof UnpricedError) return price(circumstances);
    throw error;
  }
}

/** An upstream that was to say what it cost, and did not, and no rules either: the delivered part of the most. */
function shareOfMost(most: NanoUsd, order: Order, { units }: Measured): Priced {
  const { n = 1 } = order.asked;
  const part = (BigInt(most) * BigInt(Math.round(deliveredItems(units, n)))) / BigInt(n);
  return { amount: nanoUsd(part), lines: [] };
}
