/** GET /api/v1/billing/usage-history, Venice's: the entries of an account, oldest first, page by page, as JSON or CSV. */
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { formatUsd, nanoUsd } from '../../money.ts';
import type { Cursors, Place } from '../../usage/cursor.ts';
import type { History, HistoryRow } from '../../usage/history.ts';
import { type Cell, csv } from '../csv.ts';
import { operation } from '../operation.ts';
import type { Context } from '../request.ts';
import { dollars } from '../x402/shapes.ts';
import { invalidQuery } from './dates.ts';

export interface UsageHistoryOptions {
  history: History;
  cursors: Cursors;
  clock: Clock;
}

const PAGE = { least: 10, most: 1_000 };

const instant = z.iso
  .datetime('must be a UTC time such as 2026-06-01T00:00:00Z')
  .max(40, 'must be at most 40 characters')
  .optional();

const query = z.strictObject({
  currency: z
    .enum(['USD', 'DIEM', 'BUNDLED_CREDITS'], 'must be USD, DIEM or BUNDLED_CREDITS')
    .optional(),
  cursor: z
    .string('must be text')
    .max(512, 'must be at most 512 characters')
    .regex(/^[A-Za-z0-9_-]+$/, 'must be the nextCursor of the page before')
    .optional(),
  startTimestamp: instant,
  endTimestamp: instant,
  pageSize: z.coerce
    .number('must be a whole number')
    .int('must be a whole number')
    .min(PAGE.least, `must be at least ${PAGE.least}`)
    .max(PAGE.most, `must be at most ${PAGE.most}`)
    .optional(),
});

type Query = z.infer<typeof query>;

const entry = z.strictObject({
  /** Below zero for a charge, above for a refund. */
  amount: z.number(),
  currency: z.literal('USD'),
  inferenceDetails: z
    .strictObject({
      completionTokens: z.int().nullable(),
      inferenceExecutionTime: z.int().nullable(),
      promptTokens: z.int().nullable(),
      requestId: z.string(),
    })
    .nullable(),
  notes: z.string(),
  pricePerUnitUsd: z.number(),
  sku: z.string(),
  timestamp: z.string(),
  units: z.number(),
});

const answer = z.strictObject({
  data: z.array(entry),
  nextCursor: z.string().nullable(),
});

export function usageHistory({ history, cursors, clock }: UsageHistoryOptions) {
  return operation<undefined, Query>({
    summary: 'Charges and refunds, oldest first; CSV for those who accept text/csv',
    right: 'billing',
    query,
    answer,
    run: async ({ principal: { accountId }, query: asked, ctx }) => {
      const place = await placeOf(accountId ?? NO_ACCOUNT, asked, { history, cursors });
      // One more than told says whether there are more.
      const found = place
        ? await history.page({
            ...place,
            accountId: accountId ?? NO_ACCOUNT,
            limit: place.pageSize + 1,
          })
        : [];
      const rows = place ? found.slice(0, place.pageSize) : [];
      const last = rows.at(-1);
      const nextCursor =
        place && last && found.length > rows.length
          ? cursors.write(accountId ?? NO_ACCOUNT, { ...place, after: last.seq })
          : null;
      ctx.state.headers['vary'] = `Accept, ${ctx.state.headers['vary']}`;
      if (!acceptsCsv(ctx)) return { data: rows.map(entryOf), nextCursor };
      return sendCsv(ctx, rows, nextCursor, clock.nowMs());
    },
  });
}

/** Of a wallet that never paid: it has no entries. */
const NO_ACCOUNT = '';

