/** The rules of `verify` that are one query each: a row that comes back breaks the rule. */
import { type Kysely, sql } from 'kysely';
import type { Tables } from './db/tables.ts';

export interface Fault {
  /** Number of the invariant in docs/money.md. */
  invariant: number;
  /** Table and key of the row that breaks it. */
  row: string;
  message: string;
}

const MAX_ROWS = 20;
/** A hold past its expiry is given back by the next sweep; longer than this and no sweep runs. */
const HOLD_MARGIN_MS = 60_000;
/** An unknown payment is asked about at least this often. */
const PAYMENT_MARGIN_MS = 10 * 60_000;

export type Found = { row: string; message: string };

/** Invariant 1: posted = entries, held = open holds, 0 <= held <= posted for wallets. */
export async function accountFaults(db: Kysely<Tables>): Promise<Fault[]> {
  const posted = sql<Found>`
    with moved as (
      select account, sum(change) as posted from (
        select credit_account as account, amount as change from entries
        union all
        select debit_account as account, -amount as change from entries
      ) as changes group by account
    )
    select 'accounts ' || a.id as row,
      'posted is ' || a.posted || ', its entries make ' || coalesce(m.posted, 0) as message
    from accounts a left join moved m on m.account = a.id
    where a.posted <> coalesce(m.posted, 0) limit ${sql.lit(MAX_ROWS)}`;
  const unknown = sql<Found>`
    select 'entries ' || e.seq as row, 'names an account that does not exist' as message
    from entries e
    where (e.debit_account not like 'sys:%' and not exists (select 1 from accounts a where a.id = e.debit_account))
       or (e.credit_account not like 'sys:%' and not exists (select 1 from accounts a where a.id = e.credit_account))
    limit ${sql.lit(MAX_ROWS)}`;
  const held = sql<Found>`
    select 'accounts ' || a.id as row,
      'held is ' || a.held || ', its open holds make ' || coalesce(h.held, 0) as message
    from accounts a
    left join (select account_id, sum(amount) as held from holds where state = 'open' group by account_id) h
      on h.account_id = a.id
    where a.held <> coalesce(h.held, 0) limit ${sql.lit(MAX_ROWS)}`;
  const bounds = sql<Found>`
    select 'accounts ' || id as row, 'posted ' || posted || ', held ' || held || ' is out of bounds' as message
    from accounts
    where held < 0 or held > posted + credit_line or (kind = 'wallet' and posted < 0) limit ${sql.lit(MAX_ROWS)}`;
  return collect(db, 1, [posted, unknown, held, bounds]);
}

/** Invariants 2 and 6: captured <= amount, its CHARGE entry equals it, no hold outlives its expiry. */
export async function holdFaults(db: Kysely<Tables>, nowMs: number): Promise<Fault[]> {
  const charge = sql<Found>`
    select 'holds ' || h.id as row,
      h.state || ' with ' || h.captured || ' captured, its entries charge ' || coalesce(e.amount, 0) as message
    from holds h left join entries e on e.kind = 'CHARGE' and e.ref = h.id
    where h.captured <> coalesce(e.amount, 0) or h.captured > h.amount
       or (e.amount is not null and (e.debit_account <> h.account_id or h.state <> 'captured'))
    limit ${sql.lit(MAX_ROWS)}`;
  const shortfall = sql<Found>`
    select 'holds ' || h.id as row,
      'shortfall is ' || h.shortfall || ', its entries make ' || coalesce(e.amount, 0) as message
    from holds h left join entries e on e.kind = 'SHORTFALL' and e.ref = h.id
    where h.shortfall <> coalesce(e.amount, 0) limit ${sql.lit(MAX_ROWS)}`;
  const orphan = sql<Found>`
    select 'entries ' || e.seq as row, 'charges hold ' || e.ref || ', which does not exist' as message
    from entries e left join holds h on h.id = e.ref
    where e.kind = 'CHARGE' and h.id is null limit ${sql.lit(MAX_ROWS)}`;
  const stale = sql<Found>`
    select 'holds ' || id as row, 'is open past its expiry' as message
    from holds where state = 'open' and expires_at < ${nowMs - HOLD_MARGIN_MS} limit ${sql.lit(MAX_ROWS)}`;
  return [
    ...(await collect(db, 2, [charge, shortfall, orphan])),
    ...(await collect(db, 6, [stale])),
  ];
}

