/** What channels served, took and cost, by channel, day and model; how their attempts ended, which is counted in memory and kept. */
import { type Kysely, sql } from 'kysely';
import type { Clock } from '../clock.ts';
import type { Tables } from '../db/tables.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import type { Traffic } from '../routing/traffic.ts';
import { servedIn } from './channel-sources.ts';
import { DAY_MS, type Span } from './sources.ts';

export interface Served {
  requests: number;
  /** Nano-USD, as all that follows. */
  revenue: bigint;
  /** What those requests cost the operator of which that is known. */
  upstream: bigint;
  /** Requests of which it is not. */
  uncosted: number;
}

export interface Attempts {
  attempts: number;
  good: number;
  sick: number;
  busy: number;
}

export type ServedPart = Served & { channel: string; day: number; model: string };

interface PartRow {
  channel_id: string;
  day: number;
  model: string;
  requests: number;
  revenue: string;
  upstream: string;
  uncosted: number;
}

/** Days times models of one channel; what is beyond them is one part without a name. */
const MOST_PARTS = 5_000;

export class ChannelUsage {
  readonly #read: Kysely<Tables>;
  readonly #keeper: Pick<AttemptKeeper, 'pending'>;
  readonly #clock: Clock;

  /** `read`: a connection on which a long statement keeps nobody waiting. */
  constructor(read: Kysely<Tables>, keeper: Pick<AttemptKeeper, 'pending'>, clock: Clock) {
    this.#read = read;
    this.#keeper = keeper;
    this.#clock = clock;
  }

  /** By channel, over all of the span. */
  async served(span: Span): Promise<Map<string, Served>> {
    const { rows } = await sql<PartRow>`
      select channel_id, sum(requests) as requests, cast(sum(revenue) as text) as revenue,
        cast(sum(upstream) as text) as upstream, sum(uncosted) as uncosted
      from (${servedIn(span)}) as parts group by channel_id`.execute(this.#read);
    return new Map(rows.map((row) => [row.channel_id, servedOf(row)]));
  }

  /** Of one channel, by day and model, the oldest day first. */
  async parts(channelId: string, span: Span): Promise<ServedPart[]> {
    const { rows } = await sql<PartRow>`
      select channel_id, day, model, sum(requests) as requests, cast(sum(revenue) as text) as revenue,
        cast(sum(upstream) as text) as upstream, sum(uncosted) as uncosted
      from (${servedIn(span)}) as parts where channel_id = ${channelId}
      group by channel_id, day, model order by day, model limit ${sql.lit(MOST_PARTS)}`.execute(
      this.#read,
    );
    return rows.map((row) => ({
      channel: row.channel_id,
      day: row.day,
      model: row.model,
      ...servedOf(row),
    }));
  }

  async attempts({ fromDay, toDay }: Span): Promise<Map<string, Attempts>> {
    const rows = await this.#read
      .selectFrom('channel_attempts')
      .select('channel_id')
      .select(({ fn }) => [
        fn.sum<number>('attempts').as('attempts'),
        fn.sum<number>('good').as('good'),
        fn.sum<number>('sick').as('sick'),
        fn.sum<number>('busy').as('busy'),
      ])
      .where('day', '>=', fromDay)
      .where('day', '<=', toDay)
      .groupBy('channel_id')
      .execute();
    const found = new Map(rows.map(({ channel_id: id, ...counts }) => [id, counts as Attempts]));
    const today = Math.floor(this.#clock.nowMs() / DAY_MS);
    if (today < fromDay || today > toDay) return found;
    for (const [id, counts] of this.#keeper.pending()) {
      found.set(id, sum(found.get(id) ?? NONE, counts));
    }
    return found;
  }
}

function servedOf({ requests, revenue, upstream, uncosted }: PartRow): Served {
  return { requests, revenue: BigInt(revenue), upstream: BigInt(upstream), uncosted };
}

const KEEP_EVERY_MS = 10_000;

/** Writes down now and then how attempts ended; a crash loses those of the last seconds, which cost nobody anything. */
export class AttemptKeeper {
  readonly #options: { ledger: Ledger; traffic: Traffic; clock: Clock; log: Pick<Log, 'error'> };
  readonly #kept = new Map<string, Attempts>();
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;

  constructor(options: {
    ledger: Ledger;
    traffic: Traffic;
    clock: Clock;
    log: Pick<Log, 'error'>;
  }) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#running ??= this.#tryToKeep().finally(() => {
        this.#running = null;
      });
    }, KEEP_EVERY_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    await this.#running;
    await this.#tryToKeep();
  }

  /** Nothing else depends on it: a storage that fails is told of by those who need it. */
  #tryToKeep(): Promise<void> {
    const { log } = this.#options;
    return this.keep().catch((error: unknown) => log.error('attempts_not_kept', { error }));
  }

  async keep(): Promise<void> {
    const { ledger, clock } = this.#options;
    const day = Math.floor(clock.nowMs() / DAY_MS);
    const pending = this.pending();
    const rows = Array.from(pending, ([id, counts]) => ({ channel_id: id, day, ...counts }));
    if (!rows.length) return;
    await ledger.write(async ({ db }) => {
      await db
        .insertInto('channel_attempts')
        .values(rows)
        .onConflict((conflict) =>
          conflict.columns(['channel_id', 'day']).doUpdateSet(({ ref }) => ({
            attempts: sql`channel_attempts.attempts + ${ref('excluded.attempts')}`,
            good: sql`channel_attempts.good + ${ref('excluded.good')}`,
            sick: sql`channel_attempts.sick + ${ref('excluded.sick')}`,
            busy: sql`channel_attempts.busy + ${ref('excluded.busy')}`,
          })),
        )
        .execute();
    });
    for (const [id, counts] of pending) this.#kept.set(id, sum(this.#keptOf(id), counts));
  }

  /** What is not written down yet. */
  pending(): Map<string, Attempts> {
    const pending = new Map<string, Attempts>();
    for (const [id, { attempts, ended }] of this.#options.traffic.all()) {
      const now = { attempts, good: ended.good, sick: ended.sick, busy: ended.busy };
      // A channel that was taken out and put back counts from nothing again.
      if (this.#keptOf(id).attempts > attempts) this.#kept.delete(id);
      const since = sum(now, this.#keptOf(id), -1);
      if (Object.values(since).some((count) => count !== 0)) pending.set(id, since);
    }
    return pending;
  }

  #keptOf(id: string): Attempts {
    return this.#kept.get(id) ?? NONE;
  }
}

const NONE: Attempts = { attempts: 0, good: 0, sick: 0, busy: 0 };

function sum(a: Attempts, b: Attempts, sign: 1 | -1 = 1): Attempts {
  return {
    attempts: a.attempts + sign * b.attempts,
    good: a.good + sign * b.good,
    sick: a.sick + sign * b.sick,
    busy: a.busy + sign * b.busy,
  };
}