/** Where the page begins; null where there is nothing to tell. */
async function placeOf(
  accountId: string,
  { cursor, ...filters }: Query,
  { history, cursors }: Pick<UsageHistoryOptions, 'history' | 'cursors'>,
): Promise<Place | null> {
  if (cursor !== undefined) {
    const beside = Object.entries(filters).find(([, value]) => value !== undefined)?.[0];
    if (beside !== undefined) throw besideCursor(beside);
    return cursors.read(accountId, cursor);
  }
  const { currency, startTimestamp, endTimestamp, pageSize = PAGE.most } = filters;
  const startMs = startTimestamp === undefined ? 0 : Date.parse(startTimestamp);
  const beforeMs = endTimestamp === undefined ? null : Date.parse(endTimestamp);
  if (beforeMs !== null && beforeMs <= startMs) {
    throw invalidQuery('endTimestamp', 'must be later than startTimestamp');
  }
  if (currency !== undefined && currency !== 'USD') return null;
  const first = await history.firstAt(startMs);
  return first === null ? null : { after: first - 1, beforeMs, pageSize };
}

function besideCursor(field: string) {
  return invalidQuery(field, 'must be left out beside a cursor, which carries it');
}

function acceptsCsv({ req }: Context): boolean {
  const ranges = (req.headers.accept ?? '').toLowerCase().split(',');
  return ranges.some((range) => /^\s*text\/csv\s*(?:;(?!\s*q=0(?:\.0*)?\s*$)|$)/.test(range));
}

function entryOf(row: HistoryRow): z.infer<typeof entry> {
  const amount = nanoUsd(row.amount);
  return {
    amount: dollars(signed(row)),
    currency: 'USD',
    inferenceDetails:
      row.kind === 'CHARGE' && row.request_id !== null
        ? {
            completionTokens: row.output_tokens,
            inferenceExecutionTime: row.took_ms === null ? null : Math.max(0, row.took_ms),
            promptTokens: row.input_tokens,
            requestId: row.request_id,
          }
        : null,
    notes: NOTES[row.kind],
    pricePerUnitUsd: dollars(amount),
    sku: skuOf(row),
    timestamp: new Date(row.at).toISOString(),
    // A request is one unit at its exact price: its tokens may have several prices, and the price list of that day may be gone.
    units: 1,
  };
}

const NOTES = { CHARGE: 'API Inference', REFUND: 'Refund' };

function signed({ kind, amount }: HistoryRow) {
  return nanoUsd(kind === 'CHARGE' ? -amount : amount);
}

/** Venice's form: the model in lower case with dashes, then what a unit is. */
function skuOf({ kind, model }: HistoryRow): string {
  const name = (model ?? '').toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  const unit = kind === 'CHARGE' ? 'llm-request' : 'refund';
  return `${name}-${unit}`.replace(/^-+/, '');
}

const COLUMNS = [
  'timestamp',
  'sku',
  'pricePerUnitUsd',
  'units',
  'amount',
  'currency',
  'notes',
  'inferenceDetails.requestId',
  'inferenceDetails.inferenceExecutionTime',
  'inferenceDetails.promptTokens',
  'inferenceDetails.completionTokens',
];

function sendCsv(ctx: Context, rows: HistoryRow[], nextCursor: string | null, nowMs: number): void {
  const bytes = Buffer.from(csv([COLUMNS, ...rows.map(lineOf)]));
  const { headers } = ctx.state;
  const stamp = new Date(nowMs).toISOString().replaceAll(/[-:.]/g, '');
  headers['content-type'] = 'text/csv; charset=utf-8';
  headers['content-length'] = String(bytes.length);
  headers['content-disposition'] = `attachment; filename=billing-usage-history-${stamp}.csv`;
  if (nextCursor !== null) headers['x-next-cursor'] = nextCursor;
  ctx.res.writeHead(200, headers);
  ctx.res.end(bytes);
}

function lineOf(row: HistoryRow): Cell[] {
  const { currency, notes, sku, timestamp, units, inferenceDetails: details } = entryOf(row);
  const number = (value: number | null | undefined) =>
    value === null || value === undefined ? null : { number: String(value) };
  return [
    timestamp,
    sku,
    { number: formatUsd(nanoUsd(row.amount)) },
    number(units),
    { number: formatUsd(signed(row)) },
    currency,
    notes,
    details?.requestId ?? null,
    number(details?.inferenceExecutionTime),
    number(details?.promptTokens),
    number(details?.completionTokens),
  ];
}
