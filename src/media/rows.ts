/** The rows of results. */
import type { Kysely } from 'kysely';
import type { MediaRow, Tables } from '../db/tables.ts';
import type { WriteTx } from '../ledger/ledger.ts';

/** Of all tasks of one question together. */
const MAX_LISTED = 10_000;

export function mediaById(db: Kysely<Tables>, id: string): Promise<MediaRow | undefined> {
  return db.selectFrom('media').selectAll().where('id', '=', id).executeTakeFirst();
}

export async function mediaOfTasks(
  db: Kysely<Tables>,
  taskIds: readonly string[],
): Promise<MediaRow[]> {
  if (!taskIds.length) return [];
  return db
    .selectFrom('media')
    .selectAll()
    .where('task_id', 'in', taskIds)
    .where('deleted_at', 'is', null)
    .orderBy('task_id')
    .orderBy('idx')
    .limit(MAX_LISTED)
    .execute();
}

/** From this transaction on nobody is given their bytes. */
export function markDeleted(
  { db, nowMs }: WriteTx,
  because: NonNullable<MediaRow['deleted_because']>,
  of: { accountId: string; taskId: string } | { ids: readonly string[] },
): Promise<Pick<MediaRow, 'id' | 'place'>[]> {
  const query = db
    .updateTable('media')
    .set({ deleted_at: nowMs, deleted_because: because })
    .where('deleted_at', 'is', null);
  const which =
    'ids' in of
      ? query.where('id', 'in', of.ids)
      : query.where('account_id', '=', of.accountId).where('task_id', '=', of.taskId);
  return which.returning(['id', 'place']).execute();
}

/** Those whose time is over, the longest first. */
export function overdue(
  db: Kysely<Tables>,
  nowMs: number,
  limit: number,
): Promise<Pick<MediaRow, 'id'>[]> {
  return db
    .selectFrom('media')
    .select('id')
    .where('deleted_at', 'is', null)
    .where('expires_at', '<=', nowMs)
    .orderBy('expires_at')
    .limit(limit)
    .execute();
}

/** Which of these have a row whose bytes are still given out. */
export async function liveAmong(db: Kysely<Tables>, ids: readonly string[]): Promise<Set<string>> {
  if (!ids.length) return new Set();
  const rows = await db
    .selectFrom('media')
    .select('id')
    .where('id', 'in', ids)
    .where('deleted_at', 'is', null)
    .execute();
  return new Set(rows.map(({ id }) => id));
}
