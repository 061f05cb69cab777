/** UTC days as Venice's and agent-heavy's parameters have them. */
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { Span } from '../../usage/usage.ts';

const DAY_MS = 86_400_000;

export const utcDate = z.iso.date('must be a UTC date such as 2026-03-21');

export function dayOf(date: string): number {
  return Date.parse(date) / DAY_MS;
}

export function today(nowMs: number): number {
  return Math.floor(nowMs / DAY_MS);
}

export function dateOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

/** Milliseconds at which a day begins. */
export function startOf(day: number): number {
  return day * DAY_MS;
}

/** Throws invalid_request, naming `field`, for a span that runs backwards or is longer than `most` days. */
export function requireSpan(span: Span, field: string, most: number): Span {
  const days = span.toDay - span.fromDay + 1;
  if (days >= 1 && days <= most) return span;
  const problem =
    days < 1 ? 'must not be after the last day' : `must be at most ${most} days before the end`;
  throw invalidQuery(field, problem);
}

export function invalidQuery(field: string, problem: string): AppError {
  return new AppError('invalid_request', `${field}: ${problem}.`, {
    details: { _errors: [], [field]: { _errors: [problem] } },
  });
}
