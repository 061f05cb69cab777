/** Spans of UTC days in queries of the operator's routes. */
import { z } from 'zod';
import type { Span } from '../../usage/sources.ts';
import { dateOf, dayOf, requireSpan, today, utcDate } from '../venice/dates.ts';

const STANDARD_DAYS = 30;
const MOST_DAYS = 366;

/** Both inclusive; the last thirty days by default. */
export const spanFields = { from: utcDate.optional(), to: utcDate.optional() };

export interface SpanQuery {
  from?: string | undefined;
  to?: string | undefined;
}

export function spanOf({ from, to }: SpanQuery, nowMs: number): Span {
  const toDay = to === undefined ? today(nowMs) : dayOf(to);
  const fromDay = from === undefined ? toDay - STANDARD_DAYS + 1 : dayOf(from);
  return requireSpan({ fromDay, toDay }, 'from', MOST_DAYS);
}

export const spanView = z.strictObject({ from: z.string(), to: z.string() });

export function shownSpan({ fromDay, toDay }: Span): z.infer<typeof spanView> {
  return { from: dateOf(fromDay), to: dateOf(toDay) };
}
