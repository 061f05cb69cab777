/**
 * Where usage is read from: sums by UTC day up to a mark in the entries, and the entries and holds after it. Rows of both have the
 * same columns, so that a sum over all of them is exact at any moment, whatever has been rolled up.
 */
import { type RawBuilder, sql } from 'kysely';
import { jsonCount, jsonFlag } from '../db/json.ts';

export const DAY_MS = 86_400_000;

/** What is summed; the columns of `usage_days` after its key. */
export const COUNTS = [
  'requests',
  'input_tokens',
  'output_tokens',
  'cached_input_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
  'estimated',
  'cost',
  'shortfall',
  'refunded',
] as const;

export const COLUMNS = ['account_id', 'day', 'key_id', 'model', ...COUNTS] as const;

type Sql = RawBuilder<unknown>;

const MEASURED = sql.raw(
  ['input_tokens', 'output_tokens', 'cached_input_tokens', 'cache_write_tokens', 'reasoning_tokens']
    .map((name) => `${jsonCount('h.usage', name)} as ${name}`)
    .concat(`${jsonFlag('h.usage', 'estimated')} as estimated`)
    .join(', '),
);

const dayOf = (column: string) => sql.raw(`${column} / ${DAY_MS} as day`);
const OF_HOLD = sql.raw(`coalesce(h.key_id, '') as key_id, coalesce(h.model, '') as model`);

/** Not by the index over kinds, which holds every charge there ever was: by what `which` says. */
const isOfKind = (kind: 'CHARGE' | 'REFUND') => sql.raw(`e.kind || '' = '${kind}'`);

/** Holds that were charged. `which`: about `e`, their CHARGE entries. */
export function charged(which: Sql): Sql {
  return sql`select e.debit_account as account_id, ${dayOf('e.at')}, ${OF_HOLD}, 1 as requests, ${MEASURED},
      e.amount as cost, h.shortfall as shortfall, 0 as refunded
    from entries e join holds h on h.id = e.ref where ${isOfKind('CHARGE')} and ${which}`;
}

const FREE = sql`select h.account_id as account_id, ${dayOf('h.resolved_at')}, ${OF_HOLD}, 1 as requests, ${MEASURED},
      0 as cost, h.shortfall as shortfall, 0 as refunded`;

/** Holds that were captured for nothing, not added to the sums yet. `which`: about `f`, their rows in `usage_free`, and `h`, the holds. */
export function free(which: Sql): Sql {
  return sql`${FREE} from usage_free f join holds h on h.id = f.hold_id where ${which}`;
}

/** The others, by a look at every hold: for `verify`. */
export function freeAndRolled(): Sql {
  return sql`${FREE} from holds h where h.state = 'captured' and h.captured = 0
    and not exists (select 1 from usage_free f where f.account_id = h.account_id and f.hold_id = h.id)`;
}

/** Charges that were given back; no key's, because an entry names none. `which`: about `e`, the REFUND entries. */
export function refunded(which: Sql): Sql {
  const none = sql.raw(
    COUNTS.filter((name) => name !== 'refunded')
      .map((name) => `0 as ${name}`)
      .join(', '),
  );
  return sql`select e.credit_account as account_id, ${dayOf('e.at')}, '' as key_id, coalesce(e.model, '') as model,
      ${none}, e.amount as refunded
    from entries e where ${isOfKind('REFUND')} and ${which}`;
}

export interface Span {
  /** Days since 1970-01-01 UTC, both inclusive. */
  fromDay: number;
  toDay: number;
}

/** Everything that an account used in a span of days: rows with COLUMNS. One statement, so one state of the database. */
export function usedBy(accountId: string, { fromDay, toDay }: Span): Sql {
  const [from, to] = [fromDay * DAY_MS, (toDay + 1) * DAY_MS];
  const isLater = sql`e.seq > (select seq from usage_mark where id = 1) and e.at >= ${from} and e.at < ${to}`;
  return sql`select ${sql.raw(COLUMNS.join(', '))} from usage_days
      where account_id = ${accountId} and day between ${fromDay} and ${toDay}
    union all ${charged(sql`e.debit_account = ${accountId} and ${isLater}`)}
    union all ${refunded(sql`e.credit_account = ${accountId} and ${isLater}`)}
    union all ${free(sql`f.account_id = ${accountId} and h.resolved_at >= ${from} and h.resolved_at < ${to}`)}`;
}
