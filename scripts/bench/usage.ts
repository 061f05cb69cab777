/**
 * Usage and billing over many charges: makes a database of ROWS charged holds (a third of them of one account, over 90 days), rolls
 * them up, and says how long each answer takes, by which index it is found, and how much memory that takes.
 * Usage: node scripts/bench/usage.ts [ROWS]
 */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompiledQuery, Kysely } from 'kysely';
import sqlite3 from 'sqlite3';
import { systemClock } from '../../src/clock.ts';
import { sqliteDialect } from '../../src/db/sqlite.ts';
import type { Tables } from '../../src/db/tables.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { DATABASE_FILE, HEAD_FILE, openStore, type Store } from '../../src/ledger/store.ts';
import { silentLog } from '../../src/log.ts';
import { History } from '../../src/usage/history.ts';
import { RollUp } from '../../src/usage/roll-up.ts';
import { DAY_MS } from '../../src/usage/sources.ts';
import { Usage } from '../../src/usage/usage.ts';
import { usageFaults } from '../../src/verify-usage.ts';
import { sealNewest } from './pages/fill.ts';

const DAYS = 90;
const ACCOUNTS = 1_000;
const KEYS = 200;
const MODELS = 12;
const BIG = 'acc_0';

const rows = Number(process.argv[2] ?? 1_000_000);
const dataDir = await mkdtemp(join(tmpdir(), 'farebox-usage-'));
const file = join(dataDir, DATABASE_FILE);
const endMs = Math.floor(Date.now() / DAY_MS) * DAY_MS;
const startMs = endMs - DAYS * DAY_MS;

function open(): Promise<Store> {
  const onFatal = (error: unknown) => {
    throw error;
  };
  return openStore({ dataDir, mode: 'live', clock: systemClock, log: silentLog, onFatal });
}

function execute(statements: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const database = new sqlite3.Database(file);
    database.exec(statements, (error) => database.close(() => (error ? reject(error) : resolve())));
  });
}

/** Straight into the tables: the ledger would take a quarter of an hour, and seals are not what is measured. */
async function fill(): Promise<void> {
  const at = `${startMs} + cast(n * ${DAYS * DAY_MS}.0 / ${rows} as integer)`;
  const account = `'acc_' || case when n % 3 = 0 then 0 else n % ${ACCOUNTS} end`;
  const id = `printf('hold_%012x%016x', ${at}, n)`;
  const key = `case when n % 11 = 0 then null else 'key_' || (n * 7 % ${KEYS}) end`;
  const counter = (most: number) =>
    `with recursive c (n) as (select 0 union all select n + 1 from c where n < ${most - 1})`;
  await execute(`pragma synchronous = off; begin;
    ${counter(ACCOUNTS)} insert into accounts (id, kind, label, state, posted, created_at)
      select 'acc_' || n, 'wallet', '', 'active', 900000000000000, ${startMs} from c;
    ${counter(KEYS)} insert into api_keys (id, account_id, parent_id, type, description, hash, last6, state, created_at)
      select 'key_' || n, '${BIG}', case when n % 10 = 0 then null else 'key_' || (n - n % 10) end,
        'INFERENCE', 'key ' || n, n, '', 'active', ${startMs} from c;
    ${counter(rows)} insert into holds (id, account_id, key_id, amount, captured, state, day, month, instance, purpose,
        model, request_id, price_version, usage, created_at, expires_at, resolved_at)
      select ${id}, ${account}, ${key}, 900000, 1 + n % 800000, 'captured', '', '', 'i', 'chat', 'model-' || (n % ${MODELS}),
        'req_' || n, 'v', '{"input_tokens":' || (n % 9000) || ',"output_tokens":' || (n % 700) || '}', ${at} - 900, ${at}, ${at} from c;
    ${counter(rows)} insert into entries (seq, at, kind, ref, debit_account, credit_account, amount, balance_after, request_id, model)
      select n + 1, ${at}, 'CHARGE', ${id}, ${account}, 'sys:revenue', 1 + n % 800000, 1, 'req_' || n, 'model-' || (n % ${MODELS}) from c;
    commit; pragma wal_checkpoint(truncate);`);
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const result = await work();
  say(`${what}: ${(performance.now() - startedAt).toFixed(1)} ms`);
  return result;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Runs `work` on a connection that notes its statements, and says by what each of them finds its rows. */
async function explain(
  what: string,
  access: 'read' | 'write',
  work: (db: Kysely<Tables>) => Promise<unknown>,
): Promise<void> {
  const seen = new Map<string, CompiledQuery>();
  const db = new Kysely<Tables>({
    dialect: sqliteDialect(file, access),
    log: ({ query }) => void seen.set(query.sql, query),
  });
  await work(db);
  say(`\n-- ${what}`);
  const asked = [...seen.values()].filter(({ sql }) =>
    /^\s*(with|select|insert|delete|update)/i.test(sql),
  );
  for (const { sql, parameters } of asked) {
    const plan = CompiledQuery.raw(`explain query plan ${sql}`, [...parameters]);
    const { rows: steps } = await db.executeQuery<{ detail: string }>(plan);
    say(`${sql.replaceAll(/\s+/g, ' ').trim().slice(0, 100)} …`);
    for (const { detail } of steps) if (/\b(scan|search)\b/i.test(detail)) say(`    ${detail}`);
  }
  await db.destroy();
}

async function explainAll(): Promise<void> {
  const span = { fromDay: startMs / DAY_MS, toDay: endMs / DAY_MS };
  await explain('GET /api/v1/usage of a key', 'read', (db) =>
    new Usage(db).byModel({ accountId: BIG, under: 'key_10' }, span),
  );
  await explain('GET /api/v1/billing/usage-analytics', 'read', async (db) => {
    const { keys } = await new Usage(db).breakdown(BIG, span);
    await new Usage(db).descriptions(keys.flatMap(({ name }) => name || []));
  });
  await explain('GET /api/v1/billing/usage-history', 'read', (db) =>
    new History(db).page({ accountId: BIG, after: 10, beforeMs: endMs - DAY_MS, limit: 1_001 }),
  );
  await explain('a step of the roll-up', 'write', async (db) => {
    const ledger = {
      read: db,
      write: (run: (tx: { db: Kysely<Tables> }) => Promise<unknown>) => run({ db }),
    };
    await new RollUp({ ledger: ledger as unknown as Ledger, log: silentLog }).step(500);
  });
}

async function rollUpAll(store: Store): Promise<void> {
  const rollUp = new RollUp({ ledger: store.ledger, log: silentLog });
  const startedAt = performance.now();
  const cpu = process.cpuUsage();
  const took: number[] = [];
  for (let before = startedAt; await rollUp.step(); before = performance.now()) {
    took.push(performance.now() - before);
  }
  const { user, system } = process.cpuUsage(cpu);
  const ms = performance.now() - startedAt;
  const sorted = took.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor(sorted.length * part)]?.toFixed(1);
  say(
    `\nroll-up of ${rows}: ${(ms / 1_000).toFixed(1)} s, ${Math.round((rows / ms) * 1_000)} charges a second, ` +
      `${((user + system) / rows).toFixed(2)} us of CPU each; a step p50 ${at(0.5)}, p99 ${at(0.99)} ms`,
  );
}

