/**
 * Adds what was charged to the sums by day, in the background. The mark says up to which entry; it moves in the transaction that adds,
 * so a crash between steps neither loses nor doubles anything, and reading adds what comes after it (sources.ts). Captures pay nothing
 * for this, except those that cost nothing: they have no entry and leave a row in `usage_free`, which is taken away here.
 */
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../db/tables.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import { CHANNEL_COUNTS, CHANNEL_KEY, channelCharged, channelFree } from './channel-sources.ts';
import { charged, COLUMNS, COUNTS, free, refunded } from './sources.ts';

export interface RollUpOptions {
  ledger: Ledger;
  log: Log;
}

const EVERY_MS = 2_000;
/** Entries and free captures of one step: a few milliseconds that other writes wait. */
const STEP = 500;
/** A backlog beyond that many steps goes on at the next tick. */
const MAX_STEPS = 400;

export class RollUp {
  readonly #options: RollUpOptions;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;

  constructor(options: RollUpOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#running ??= this.run()
        .catch((error: unknown) => this.#options.log.error('usage_roll_up_failed', { error }))
        .finally(() => {
          this.#running = null;
        });
    }, EVERY_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    await this.#running;
  }

  /** Catches up, or as far as a run goes. */
  async run(): Promise<void> {
    for (let step = 0; step < MAX_STEPS; step += 1) {
      if (!(await this.step())) return;
    }
  }

  /** One step; false where there was nothing to do. */
  async step(most: number = STEP): Promise<boolean> {
    const { ledger } = this.#options;
    if (!(await hasMore(ledger.read))) return false;
    await ledger.write(({ db }) => addStep(db, most));
    return true;
  }
}

async function hasMore(db: Kysely<Tables>): Promise<boolean> {
  const { rows } = await sql<{ more: number }>`
    select case when (select coalesce(max(seq), 0) from entries) > (select seq from usage_mark where id = 1)
      or exists (select 1 from usage_free) then 1 else 0 end as more`.execute(db);
  return rows[0]?.more === 1;
}

async function addStep(db: Kysely<Tables>, most: number): Promise<void> {
  const mark = await db.selectFrom('usage_mark').select('seq').executeTakeFirstOrThrow();
  const newest = await db
    .selectFrom('entries')
    .select((eb) => eb.fn.max('seq').as('seq'))
    .executeTakeFirst();
  const upTo = Math.min(mark.seq + most, newest?.seq ?? 0);
  if (upTo > mark.seq) {
    const isNext = sql`e.seq > ${mark.seq} and e.seq <= ${upTo}`;
    await add(db, DAYS, sql`${charged(isNext)} union all ${refunded(isNext)}`);
    await add(db, CHANNEL_DAYS, channelCharged(isNext));
    await db.updateTable('usage_mark').set({ seq: upTo }).execute();
  }
  await addFree(db, most);
}

async function addFree(db: Kysely<Tables>, most: number): Promise<void> {
  const page = await db
    .selectFrom('usage_free')
    .selectAll()
    .orderBy('account_id')
    .orderBy('hold_id')
    .limit(most)
    .execute();
  const last = page.at(-1);
  if (!last) return;
  const isOfPage = sql`(f.account_id, f.hold_id) <= (${last.account_id}, ${last.hold_id})`;
  await add(db, DAYS, free(isOfPage));
  await add(db, CHANNEL_DAYS, channelFree(isOfPage));
  await sql`delete from usage_free as f where ${isOfPage}`.execute(db);
}

interface SumTable {
  table: string;
  key: readonly string[];
  columns: readonly string[];
  counts: readonly string[];
}

const DAYS: SumTable = {
  table: 'usage_days',
  key: ['account_id', 'day', 'key_id', 'model'],
  columns: COLUMNS,
  counts: COUNTS,
};
const CHANNEL_DAYS: SumTable = {
  table: 'channel_days',
  key: CHANNEL_KEY,
  columns: [...CHANNEL_KEY, ...CHANNEL_COUNTS],
  counts: CHANNEL_COUNTS,
};

async function add(
  db: Kysely<Tables>,
  { table, key, columns, counts }: SumTable,
  rows: ReturnType<typeof charged>,
): Promise<void> {
  const names = sql.raw(key.join(', '));
  const sums = sql.raw(counts.map((name) => `sum(${name}) as ${name}`).join(', '));
  const added = sql.raw(
    counts.map((name) => `${name} = ${table}.${name} + excluded.${name}`).join(', '),
  );
  await sql`insert into ${sql.raw(table)} (${sql.raw(columns.join(', '))})
    select ${names}, ${sums} from (${rows}) as used where true group by ${names}
    on conflict (${names}) do update set ${added}`.execute(db);
}
