/** The rows of tasks: whose they are, who may change them, and who is next. */
import { type Kysely, sql } from 'kysely';
import type { Principal } from '../auth/principal.ts';
import type { Tables, TaskRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { descendantsOf } from '../keys/rows.ts';
import { ancestorsOf } from '../ledger/key-windows.ts';
import { type Hold, holdOf, type WriteTx } from '../ledger/ledger.ts';
import type { TaskFilter } from './task.ts';

type Db = Kysely<Tables>;

const OPEN = ['pending', 'processing'] as const;
/** Lanes are models times groups of channels. */
const MAX_LANES = 2_000;

export function isOpen({ state }: Pick<TaskRow, 'state'>): boolean {
  return state === 'pending' || state === 'processing';
}

export function taskById(db: Db, id: string): Promise<TaskRow | undefined> {
  return db.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Throws not_found for one that is not there as for one of somebody else. */
export async function ownTask(db: Db, principal: Principal, id: string): Promise<TaskRow> {
  const row = principal.accountId === null ? undefined : await taskById(db, id);
  if (row && (await isOf(db, row, principal))) return row;
  throw new AppError('not_found', 'There is no task with this id.');
}

async function isOf(db: Db, row: TaskRow, principal: Principal): Promise<boolean> {
  if (row.account_id !== principal.accountId) return false;
  const under = scopeOf(principal);
  if (under === null || row.key_id === under) return true;
  if (row.key_id === null) return false;
  return (await ancestorsOf(db, [row.key_id])).get(row.key_id)?.includes(under) ?? false;
}

/** The key below which somebody sees tasks; null for all of the account. */
function scopeOf(principal: Principal): string | null {
  return principal.kind === 'key' && principal.role === 'inference' ? principal.keyId : null;
}

/** All keys whose tasks somebody sees; null for all of the account. */
export async function keysOf(db: Db, principal: Principal): Promise<string[] | null> {
  const under = scopeOf(principal);
  return under === null ? null : [under, ...(await descendantsOf(db, under))];
}

/** Newest first. */
export async function listTasks(
  db: Db,
  principal: Principal,
  { kind, state, after, limit }: TaskFilter,
): Promise<TaskRow[]> {
  const { accountId } = principal;
  if (accountId === null) return [];
  const keys = await keysOf(db, principal);
  let query = db.selectFrom('tasks').selectAll().where('account_id', '=', accountId);
  if (keys) query = query.where('key_id', 'in', keys);
  if (kind) query = query.where('kind', '=', kind);
  if (state) query = query.where('state', '=', state);
  if (after !== undefined) query = query.where('id', '<', after);
  return query.orderBy('id', 'desc').limit(limit).execute();
}

/** Its hold, to capture or give back. */
export async function holdOfTask(db: Db, { hold_id: id }: TaskRow): Promise<Hold> {
  const row = await db.selectFrom('holds').selectAll().where('id', '=', id).executeTakeFirst();
  if (!row) throw new AppError('internal', `hold ${id} of a task is not there`);
  const keys = row.key_id === null ? [] : [row.key_id];
  return holdOf(row, (await ancestorsOf(db, keys)).get(row.key_id ?? '') ?? []);
}

/** Whoever works on a task holds its epoch; a later claim takes it away. */
export type Claimed = Pick<TaskRow, 'id' | 'lease_epoch'>;

/** Changes a task that has not ended and that nobody else claimed meanwhile; null where it was not changed. */
export async function changeTask(
  { db }: Pick<WriteTx, 'db'>,
  { id, lease_epoch }: Claimed,
  change: Partial<TaskRow>,
): Promise<TaskRow | null> {
  const row = await db
    .updateTable('tasks')
    .set(change)
    .where('id', '=', id)
    .where('lease_epoch', '=', lease_epoch)
    .where('state', 'in', OPEN)
    .returningAll()
    .executeTakeFirst();
  return row ?? null;
}

/**
 * Takes a task up that waits for its time, for as long as `untilMs`; null where somebody else did. Of two that try, the one that comes
 * second finds another epoch.
 */
export async function claimDue(
  { db, nowMs }: WriteTx,
  { id, lease_epoch }: Claimed,
  untilMs: number,
): Promise<TaskRow | null> {
  const row = await db
    .updateTable('tasks')
    .set((eb) => ({
      lease_epoch: lease_epoch + 1,
      next_at: untilMs,
      crashes: eb('crashes', '+', 1),
    }))
    .where('id', '=', id)
    .where('lease_epoch', '=', lease_epoch)
    .where('next_at', '<=', nowMs)
    .returningAll()
    .executeTakeFirst();
  return row ?? null;
}

/** After so many looks that did not come to an end a task is suspect: see Pump. */
const SUSPECT_CRASHES = 3;

/** What is due, longest due first: the suspects, or the others. */
export function dueTasks(
  db: Db,
  nowMs: number,
  { limit, isSuspect }: { limit: number; isSuspect: boolean },
): Promise<TaskRow[]> {
  return db
    .selectFrom('tasks')
    .selectAll()
    .where('next_at', '<=', nowMs)
    .where('crashes', isSuspect ? '>=' : '<', SUSPECT_CRASHES)
    .orderBy('next_at')
    .limit(limit)
    .execute();
}

/** What waited in its queue until its time was over. */
export function overdueTasks(db: Db, nowMs: number, limit: number): Promise<TaskRow[]> {
  return db
    .selectFrom('tasks')
    .selectAll()
    .where('queue', 'is not', null)
    .where('deadline_at', '<=', nowMs)
    .orderBy('deadline_at')
    .limit(limit)
    .execute();
}

/** Lanes in which tasks wait: one step of the index each, however many wait. */
export async function queuedLanes(db: Db): Promise<string[]> {
  const { rows } = await sql<{ lane: string }>`
    with recursive lanes (lane) as (
      select min(queue) from tasks where queue is not null
      union all
      select (select min(queue) from tasks where queue > lanes.lane) from lanes where lane is not null
    )
    select lane from lanes where lane is not null limit ${sql.lit(MAX_LANES)}`.execute(db);
  return rows.map(({ lane }) => lane);
}

/** The first task in a lane of the account after `account`, around the end: accounts take turns. */
export async function nextInLane(
  db: Db,
  lane: string,
  account: string,
): Promise<TaskRow | undefined> {
  const first = (after: string) =>
    db
      .selectFrom('tasks')
      .selectAll()
      .where('queue', '=', lane)
      .where('account_id', '>', after)
      .orderBy('account_id')
      .orderBy('priority', 'desc')
      .orderBy('id')
      .limit(1)
      .executeTakeFirst();
  return (await first(account)) ?? (account === '' ? undefined : first(''));
}

const MAX_COUNTED = 1_000;

/** How many of the same account stand before it in its lane; null where it does not wait. A large number is cut off. */
export async function placeInQueue(db: Db, row: TaskRow): Promise<number | null> {
  const { queue, account_id, priority, id } = row;
  if (queue === null) return null;
  const { count } = await db
    .selectFrom(
      db
        .selectFrom('tasks')
        .select('id')
        .where('queue', '=', queue)
        .where('account_id', '=', account_id)
        .where((eb) =>
          eb.or([
            eb('priority', '>', priority),
            eb.and([eb('priority', '=', priority), eb('id', '<', id)]),
          ]),
        )
        .limit(MAX_COUNTED)
        .as('before'),
    )
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return count;
}
