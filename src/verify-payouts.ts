/** The rules of `verify` about money that leaves: payouts, their holds, and what the clearing accounts come to. */
import { type Kysely, sql } from 'kysely';
import type { Tables } from './db/tables.ts';
import { collect, type Fault, type Found } from './verify-rules.ts';

const MAX_ROWS = 20;
/** One that is on its way is looked at at least this often. */
const LOOK_MARGIN_MS = 10 * 60_000;

/** Invariants 3 and 6: one WITHDRAWAL per settled payout, of its amount; a payout under way has its hold, an ended one has none. */
export async function payoutFaults(db: Kysely<Tables>, nowMs: number): Promise<Fault[]> {
  const withdrawn = sql<Found>`
    select 'payouts ' || p.id as row,
      p.state || ' over ' || p.amount || ' nano, its withdrawal is ' || coalesce(e.amount, 0) as message
    from payouts p left join entries e on e.kind = 'WITHDRAWAL' and e.ref = p.id
    where (p.state in ('settled', 'reversed')) <> (e.amount is not null)
       or cast(p.units as bigint) * 1000 <> p.amount
       or (e.amount is not null and (e.amount <> p.amount or e.debit_account <> p.account_id
         or e.credit_account <> 'sys:clearing:' || p.network))
    limit ${sql.lit(MAX_ROWS)}`;
  const reversed = sql<Found>`
    select 'payouts ' || p.id as row,
      p.state || ' over ' || p.amount || ' nano, its reversal is ' || coalesce(e.amount, 0) as message
    from payouts p left join entries e on e.kind = 'REVERSAL' and e.ref = p.id
    where (p.state = 'reversed') <> (e.amount is not null)
       or (e.amount is not null and (e.amount <> p.amount or e.credit_account <> p.account_id
         or e.debit_account <> 'sys:clearing:' || p.network))
    limit ${sql.lit(MAX_ROWS)}`;
  const stray = sql<Found>`
    select 'entries ' || e.seq as row, 'withdraws for payout ' || e.ref || ', which does not exist' as message
    from entries e left join payouts p on p.id = e.ref
    where e.kind = 'WITHDRAWAL' and p.id is null limit ${sql.lit(MAX_ROWS)}`;
  const owner = sql<Found>`
    select 'payouts ' || p.id as row, 'goes to ' || p.recipient || ', which does not own its account' as message
    from payouts p left join wallets w on w.account_id = p.account_id and w.address = p.recipient
    where w.account_id is null limit ${sql.lit(MAX_ROWS)}`;
  const held = sql<Found>`
    select 'payouts ' || p.id as row, 'is ' || p.state || ', its hold ' || h.state || ' over ' || h.amount as message
    from payouts p join holds h on h.id = p.hold_id
    where (p.state in ('requested', 'approved', 'sent')) <> (h.state = 'open')
       or h.amount <> p.amount or h.account_id <> p.account_id
    limit ${sql.lit(MAX_ROWS)}`;
  const unowned = sql<Found>`
    select 'holds ' || h.id as row, 'is set aside for a payout that does not exist' as message
    from holds h left join payouts p on p.hold_id = h.id
    where h.purpose = 'payout' and p.id is null limit ${sql.lit(MAX_ROWS)}`;
  const stuck = sql<Found>`
    select 'payouts ' || id as row, 'is ' || state || ' and nobody looks at it' as message
    from payouts where (state = 'sent' or (state = 'approved' and method = 'embedded'))
      and (next_check_at is null or next_check_at < ${nowMs - LOOK_MARGIN_MS}) limit ${sql.lit(MAX_ROWS)}`;
  return [
    ...(await collect(db, 3, [withdrawn, reversed, stray, owner, held, unowned])),
    ...(await collect(db, 6, [stuck])),
  ];
}

/** Invariant 3: what a network's clearing account owes is what was paid in on it, less what was taken back or paid out. */
export async function clearingFaults(db: Kysely<Tables>): Promise<Fault[]> {
  const clearing = sql<Found>`
    with booked as (
      select account, sum(change) as balance from (
        select debit_account as account, amount as change from entries where debit_account like 'sys:clearing:%'
        union all
        select credit_account as account, -amount as change from entries where credit_account like 'sys:clearing:%'
      ) as changes group by account
    ), moved as (
      select 'sys:clearing:' || network as account, sum(change) as balance from (
        select network, cast(units as bigint) * 1000 as change from payments where state = 'settled'
        union all
        select network, -amount as change from payouts where state = 'settled'
      ) as changes group by network
    )
    select b.account as row,
      'comes to ' || b.balance || ', its payments and payouts make ' || coalesce(m.balance, 0) as message
    from booked b left join moved m on m.account = b.account
    where b.balance <> coalesce(m.balance, 0) limit ${sql.lit(MAX_ROWS)}`;
  return collect(db, 3, [clearing]);
}
