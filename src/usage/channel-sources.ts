/** What was charged for what each channel served, and what it cost: rows of one shape, from sums by day and from the entries after them. */
import { type RawBuilder, sql } from 'kysely';
import { jsonCountOrNull, jsonTextOrNull } from '../db/json.ts';
import { DAY_MS, type Span } from './sources.ts';

type Sql = RawBuilder<unknown>;

/** The columns of `channel_days` after its key. */
export const CHANNEL_COUNTS = ['requests', 'revenue', 'upstream', 'uncosted'] as const;
export const CHANNEL_KEY = ['channel_id', 'day', 'model'] as const;

const CHANNEL = jsonTextOrNull('h.usage', 'channel');
const UPSTREAM = jsonCountOrNull('h.usage', 'upstream_nano');
const rowOf = (at: string, revenue: string) =>
  sql.raw(`${CHANNEL} as channel_id, ${at} / ${DAY_MS} as day, coalesce(h.model, '') as model,
      1 as requests, ${revenue} as revenue, coalesce(${UPSTREAM}, 0) as upstream,
      case when ${UPSTREAM} is null then 1 else 0 end as uncosted`);
const HAS_CHANNEL = sql.raw(`${CHANNEL} is not null`);

/** `which`: about `e`, the CHARGE entries. */
export function channelCharged(which: Sql): Sql {
  return sql`select ${rowOf('e.at', 'e.amount')} from entries e join holds h on h.id = e.ref
    where ${sql.raw(`e.kind || '' = 'CHARGE'`)} and ${which} and ${HAS_CHANNEL}`;
}

/** Captures that cost nothing. `which`: about `f`, their rows in `usage_free`. */
export function channelFree(which: Sql): Sql {
  return sql`select ${rowOf('h.resolved_at', '0')} from usage_free f join holds h on h.id = f.hold_id
    where ${which} and ${HAS_CHANNEL}`;
}

/** The others, by a look at every hold: for `verify`. */
export function channelFreeAndRolled(): Sql {
  return sql`select ${rowOf('h.resolved_at', '0')} from holds h where h.state = 'captured' and h.captured = 0
    and not exists (select 1 from usage_free f where f.account_id = h.account_id and f.hold_id = h.id)
    and ${HAS_CHANNEL}`;
}

/** Everything in a span of days. One statement, so one state of the database. */
export function servedIn({ fromDay, toDay }: Span): Sql {
  const [from, to] = [fromDay * DAY_MS, (toDay + 1) * DAY_MS];
  const isLater = sql`e.seq > (select seq from usage_mark where id = 1) and e.at >= ${from} and e.at < ${to}`;
  const columns = sql.raw([...CHANNEL_KEY, ...CHANNEL_COUNTS].join(', '));
  return sql`select ${columns} from channel_days where day between ${fromDay} and ${toDay}
    union all ${channelCharged(isLater)}
    union all ${channelFree(sql`h.resolved_at >= ${from} and h.resolved_at < ${to}`)}`;
}
