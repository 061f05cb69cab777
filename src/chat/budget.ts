/** max_credits: a request whose ceiling exceeds what its caller approved is refused before anything is held; never lowered to fit. */
import { AppError } from '../errors.ts';
import { formatUsd, type NanoUsd } from '../money.ts';

/** Up to nine decimals, as JSON writes numbers of that size. */
const CREDITS = /^(0|[1-9][0-9]{0,14})(?:\.([0-9]{1,9}))?$/;
const NANO = 1_000_000_000n;

/** Reads credits, a JSON number or a decimal string; null where none are given. Throws AppError('invalid_request'). */
export function readCredits(value: unknown, field: string): bigint | null {
  if (value === undefined || value === null) return null;
  const match = CREDITS.exec(textOf(value));
  if (!match) {
    throw new AppError('invalid_request', `${field}: must be a number of credits, 0 or more.`, {
      details: { field },
    });
  }
  return BigInt(match[1]!) * NANO + BigInt((match[2] ?? '').padEnd(9, '0'));
}

/** A JSON number may have more digits than credits have, and then means the nearest below that they do. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'number' || !(value >= 0) || value >= 1e15) return '';
  const text = String(value);
  return CREDITS.test(text) ? text : value.toFixed(12).slice(0, -3);
}

/** `limits`: billionths of a credit, from the body and the header; each counts. */
export function requireWithin(
  ceiling: NanoUsd,
  limits: (bigint | null)[],
  creditUsd: NanoUsd,
): void {
  for (const limit of limits) {
    if (limit === null || BigInt(ceiling) * NANO <= limit * BigInt(creditUsd)) continue;
    const needed = creditUsd > 0 ? Math.ceil(ceiling / creditUsd) : 0;
    throw new AppError(
      'max_credits_exceeded',
      `max_credits: this request may cost ${needed} credits ($${formatUsd(ceiling)}), more than was approved.`,
      { details: { field: 'max_credits', neededCredits: needed } },
    );
  }
}

/** What a key may spend on one request bounds what it may cost, not what it turns out to. */
export function requireAllowed(ceiling: NanoUsd, most: NanoUsd | null): void {
  if (most === null || ceiling <= most) return;
  throw new AppError(
    'max_credits_exceeded',
    `This request may cost ${formatUsd(ceiling)} USD; this API key allows ${formatUsd(most)} USD a request.`,
  );
}
