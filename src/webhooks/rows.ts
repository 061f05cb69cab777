/** The rows of deliveries. */
import { type Kysely, sql } from 'kysely';
import type { DeliveryRow, DeliveryState, Tables } from '../db/tables.ts';
import type { Lane } from './lanes.ts';

export interface DeliveryFilter {
  limit: number;
  before?: string | undefined;
  state?: DeliveryState | undefined;
  accountId?: string | undefined;
  taskId?: string | undefined;
}

/** Newest first. */
export function listDeliveries(
  db: Kysely<Tables>,
  { limit, before, state, accountId, taskId }: DeliveryFilter,
): Promise<DeliveryRow[]> {
  let query = db.selectFrom('webhook_deliveries').selectAll();
  if (before !== undefined) query = query.where('id', '<', before);
  const isNarrow = accountId !== undefined || taskId !== undefined;
  if (state !== undefined && !isNarrow) query = query.where('state', '=', state);
  // As text it has no index: an account has fewer of them than a state has.
  else if (state !== undefined) query = query.where(sql`state || ''`, '=', state);
  if (accountId !== undefined) query = query.where('account_id', '=', accountId);
  if (taskId !== undefined) query = query.where('task_id', '=', taskId);
  return query.orderBy('id', 'desc').limit(limit).execute();
}

/** Which lanes have something due, the longest waiting first. */
export async function dueLanes(db: Kysely<Tables>, nowMs: number, limit: number): Promise<Lane[]> {
  const rows = await db
    .selectFrom('webhook_deliveries')
    .select(['account_id', 'origin'])
    .where('state', '=', 'pending')
    .where('next_at', '<=', nowMs)
    .groupBy(['account_id', 'origin'])
    .orderBy((eb) => eb.fn.min('next_at'))
    .limit(limit)
    .execute();
  return rows.map(({ account_id: accountId, origin }) => ({ accountId, origin }));
}

export function dueOfLane(
  db: Kysely<Tables>,
  { accountId, origin }: Lane,
  nowMs: number,
  limit: number,
): Promise<DeliveryRow[]> {
  return db
    .selectFrom('webhook_deliveries')
    .selectAll()
    .where('state', '=', 'pending')
    .where('account_id', '=', accountId)
    .where('origin', '=', origin)
    .where('next_at', '<=', nowMs)
    .orderBy('next_at')
    .limit(limit)
    .execute();
}
