/** How keys are read: those above and below one, those within somebody's reach, and whether there is room for one more. */
import type { Kysely } from 'kysely';
import type { ApiKeyRow, Tables } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { ancestorsOf } from '../ledger/key-windows.ts';
import type { KeyInfo, KeyScope } from './keys.ts';

export const MAX_ACTIVE = 500;
const MAX_PER_MINUTE = 20;
const MAX_DEPTH = 5;
const MINUTE_MS = 60_000;

export function works(row: KeyInfo, nowMs: number): boolean {
  return row.state === 'active' && (row.expires_at === null || row.expires_at > nowMs);
}

/** The keys that a key comes from, nearest first. */
export async function keysAbove(db: Kysely<Tables>, row: ApiKeyRow): Promise<ApiKeyRow[]> {
  if (row.parent_id === null) return [];
  const ids = (await ancestorsOf(db, [row.id])).get(row.id) ?? (await lineage(db, row.parent_id));
  const rows = await db.selectFrom('api_keys').selectAll().where('id', 'in', ids).execute();
  return ids.map((id) => rows.find((found) => found.id === id)!);
}

async function lineage(db: Kysely<Tables>, id: string): Promise<string[]> {
  return [id, ...((await ancestorsOf(db, [id])).get(id) ?? [])];
}

export async function parentsOf(
  db: Kysely<Tables>,
  parentId: string | null,
  nowMs: number,
): Promise<ApiKeyRow[]> {
  if (parentId === null) return [];
  const ids = await lineage(db, parentId);
  const rows = await db.selectFrom('api_keys').selectAll().where('id', 'in', ids).execute();
  const above = ids.flatMap((id) => rows.find((found) => found.id === id) ?? []);
  if (above.length !== ids.length || !above.every((row) => works(row, nowMs))) {
    throw new AppError('invalid_credential', 'This API key does not work.');
  }
  if (above.length < MAX_DEPTH) return above;
  throw new AppError('forbidden', `Keys come from keys ${MAX_DEPTH} deep at most.`);
}

/** Venice's bounds: 500 active keys an owner, 20 creations a minute. */
export async function requireRoom(
  db: Kysely<Tables>,
  accountId: string,
  nowMs: number,
  isMetered: boolean,
): Promise<void> {
  // Two questions, each by an index of its own: an account may have revoked any number of keys.
  const { active } = await db
    .selectFrom('api_keys')
    .select(({ fn }) => fn.countAll<number>().as('active'))
    .where('account_id', '=', accountId)
    .where('state', '=', 'active')
    .where(({ eb, or }) => or([eb('expires_at', 'is', null), eb('expires_at', '>', nowMs)]))
    .executeTakeFirstOrThrow();
  const { recent } = await db
    .selectFrom('api_keys')
    .select(({ fn }) => fn.countAll<number>().as('recent'))
    .where('account_id', '=', accountId)
    .where('created_at', '>', nowMs - MINUTE_MS)
    .executeTakeFirstOrThrow();
  if (active >= MAX_ACTIVE) {
    throw new AppError('invalid_request', `An account has at most ${MAX_ACTIVE} active keys.`);
  }
  if (!isMetered || recent < MAX_PER_MINUTE) return;
  throw new AppError('rate_limited', `At most ${MAX_PER_MINUTE} keys are made in a minute.`, {
    retryAfterSeconds: MINUTE_MS / 1_000,
  });
}

export async function keyInScope(
  db: Kysely<Tables>,
  id: string,
  scope: KeyScope,
): Promise<ApiKeyRow> {
  const row = await db.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirst();
  if (row && (await isInScope(db, row, scope))) return row;
  throw new AppError('not_found', 'There is no key with this id.');
}

async function isInScope(db: Kysely<Tables>, row: ApiKeyRow, scope: KeyScope): Promise<boolean> {
  if (scope.accountId !== null && scope.accountId !== row.account_id) return false;
  if (scope.under === null) return true;
  if (scope.withSelf && row.id === scope.under) return true;
  return (await ancestorsOf(db, [row.id])).get(row.id)?.includes(scope.under) ?? false;
}

export async function descendantsOf(db: Kysely<Tables>, id: string): Promise<string[]> {
  const found: string[] = [];
  let level = [id];
  for (let depth = 0; level.length && depth < MAX_DEPTH; depth += 1) {
    const next: string[] = [];
    for (const ids of chunks(level)) {
      const rows = await db
        .selectFrom('api_keys')
        .select('id')
        .where('parent_id', 'in', ids)
        .execute();
      next.push(...rows.map((row) => row.id));
    }
    found.push(...next);
    level = next;
  }
  return found;
}

const CHUNK = 200;

export function* chunks(ids: string[]): Iterable<string[]> {
  for (let at = 0; at < ids.length; at += CHUNK) yield ids.slice(at, at + CHUNK);
}
