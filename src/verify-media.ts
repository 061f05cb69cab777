/** Rules of `verify` about results and callbacks: who was made something has it, and who asked to be told is. */
import { stat } from 'node:fs/promises';
import { type Kysely, sql } from 'kysely';
import type { MediaRow, Tables } from './db/tables.ts';
import { DiskBlobs } from './media/disk.ts';
import { collect, type Fault, type Found } from './verify-rules.ts';

const MAX_ROWS = 20;
const PAGE = 1_000;

/** Invariant 5: a completed task has results, in the same account; an ended one with a callback has a delivery. */
export async function resultFaults(db: Kysely<Tables>): Promise<Fault[]> {
  const missing = sql<Found>`
    select 'tasks ' || t.id as row, 'is completed and has no result' as message
    from tasks t where t.state = 'completed' and not exists (select 1 from media m where m.task_id = t.id)
    limit ${sql.lit(MAX_ROWS)}`;
  const foreign = sql<Found>`
    select 'media ' || m.id as row, 'is of another account than its task ' || t.id as message
    from media m join tasks t on t.id = m.task_id
    where m.account_id <> t.account_id or t.state <> 'completed' limit ${sql.lit(MAX_ROWS)}`;
  const untold = sql<Found>`
    select 'tasks ' || t.id as row, 'has ended, and its callback is told nothing' as message
    from tasks t where t.callback is not null and t.ended_at is not null
      and not exists (select 1 from webhook_deliveries d where d.task_id = t.id)
    limit ${sql.lit(MAX_ROWS)}`;
  return collect(db, 5, [missing, foreign, untold]);
}

/**
 * Invariant 5: what a row stands for is on the disk, in its full length; what lies in a bucket is not asked for. Not on a snapshot: bytes
 * may go meanwhile, and their row says so by then.
 */
export async function fileFaults(db: Kysely<Tables>, mediaDirectory: string): Promise<Fault[]> {
  const disk = new DiskBlobs(mediaDirectory);
  const faults: Fault[] = [];
  let after = '';
  while (faults.length < MAX_ROWS) {
    const rows = await kept(db).where('id', '>', after).orderBy('id').limit(PAGE).execute();
    const last = rows.at(-1);
    if (!last) break;
    after = last.id;
    for (const row of rows) {
      const fault = await fileFault(row, disk);
      if (fault !== null && (await isKept(db, row.id))) faults.push(fault);
    }
  }
  return faults.slice(0, MAX_ROWS);
}

/** How many results on disk a database knows. */
export async function resultsOnDisk(db: Kysely<Tables>): Promise<number> {
  const { count } = await db
    .selectFrom('media')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('deleted_at', 'is', null)
    .where('place', 'like', 'disk:%')
    .executeTakeFirstOrThrow();
  return count;
}

function kept(db: Kysely<Tables>) {
  return db
    .selectFrom('media')
    .select(['id', 'place', 'bytes'])
    .where('deleted_at', 'is', null)
    .where('place', 'like', 'disk:%');
}

async function isKept(db: Kysely<Tables>, id: string): Promise<boolean> {
  return (await kept(db).where('id', '=', id).executeTakeFirst()) !== undefined;
}

async function fileFault(
  { id, place, bytes }: Pick<MediaRow, 'id' | 'place' | 'bytes'>,
  disk: DiskBlobs,
): Promise<Fault | null> {
  const found = await stat(disk.path(place.slice('disk:'.length))).catch(() => null);
  if (found?.size === bytes) return null;
  const message = found ? `has ${found.size} bytes, not ${bytes}` : 'its file is not there';
  return { invariant: 5, row: `media ${id}`, message };
}
