/** Rules of `verify` about tasks: their money, and that none is left alone. */
import { type Kysely, sql } from 'kysely';
import type { Tables } from './db/tables.ts';
import { collect, type Fault, type Found } from './verify-rules.ts';

const MAX_ROWS = 20;
/** What waits for its turn is taken up by the next beat; a stopped server leaves it where it is. */
const OPEN = sql`('pending', 'processing')`;

/**
 * Invariant 5: a task that has not ended has its hold open; completed is captured, everything else given back; what it says that it was
 * charged is what was. Invariant 6: whatever has not ended is in a queue or has a time at which it is looked at.
 */
export async function taskFaults(db: Kysely<Tables>): Promise<Fault[]> {
  const money = sql<Found>`
    select 'tasks ' || t.id as row,
      'is ' || t.state || ', its hold is ' || coalesce(h.state, 'not there') as message
    from tasks t left join holds h on h.id = t.hold_id
    where h.id is null or h.purpose <> 'task' or h.account_id <> t.account_id or h.amount <> t.held
      or h.state <> case when t.state in ${OPEN} then 'open' when t.state = 'completed' then 'captured' else 'voided' end
    limit ${sql.lit(MAX_ROWS)}`;
  const charged = sql<Found>`
    select 'tasks ' || t.id as row,
      'says ' || t.charged || ' was charged, its hold says ' || h.captured as message
    from tasks t join holds h on h.id = t.hold_id
    where t.charged <> h.captured limit ${sql.lit(MAX_ROWS)}`;
  const orphan = sql<Found>`
    select 'holds ' || h.id as row, 'is of a task that does not exist' as message
    from holds h where h.purpose = 'task' and not exists (select 1 from tasks t where t.hold_id = h.id)
    limit ${sql.lit(MAX_ROWS)}`;
  const alone = sql<Found>`
    select 'tasks ' || id as row, 'is ' || state || ' and nobody looks at it' as message
    from tasks where state in ${OPEN} and queue is null and next_at is null limit ${sql.lit(MAX_ROWS)}`;
  return [...(await collect(db, 5, [money, charged, orphan])), ...(await collect(db, 6, [alone]))];
}
