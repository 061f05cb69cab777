/** The rule of `verify` about idempotency keys. */
import { type Kysely, sql } from 'kysely';
import type { Tables } from './db/tables.ts';
import { collect, type Fault, type Found } from './verify-rules.ts';

const MAX_ROWS = 20;

/**
 * Invariant 2: a key that is done stands for a hold that was captured, or for a task, which its answer says was made; and no two keys
 * stand for one.
 */
export async function idempotencyFaults(db: Kysely<Tables>): Promise<Fault[]> {
  const charged = sql<Found>`
    select 'idempotency_keys ' || k.request_id as row,
      'is done, its hold ' || coalesce(h.state, 'does not exist') as message
    from idempotency_keys k left join holds h on h.id = k.hold_id
    where k.state = 'done' and k.hold_id is not null and coalesce(h.state, '') <> 'captured'
      and coalesce(h.purpose, '') <> 'task'
    limit ${sql.lit(MAX_ROWS)}`;
  const shared = sql<Found>`
    select 'holds ' || hold_id as row, 'is of ' || count(*) || ' idempotency keys' as message
    from idempotency_keys where hold_id is not null
    group by hold_id having count(*) > 1 limit ${sql.lit(MAX_ROWS)}`;
  return collect(db, 2, [charged, shared]);
}
