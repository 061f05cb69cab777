/** What the operator's routes take and answer again and again. Amounts are decimal US dollars as text, times ISO 8601. */
import { z } from 'zod';
import { type NanoUsd, nanoUsd, parseUsd } from '../../money.ts';

export const reason = z
  .string('must say why')
  .trim()
  .min(3, 'must say why, in at least 3 characters')
  .max(500, 'must be at most 500 characters');

export const usd = z
  .string('must be an amount of US dollars as text, such as "2.50"')
  .refine(isUsd, 'must be an amount of US dollars as text, such as "2.50"');

/** Of an adjustment: "-2.50" takes. */
export const signedUsd = z
  .string('must be an amount of US dollars as text, such as "2.50" or "-2.50"')
  .refine(
    (text) => isUsd(text.replace(/^-/, '')),
    'must be an amount of US dollars as text, such as "2.50" or "-2.50"',
  );

function isUsd(text: string): boolean {
  try {
    parseUsd(text);
    return true;
  } catch {
    return false;
  }
}

export function signedAmount(text: string): NanoUsd {
  return text.startsWith('-') ? nanoUsd(-parseUsd(text.slice(1))) : parseUsd(text);
}

export function amountOrNone(text: string | undefined): NanoUsd | undefined {
  return text === undefined ? undefined : parseUsd(text);
}

const MOST_LISTED = 200;

/** Of every list: `cursor` is the `nextCursor` of the page before. */
export const page = {
  limit: z.coerce.number().int().min(1).max(MOST_LISTED).default(50),
  cursor: z
    .string()
    .regex(/^\w{1,64}$/, 'must be the nextCursor of the page before')
    .optional(),
};

export const pageQuery = z.strictObject(page);

/** For lists in the order of a number. */
export const numberedQuery = z.strictObject({
  ...page,
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, 'must be the nextCursor of the page before')
    .optional(),
});

export function listOf(item: z.ZodType) {
  return z.strictObject({
    object: z.literal('list'),
    data: z.array(item),
    nextCursor: z.string().nullable(),
  });
}

/** `rows` hold one more than was asked for when there is another page. */
export function listAnswer<Row, View>(
  rows: Row[],
  limit: number,
  { view, cursor }: { view(row: Row): View; cursor(row: Row): string },
) {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const nextCursor = rows.length > limit && last !== undefined ? cursor(last) : null;
  return { object: 'list' as const, data: shown.map(view), nextCursor };
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

export function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms);
}
