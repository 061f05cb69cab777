/** The checks that come before a media request is held: what it may cost, and who approved of how much. */
import type { Catalogue, MediaEntry } from '../catalogue.ts';
import type { MediaType } from '../config/config.ts';
import type { KeyRules } from '../keys/rules.ts';
import type { NanoUsd } from '../money.ts';
import type { Quotes } from '../quotes.ts';
import type { Asked } from './asked.ts';
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

/**
 * `rules`: of the key that asks and those above it; none for a wallet. Errors: model_not_found, invalid_request (field, quote_id),
 * max_credits_exceeded, forbidden.
 */
export function planOrder(
  { catalogue }: OrderTools,
  terms: OrderTerms,
  rules: readonly KeyRules[],
): OrderPlan {
  void rules;
  const entry = catalogue.mediaEntry(terms.model, ...(terms.types ?? []));
  const order = orderOf(entry.model, terms.asked);
  return { entry, order, ceiling: ceilingOfOrder(entry, order).amount, most: null };
}
