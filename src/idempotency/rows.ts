/** The rows of idempotency_keys: claimed, answered, let go, and what the ledger says of those that were left running. */
import type { ExpressionBuilder, Kysely } from 'kysely';
import type { IdempotencyRow, Tables } from '../db/tables.ts';
import type { WriteTx } from '../ledger/ledger.ts';
import { type NanoUsd, nanoUsd } from '../money.ts';

export interface NewRow {
  principal: string;
  key: string;
  fingerprint: string;
  requestId: string;
  /** The hold that the request will take; null where it makes something and costs nothing. */
  holdId: string | null;
  instance: string;
}

/** What has become of an earlier request with the same key. */
export type Earlier =
  | { kind: 'answered'; requestId: string; sealed: string }
  /** It was charged for, or may have made something, and its answer is not there. */
  | { kind: 'gone'; requestId: string; cost: NanoUsd | null }
  /** Not in this process, and its hold is still open. */
  | { kind: 'running' }
  | { kind: 'mismatch' };

/** Puts the row there, and answers null; or what stands in its way. */
export async function claimRow(tx: WriteTx, row: NewRow, keptMs: number): Promise<Earlier | null> {
  const { db, nowMs } = tx;
  const { principal, key, fingerprint, requestId, holdId, instance } = row;
  const old = await db
    .selectFrom('idempotency_keys')
    .selectAll()
    .where(its(row))
    .executeTakeFirst();
  if (old && old.expires_at > nowMs) {
    const earlier = await earlierOf(tx, old, fingerprint);
    if (earlier) return earlier;
  }
  if (old) await db.deleteFrom('idempotency_keys').where(its(row)).execute();
  await db
    .insertInto('idempotency_keys')
    .values({
      principal,
      key,
      fingerprint,
      state: 'running',
      request_id: requestId,
      hold_id: holdId,
      instance,
      answer: null,
      bytes: 0,
      created_at: nowMs,
      expires_at: nowMs + keptMs,
    })
    .execute();
  return null;
}

/** Null where the key is free again. */
async function earlierOf(
  tx: WriteTx,
  row: IdempotencyRow,
  fingerprint: string,
): Promise<Earlier | null> {
  const left = row.state === 'running' ? await leftRunning(tx, row) : null;
  if (left === 'free') return null;
  if (row.fingerprint !== fingerprint) return { kind: 'mismatch' };
  if (left === 'running') return { kind: 'running' };
  const { request_id: requestId, answer: sealed } = row;
  if (sealed !== null) return { kind: 'answered', requestId, sealed };
  return { kind: 'gone', requestId, cost: await costOf(tx.db, row.hold_id) };
}

/**
 * Ends a row that nobody works on any more. Without a hold it may have made something, which no other table tells: then it stays,
 * and nothing is made twice.
 */
export async function leftRunning(
  { db }: WriteTx,
  row: Pick<IdempotencyRow, 'principal' | 'key' | 'hold_id'>,
): Promise<'free' | 'running' | 'gone'> {
  const state = row.hold_id === null ? 'captured' : await holdState(db, row.hold_id);
  if (state === 'open') return 'running';
  if (state === 'captured') {
    await db.updateTable('idempotency_keys').where(its(row)).set({ state: 'done' }).execute();
    return 'gone';
  }
  await db.deleteFrom('idempotency_keys').where(its(row)).execute();
  return 'free';
}

async function holdState(db: Kysely<Tables>, id: string) {
  const hold = await db.selectFrom('holds').select('state').where('id', '=', id).executeTakeFirst();
  return hold?.state ?? 'none';
}

async function costOf(db: Kysely<Tables>, holdId: string | null): Promise<NanoUsd | null> {
  if (holdId === null) return null;
  const hold = await db
    .selectFrom('holds')
    .select('captured')
    .where('id', '=', holdId)
    .executeTakeFirst();
  return hold ? nanoUsd(hold.captured) : null;
}

/** `sealed`: null for an answer that is too large to be kept. */
export async function answerRow(
  { db }: WriteTx,
  row: NewRow,
  sealed: string | null,
): Promise<void> {
  const { numUpdatedRows } = await db
    .updateTable('idempotency_keys')
    .where(its(row))
    .set({ state: 'done', answer: sealed, bytes: sealed?.length ?? 0 })
    .where('request_id', '=', row.requestId)
    .where('state', '=', 'running')
    .executeTakeFirstOrThrow();
  if (numUpdatedRows !== 1n) throw new Error(`the key of ${row.requestId} is not its own any more`);
}

export async function freeRow({ db }: WriteTx, row: NewRow): Promise<void> {
  await db
    .deleteFrom('idempotency_keys')
    .where(its(row))
    .where('request_id', '=', row.requestId)
    .execute();
}

function its({ principal, key }: { principal: string; key: string }) {
  return (eb: ExpressionBuilder<Tables, 'idempotency_keys'>) => eb.and({ principal, key });
}
