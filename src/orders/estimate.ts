/** What a media request would cost, and how much of it a balance covers. */
import type { MediaEntry } from '../catalogue.ts';
import type { NanoUsd } from '../money.ts';
import type { Line, Scalar } from '../pricing/rules.ts';
import type { QuotedOrder } from '../quotes.ts';
import { type Asked, readAsked } from './asked.ts';
import { agreed, type Fields, readNumber, readWhole, sourcesOf } from './fields.ts';
import { heardOf } from './heard.ts';
import { ceilingOfOrder, leastOfOrder, type Order, orderOf } from './order.ts';

export interface OrderEstimate {
  entry: MediaEntry;
  order: Order;
  min: NanoUsd;
  expected: NanoUsd;
  max: NanoUsd;
  /** The rules that price the most of it. */
  lines: Line[];
  assumed: Record<string, Scalar>;
}

const MAX_CHARACTERS = 100_000_000;
const MAX_TOKENS = 100_000_000;

/** `fields`: as the request itself, and what it would find out: seconds that are heard, characters. Errors: invalid_request. */
export function estimateOrder(fields: Fields, entry: MediaEntry): OrderEstimate {
  const order = orderOf(entry.model, askedOf(fields, entry));
  const most = ceilingOfOrder(entry, order);
  const min = leastOfOrder(entry, order).amount;
  return {
    entry,
    order,
    min,
    expected: expectedOf(entry, order, most.amount),
    max: most.amount,
    lines: most.lines,
    assumed: order.assumed,
  };
}

/** In an estimate its caller is believed about what only the request would show. */
function askedOf(fields: Fields, { model: { type, params } }: MediaEntry): Asked {
  const asked = readAsked(type, fields);
  const sources = sourcesOf(fields);
  const heard = type === 'stt' ? ['duration', 'seconds', 'duration_seconds'] : [];
  const seconds = agreed(
    sources,
    ['input_seconds', 'reference_video_total_duration', ...heard],
    readNumber,
  );
  const characters = agreed(sources, ['characters', 'character_count'], readWhole(MAX_CHARACTERS));
  const tokens = agreed(sources, ['input_tokens'], readWhole(MAX_TOKENS));
  const prompt = typeof fields['prompt'] === 'string' ? fields['prompt'] : null;
  const longest = params.maxInputSeconds;
  return {
    ...asked,
    ...(seconds !== undefined && { input_seconds: seconds }),
    ...(type === 'stt' &&
      heardOf({ seconds: seconds ?? longest, isCounted: true, prompt }, params)),
    ...(characters !== undefined && asked.characters === undefined && { characters }),
    ...(tokens !== undefined && asked.input_tokens === undefined && { input_tokens: tokens }),
  };
}

/** Between the least and the most, where the upstream decides how long it gets. */
function expectedOf(entry: MediaEntry, order: Order, most: NanoUsd): NanoUsd {
  const { duration: range, durations } = entry.model.params;
  if (order.asked.duration !== 'auto') return most;
  const middle = range
    ? (range.min + range.max) / 2
    : durations.toSorted((a, b) => a - b)[Math.floor(durations.length / 2)];
  return ceilingWith(entry, order.asked, middle === undefined ? {} : { duration: middle }) ?? most;
}

/** What a quote of it binds: no more than the price depends on. */
export function quotedOrder({ entry, order, max }: OrderEstimate): QuotedOrder {
  const { rules } = entry.price;
  const depends = rules?.circumstances() ?? new Set<string>();
  // Of the whole order: of an open length the dearest need not be the longest.
  const units = Object.entries(order.units).filter(([unit]) => rules?.has(unit));
  return {
    kind: 'media',
    model: entry.model.id,
    priceVersion: entry.price.version,
    max,
    units: rules ? Object.fromEntries(units) : { generation: order.units['generation'] ?? 1 },
    circumstances: Object.fromEntries(
      Object.entries(order.circumstances).filter(([name]) => depends.has(name)),
    ),
  };
}

/** The most of such things that this much money covers; null where it does not cover one. */
export function largestNumber({ entry, order }: OrderEstimate, money: NanoUsd): number | null {
  return largest(1, entry.model.params.maxN, (n) => covers(entry, order.asked, { n }, money));
}

/** Whole seconds, or one of the declared lengths; null where it covers none, or where none are sold. */
export function largestLength({ entry, order }: OrderEstimate, money: NanoUsd): number | null {
  const { durations, duration: range } = entry.model.params;
  const isCovered = (duration: number) => covers(entry, order.asked, { duration }, money);
  if (range) return largest(Math.ceil(range.min), Math.floor(range.max), isCovered);
  const covered = durations.filter(isCovered);
  return covered.length ? Math.max(...covered) : null;
}

function covers(entry: MediaEntry, asked: Asked, more: Asked, money: NanoUsd): boolean {
  const ceiling = ceilingWith(entry, asked, more);
  return ceiling !== null && ceiling <= money;
}

/** Null where the model does not offer it. */
function ceilingWith(entry: MediaEntry, asked: Asked, more: Asked): NanoUsd | null {
  try {
    return ceilingOfOrder(entry, orderOf(entry.model, { ...asked, ...more })).amount;
  } catch {
    return null;
  }
}

/** By halving: more costs more. */
function largest(
  least: number,
  most: number,
  isCovered: (count: number) => boolean,
): number | null {
  if (most < least || !isCovered(least)) return null;
  let low = least;
  let high = most;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (isCovered(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