/** Invariants 3 and 6: one DEPOSIT per settled payment, to its payer, of its amount; nothing unknown is left alone. */
export async function paymentFaults(db: Kysely<Tables>, nowMs: number): Promise<Fault[]> {
  const credited = sql<Found>`
    select 'payments ' || p.id as row,
      p.state || ' over ' || p.units || ' units, its deposit is ' || coalesce(e.amount, 0) || ' nano' as message
    from payments p left join entries e on e.kind = 'DEPOSIT' and e.ref = p.id
    where (p.state in ('settled', 'reversed')) <> (e.amount is not null)
       or (e.amount is not null and (e.credit_account <> p.account_id
         or e.debit_account <> 'sys:clearing:' || p.network))
    limit ${sql.lit(MAX_ROWS)}`;
  const amount = sql<Found>`
    select 'payments ' || p.id as row, 'its deposit of ' || e.amount || ' nano is not ' || p.units || ' units' as message
    from payments p join entries e on e.kind = 'DEPOSIT' and e.ref = p.id
    where cast(p.units as bigint) * 1000 <> e.amount limit ${sql.lit(MAX_ROWS)}`;
  const payer = sql<Found>`
    select 'payments ' || p.id as row, 'is credited to an account that ' || p.payer || ' does not own' as message
    from payments p left join wallets w on w.account_id = p.account_id and w.address = p.payer
    where p.state in ('settled', 'reversed') and w.account_id is null limit ${sql.lit(MAX_ROWS)}`;
  const stray = sql<Found>`
    select 'entries ' || e.seq as row, 'deposits payment ' || e.ref || ', which does not exist' as message
    from entries e left join payments p on p.id = e.ref
    where e.kind = 'DEPOSIT' and p.id is null limit ${sql.lit(MAX_ROWS)}`;
  const stuck = sql<Found>`
    select 'payments ' || id as row, 'is ' || state || ' and nobody asks about it' as message
    from payments where state = 'submitted'
      and (next_check_at is null or next_check_at < ${nowMs - PAYMENT_MARGIN_MS}) limit ${sql.lit(MAX_ROWS)}`;
  return [
    ...(await collect(db, 3, [credited, amount, payer, stray])),
    ...(await collect(db, 6, [stuck])),
  ];
}

/** Invariant 4: every key window counts exactly the holds stamped with it, those of the keys that come from its key among them. */
export async function windowFaults(db: Kysely<Tables>): Promise<Fault[]> {
  const counted = sql<Found>`
    with recursive lineage (key_id, counted) as (
      select id, id from api_keys
      union all
      select l.key_id, k.parent_id from lineage l join api_keys k on k.id = l.counted where k.parent_id is not null
    ), spent as (
      select l.counted as key_id, h.day, h.month, h.captured,
        case when h.state = 'open' then h.amount else 0 end as held
      from holds h join lineage l on l.key_id = h.key_id
    ), stamped as (
      select key_id, 'EPOCH' as period, day as start, captured, held from spent
      union all
      select key_id, 'MONTH', month, captured, held from spent
      union all
      select key_id, 'LIFETIME', '', captured, held from spent
    ), sums as (
      select key_id, period, start, sum(captured) as captured, sum(held) as held from stamped
      group by key_id, period, start
    )
    select 'key_windows ' || s.key_id || ' ' || s.period || ' ' || s.start as row,
      'counts ' || coalesce(w.captured, 0) || ' captured and ' || coalesce(w.held, 0) || ' held, its holds make '
        || s.captured || ' and ' || s.held as message
    from sums s left join key_windows w
      on w.key_id = s.key_id and w.period = s.period and w.start = s.start
    where coalesce(w.captured, 0) <> s.captured or coalesce(w.held, 0) <> s.held
    union all
    select 'key_windows ' || w.key_id || ' ' || w.period || ' ' || w.start,
      'counts ' || w.captured || ' captured and ' || w.held || ' held, but no hold is stamped with it'
    from key_windows w left join sums s
      on s.key_id = w.key_id and s.period = w.period and s.start = w.start
    where s.key_id is null and w.captured + w.held > 0
    limit ${sql.lit(MAX_ROWS)}`;
  const overdrawn = sql<Found>`
    select 'holds ' || id as row, 'left ' || limit_left || ' of a limit' as message
    from holds where limit_left < 0 limit ${sql.lit(MAX_ROWS)}`;
  const unkeyed = sql<Found>`
    select 'holds ' || h.id as row, 'is of key ' || h.key_id || ', which does not exist' as message
    from holds h left join api_keys k on k.id = h.key_id
    where h.key_id is not null and k.id is null limit ${sql.lit(MAX_ROWS)}`;
  return collect(db, 4, [counted, overdrawn, unkeyed]);
}

export async function collect(
  db: Kysely<Tables>,
  invariant: number,
  queries: ReturnType<typeof sql<Found>>[],
): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (const query of queries) {
    const { rows } = await query.execute(db);
    faults.push(...rows.map((row) => ({ invariant, ...row })));
  }
  return faults;
}
