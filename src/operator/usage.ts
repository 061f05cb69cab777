/** What everybody used: by day and model, and by key. */
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { servedIn } from '../usage/channel-sources.ts';
import type { Span } from '../usage/sources.ts';

export interface UsagePart {
  /** UTC, days since 1970-01-01. */
  day: number;
  model: string;
  requests: number;
  /** Nano-USD. */
  revenue: bigint;
  upstream: bigint;
  uncosted: number;
}

export type DayPart = Pick<UsagePart, 'day' | 'revenue' | 'upstream'>;

export interface KeyPart {
  /** '' for requests that wallets signed themselves. */
  keyId: string;
  /** What it is called; null for none. */
  label: string | null;
  requests: number;
  /** Charged less refunded, nano-USD. */
  cost: bigint;
}

/** Days times models; beyond them nothing is told. */
const MOST_PARTS = 20_000;
const MOST_KEYS = 20;

export class OperatorUsage {
  readonly #read: Kysely<Tables>;

  /** `read`: a connection on which a long statement keeps nobody waiting. */
  constructor(read: Kysely<Tables>) {
    this.#read = read;
  }

  /** Oldest day first. */
  async byModel(span: Span): Promise<UsagePart[]> {
    const { rows } = await sql<
      Omit<UsagePart, 'revenue' | 'upstream'> & Record<'revenue' | 'upstream', string>
    >`
      select day, model, sum(requests) as requests, cast(sum(revenue) as text) as revenue,
        cast(sum(upstream) as text) as upstream, sum(uncosted) as uncosted
      from (${servedIn(span)}) as parts group by day, model order by day, model
      limit ${sql.lit(MOST_PARTS)}`.execute(this.#read);
    return rows.map((row) => ({
      ...row,
      revenue: BigInt(row.revenue),
      upstream: BigInt(row.upstream),
    }));
  }

  /** The dearest few, of what was rolled up. */
  async byKey({ fromDay, toDay }: Span): Promise<KeyPart[]> {
    const { rows } = await sql<{
      key_id: string;
      label: string | null;
      requests: number;
      cost: string;
    }>`
      select s.*, k.description as label from (
        select key_id, sum(requests) as requests, cast(sum(cost - refunded) as text) as cost
        from usage_days where day between ${fromDay} and ${toDay}
        group by key_id order by sum(cost - refunded) desc limit ${sql.lit(MOST_KEYS)}
      ) as s left join api_keys k on k.id = s.key_id`.execute(this.#read);
    return rows.map(({ key_id: keyId, cost, ...rest }) => ({ ...rest, keyId, cost: BigInt(cost) }));
  }

  /** Oldest day first; days without any are left out. */
  async byDay(span: Span): Promise<DayPart[]> {
    const { rows } = await sql<{ day: number; revenue: string; upstream: string }>`
      select day, cast(sum(revenue) as text) as revenue, cast(sum(upstream) as text) as upstream
      from (${servedIn(span)}) as parts group by day order by day`.execute(this.#read);
    return rows.map(({ day, revenue, upstream }) => ({
      day,
      revenue: BigInt(revenue),
      upstream: BigInt(upstream),
    }));
  }
}