async function answers(store: Store, which: string): Promise<void> {
  const usage = new Usage(store.reports);
  const history = new History(store.reports);
  const day = endMs / DAY_MS;
  const span = (days: number) => ({ fromDay: day - days, toDay: day });
  say(`\n${which}`);
  const all = { accountId: BIG, under: null };
  await timed('usage, 30 days', () => usage.byModel(all, span(30)));
  await timed('usage, 90 days', () => usage.byModel(all, span(90)));
  await timed('usage of a key and its children, 90 days', () =>
    usage.byModel({ accountId: BIG, under: 'key_10' }, span(90)),
  );
  await timed('usage of a small account, 90 days', () =>
    usage.byModel({ accountId: 'acc_7', under: null }, span(90)),
  );
  await timed('analytics, 7 days', () => usage.breakdown(BIG, span(7)));
  await timed('analytics, 90 days', () => usage.breakdown(BIG, span(90)));
  const page = { accountId: BIG, beforeMs: null, limit: 1_001 };
  await timed('history, first page of 1,000', () => history.page({ ...page, after: 0 }));
  await timed('history, a page in the middle', async () => {
    const first = await history.firstAt(endMs - 45 * DAY_MS);
    await history.page({ ...page, after: first ?? 0, beforeMs: endMs - 40 * DAY_MS });
  });
}

await (await open()).close();
// A head file of the real ledger would miss its seals.
await rm(join(dataDir, HEAD_FILE), { force: true });
await timed(`making ${rows} holds and entries`, fill);
await sealNewest(file, rows);
const bytesBefore = (await stat(file)).size;
await explainAll();
const store = await open();
await rollUpAll(store);
const { count } = await store.reports
  .selectFrom('usage_days')
  .select((eb) => eb.fn.countAll<number>().as('count'))
  .executeTakeFirstOrThrow();
await answers(store, 'all rolled up');
await timed('verify: its rule of these sums', () => usageFaults(store.reports));
await store.close();
const grown = (await stat(file)).size - bytesBefore;
say(
  `\n${count} sums, ${(grown / 2 ** 20).toFixed(1)} MiB beside ${(bytesBefore / 2 ** 20).toFixed(0)} MiB`,
);
say(`memory at most ${(process.resourceUsage().maxRSS / 1_024).toFixed(0)} MiB`);
await rm(dataDir, { recursive: true, force: true });
