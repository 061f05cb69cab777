/** What happened to tasks, in one order, for those who follow them: kept for a while, and resumed from any of them. */
import type { Kysely } from 'kysely';
import type { Tables, TaskEventRow, TaskRow } from '../db/tables.ts';
import type { Ledger, WriteTx } from '../ledger/ledger.ts';
import type { TaskState } from './task.ts';

/** Events older than that are forgotten. */
const KEPT_MS = 7 * 86_400_000;
const MAX_FORGOTTEN = 500;

export type EventType = 'created' | 'progress' | TaskState;

export interface EventPayload {
  status: TaskState;
  progress: number;
  queue_position: number | null;
}

/** In the transaction in which it happens. */
export async function addEvent(
  { db, nowMs }: Pick<WriteTx, 'db' | 'nowMs'>,
  row: TaskRow,
  type: EventType,
): Promise<void> {
  const payload: EventPayload = {
    status: row.state,
    progress: row.progress,
    queue_position: row.queue_position,
  };
  await db
    .insertInto('task_events')
    .values({
      seq: (await lastEvent(db)) + 1,
      account_id: row.account_id,
      key_id: row.key_id,
      task_id: row.id,
      type: `task.${type}`,
      at: nowMs,
      payload: JSON.stringify(payload),
    })
    .execute();
}

/** The number of the newest event; 0 before the first. */
export async function lastEvent(db: Kysely<Tables>): Promise<number> {
  const row = await db
    .selectFrom('task_events')
    .select('seq')
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.seq ?? 0;
}

export interface Followed {
  accountId: string;
  /** Of which keys; null for all of the account. */
  keys: readonly string[] | null;
  /** One task alone. */
  taskId?: string;
}

/** The next events after `seq`, oldest first. */
export function eventsAfter(
  db: Kysely<Tables>,
  { accountId, keys, taskId }: Followed,
  seq: number,
  limit: number,
): Promise<TaskEventRow[]> {
  let query = db.selectFrom('task_events').selectAll().where('seq', '>', seq);
  query =
    taskId === undefined
      ? query.where('account_id', '=', accountId)
      : query.where('task_id', '=', taskId);
  if (keys) query = query.where('key_id', 'in', keys);
  return query.orderBy('seq').limit(limit).execute();
}

/** Forgets a few of the oldest, never the newest of all: numbers are given once. */
export async function forgetEvents(ledger: Ledger, nowMs: number): Promise<void> {
  const old = await ledger.read
    .selectFrom('task_events')
    .select(['seq', 'at'])
    .orderBy('seq')
    .limit(MAX_FORGOTTEN)
    .execute();
  const newest = await lastEvent(ledger.read);
  const last = old.findLast(({ at, seq }) => at <= nowMs - KEPT_MS && seq < newest);
  if (!last) return;
  await ledger.write(({ db }) =>
    db.deleteFrom('task_events').where('seq', '<=', last.seq).execute(),
  );
}
