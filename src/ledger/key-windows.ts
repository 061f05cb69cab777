/**
 * What keys may spend: every hold of a key counts in its UTC day, its UTC month and its life, and in those of each key it comes from,
 * whether or not a limit stands there today. So a change of a limit or of its period reads a running counter.
 */
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { formatUsd, nanoUsd, type NanoUsd } from '../money.ts';
import type { BatchContext, Plan } from './money-batch.ts';
import type { FastOp, Hold, ReserveRequest } from './operations.ts';
import type { KeyState } from './statements.ts';

type Keyed = Pick<ReserveRequest, 'keyId' | 'ancestors'>;
type Keys = ReadonlyMap<string, KeyState>;

const NOBODY: readonly string[] = [];

/** Every key that the operations count against. */
export function keyIds(ops: readonly FastOp[]): string[] {
  const ids = new Set<string>();
  for (const op of ops) {
    const keyed = op.type === 'reserve' ? op.request : op.type === 'resolve' ? op.hold : null;
    if (!keyed || keyed.keyId === null) continue;
    ids.add(keyed.keyId);
    for (const id of keyed.ancestors ?? NOBODY) ids.add(id);
  }
  return [...ids];
}

/** Of each key, the keys that it comes from, nearest first. A key never changes its parent, and its row is never removed. */
export async function ancestorsOf(
  db: Kysely<Tables>,
  ids: readonly string[],
): Promise<Map<string, string[]>> {
  const lineages = new Map<string, string[]>();
  if (!ids.length) return lineages;
  const { rows } = await sql<{ id: string; ancestor: string }>`
    with recursive up (id, ancestor, depth) as (
      select id, parent_id, 1 from api_keys where parent_id is not null and id in (${sql.join([...new Set(ids)])})
      union all
      select up.id, k.parent_id, up.depth + 1 from up join api_keys k on k.id = up.ancestor
        where k.parent_id is not null
    )
    select id, ancestor from up order by id, depth`.execute(db);
  for (const { id, ancestor } of rows) {
    const lineage = lineages.get(id);
    if (lineage) lineage.push(ancestor);
    else lineages.set(id, [ancestor]);
  }
  return lineages;
}

function keysOf({ keyId, ancestors = NOBODY }: Keyed, keys: Keys): readonly KeyState[] {
  if (keyId === null) return NO_KEYS;
  const found = [keyOf(keyId, keys)];
  for (const id of ancestors) found.push(keyOf(id, keys));
  return found;
}

const NO_KEYS: readonly KeyState[] = [];

function keyOf(id: string, keys: Keys): KeyState {
  const key = keys.get(id);
  if (!key) throw new AppError('internal', `a hold needs key ${id}`);
  return key;
}

/** Why the keys of a request refuse it now: one was revoked or has expired, or a limit leaves too little. */
export function refuseKeys(request: ReserveRequest, keys: Keys, nowMs: number): AppError | null {
  const { amount, atLeast = amount } = request;
  for (const key of keysOf(request, keys)) {
    if (key.state !== 'active' || (key.expires_at !== null && key.expires_at <= nowMs)) {
      return new AppError('invalid_credential', 'This API key does not work.');
    }
    if (key.limit_nano === null || atLeast <= key.limit_nano - key.used) continue;
    return overLimit(key, key.limit_nano, atLeast);
  }
  return null;
}

function overLimit(key: KeyState, limit: number, neededNano: number): AppError {
  const left = Math.max(0, limit - key.used);
  const of = { EPOCH: 'a UTC day', MONTH: 'a UTC month', LIFETIME: 'its life' }[key.limit_period];
  return new AppError(
    'spend_limit_exceeded',
    `This API key may spend ${formatUsd(nanoUsd(limit))} USD in ${of}; ${formatUsd(nanoUsd(left))} USD are left, and this request may cost ${formatUsd(nanoUsd(neededNano))} USD.`,
    { details: { limitPeriod: key.limit_period, leftNano: left, neededNano } },
  );
}

/** The most that every limit of a request's keys leaves. */
export function spendable(request: Keyed, keys: Keys): number {
  let room = Number.MAX_SAFE_INTEGER;
  for (const { limit_nano: limit, used } of keysOf(request, keys)) {
    if (limit !== null) room = Math.min(room, limit - used);
  }
  return room;
}

/** The same as it is told: null without any limit, zero where a limit was lowered below what is used. */
export function limitLeft(keyed: Keyed, keys: Keys): NanoUsd | null {
  const room = spendable(keyed, keys);
  return room === Number.MAX_SAFE_INTEGER ? null : nanoUsd(Math.max(0, room));
}

/** Moves the counters of all windows of a hold, those that it was stamped with when it was taken. */
export function countWindows(
  plan: Plan,
  hold: Hold,
  captured: number,
  held: number,
  now: Pick<BatchContext, 'day' | 'month'>,
): void {
  for (const key of keysOf(hold, plan.keys)) {
    count(plan, key, 'EPOCH', hold.day, now.day, captured, held);
    count(plan, key, 'MONTH', hold.month, now.month, captured, held);
    count(plan, key, 'LIFETIME', '', '', captured, held);
  }
}

function count(
  plan: Plan,
  key: KeyState,
  period: KeyState['limit_period'],
  start: string,
  current: string,
  captured: number,
  held: number,
): void {
  const id = `${key.id} ${period} ${start}`;
  const isLimited = key.limit_nano !== null && key.limit_period === period && start === current;
  if (isLimited) key.used += captured + held;
  const sum = plan.windows.get(id);
  if (sum) {
    sum[3] += captured;
    sum[4] += held;
  } else {
    const cap = isLimited ? key.limit_nano : null;
    plan.windows.set(id, [key.id, period, start, captured, held, cap]);
  }
}
