/** The checks that come before a media request is held: what it may cost, and who approved of how much. */
import { type Catalogue, type MediaEntry, requireMedia } from '../catalogue.ts';
import { readCredits, requireAllowed, requireWithin } from '../chat/budget.ts';
import type { MediaType } from '../config/config.ts';
import { type KeyRules, mostPerRequest, requireModel } from '../keys/rules.ts';
import type { NanoUsd } from '../money.ts';
import { type Circumstances, type Scalar, UnpricedError } from '../pricing/rules.ts';
import { type Quoted, quotedEntry, type Quotes, wrong } from '../quotes.ts';
import type { Asked } from './asked.ts';
import { wrongField } from './fields.ts';
import { ceilingOfOrder, type Order, orderOf } from './order.ts';

export interface OrderPlan {
  entry: MediaEntry;
  order: Order;
  /** What to hold. */
  ceiling: NanoUsd;
  /** What a quote promised: it costs no more, whatever is delivered; null without one. */
  most: NanoUsd | null;
}

export interface OrderTerms {
  model: string;
  /** Of the model; any medium where it is left out. */
  types?: readonly MediaType[];
  asked: Asked;
  /** quote_id of the body or X-Quote-Id. */
  quoteId: string | null;
  /** max_credits of the body, and X-Max-Credits; as they came. */
  maxCredits: readonly unknown[];
}

export interface OrderTools {
  catalogue: Catalogue;
  quotes: Pick<Quotes, 'open'>;
  /** What one credit is worth. */
  creditUsd: NanoUsd;
}

/** These may be less than what was quoted; all others are the same. */
const AMOUNTS = new Set(['n', 'duration', 'input_tokens']);

/**
 * `rules`: of the key that asks and those above it; none for a wallet. Errors: model_not_found, invalid_request (field, quote_id),
 * max_credits_exceeded, forbidden.
 */
export function planOrder(
  { catalogue, quotes, creditUsd }: OrderTools,
  { model, types = [], asked, quoteId, maxCredits }: OrderTerms,
  rules: readonly KeyRules[],
): OrderPlan {
  const quoted = quoteId === null ? null : quotes.open(quoteId);
  const listed = quoted ? quotedEntry(catalogue, model, quoted) : catalogue.entry(model);
  const entry = requireMedia(listed, ...types);
  requireModel(rules, entry.model);
  const plan = planEntry(entry, asked, quoted);
  const approved = maxCredits.map((credits) => readCredits(credits, 'max_credits'));
  requireWithin(plan.ceiling, approved, creditUsd);
  requireAllowed(plan.ceiling, mostPerRequest(rules));
  return plan;
}

function planEntry(entry: MediaEntry, asked: Asked, quoted: Quoted | null): OrderPlan {
  const order = orderOf(entry.model, asked);
  if (quoted) requireQuoted(order, entry, quoted);
  const ceiling = ceilingFor(entry, order);
  if (!quoted) return { entry, order, ceiling, most: null };
  return { entry, order, ceiling: ceiling < quoted.max ? ceiling : quoted.max, most: quoted.max };
}

/** Errors: invalid_request for what has no price, which only a price list that was never checked can lack. */
function ceilingFor(entry: MediaEntry, order: Order): NanoUsd {
  try {
    return ceilingOfOrder(entry, order).amount;
  } catch (error) {
    if (!(error instanceof UnpricedError)) throw error;
    throw wrongField('model', 'names a model that has no price for such a request');
  }
}

function requireQuoted(order: Order, { price }: MediaEntry, quoted: Quoted): void {
  if (quoted.kind !== 'media') throw wrong('is for tokens: estimate this request');
  const depends = price.rules?.circumstances() ?? new Set<string>();
  for (const name of depends) {
    const value = order.circumstances[name];
    if (isWithin(name, value, quoted.circumstances)) continue;
    const was = quoted.circumstances[name];
    throw wrong(
      was === undefined
        ? `is for a request without ${name}: estimate it as it is sent`
        : `is for a request with ${name} ${was}${AMOUNTS.has(name) ? ' at most' : ''}`,
    );
  }
  const larger = Object.entries(order.units).find(([unit, quantity]) => {
    const isPriced = price.rules?.has(unit) ?? unit === 'generation';
    return isPriced && quantity > (quoted.units[unit] ?? 0);
  });
  if (!larger) return;
  const [unit, quantity] = larger;
  throw wrong(`is for ${quoted.units[unit] ?? 0} of ${unit}, and this request has ${quantity}`);
}

function isWithin(name: string, value: Scalar | undefined, quoted: Circumstances): boolean {
  const most = quoted[name];
  if (value === most) return true;
  const isAmount = AMOUNTS.has(name) && typeof value === 'number' && typeof most === 'number';
  return isAmount && value < most;
}
