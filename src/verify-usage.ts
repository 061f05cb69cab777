/** The rules of `verify` about the sums of usage by day. */
import { type Kysely, sql } from 'kysely';
import type { Tables } from './db/tables.ts';
import {
  CHANNEL_COUNTS,
  CHANNEL_KEY,
  channelCharged,
  channelFreeAndRolled,
} from './usage/channel-sources.ts';
import { charged, COLUMNS, COUNTS, freeAndRolled, refunded } from './usage/sources.ts';
import { collect, type Fault, type Found } from './verify-rules.ts';

const MAX_ROWS = 20;

/** Invariant 8: sums by day, account, key and model are those of the entries up to the mark and of the captures that cost nothing. */
export async function usageFaults(db: Kysely<Tables>): Promise<Fault[]> {
  const isRolled = sql`e.seq <= (select seq from usage_mark where id = 1)`;
  const key = sql.raw('account_id, day, key_id, model');
  const minus = sql.raw(COUNTS.map((name) => `-${name} as ${name}`).join(', '));
  const sums = sql.raw(COUNTS.map((name) => `sum(${name}) as ${name}`).join(', '));
  const isOff = sql.raw(COUNTS.map((name) => `sum(${name}) <> 0`).join(' or '));
  const days = sql<Found>`
    with made as (
      ${charged(isRolled)} union all ${refunded(isRolled)} union all ${freeAndRolled()}
    ), differences as (
      select ${key}, ${sums} from (
        select ${sql.raw(COLUMNS.join(', '))} from usage_days
        union all select ${key}, ${minus} from made
      ) as both_sides group by ${key} having ${isOff}
    )
    select 'usage_days ' || account_id || ' ' || day || ' ' || key_id || ' ' || model as row,
      'differs from what was charged by ' || cost || ' nano, ' || refunded || ' refunded, ' || shortfall
        || ' short, ' || requests || ' requests, ' || input_tokens || ' and ' || output_tokens || ' tokens' as message
    from differences limit ${sql.lit(MAX_ROWS)}`;
  const free = sql<Found>`
    select 'usage_free ' || f.hold_id as row, 'is of no hold that was captured for nothing' as message
    from usage_free f left join holds h on h.id = f.hold_id and h.account_id = f.account_id
    where h.id is null or h.state <> 'captured' or h.captured <> 0 limit ${sql.lit(MAX_ROWS)}`;
  const mark = sql<Found>`
    select 'usage_mark' as row, 'is at entry ' || m.seq || ', the last one is ' || coalesce(e.seq, 0) as message
    from usage_mark m, (select max(seq) as seq from entries) as e where m.seq > coalesce(e.seq, 0)`;
  return collect(db, 8, [days, channels(), free, mark]);
}

/** What channels served, likewise. */
function channels() {
  const isRolled = sql`e.seq <= (select seq from usage_mark where id = 1)`;
  const key = sql.raw(CHANNEL_KEY.join(', '));
  const minus = sql.raw(CHANNEL_COUNTS.map((name) => `-${name} as ${name}`).join(', '));
  const sums = sql.raw(CHANNEL_COUNTS.map((name) => `sum(${name}) as ${name}`).join(', '));
  const isOff = sql.raw(CHANNEL_COUNTS.map((name) => `sum(${name}) <> 0`).join(' or '));
  return sql<Found>`
    with made as (${channelCharged(isRolled)} union all ${channelFreeAndRolled()}), differences as (
      select ${key}, ${sums} from (
        select ${key}, ${sql.raw(CHANNEL_COUNTS.join(', '))} from channel_days
        union all select ${key}, ${minus} from made
      ) as both_sides group by ${key} having ${isOff}
    )
    select 'channel_days ' || channel_id || ' ' || day || ' ' || model as row,
      'differs from what was charged by ' || revenue || ' nano, ' || upstream || ' nano of cost, '
        || requests || ' requests, ' || uncosted || ' without a cost' as message
    from differences limit ${sql.lit(MAX_ROWS)}`;
}
