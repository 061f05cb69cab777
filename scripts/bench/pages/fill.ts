/** A large shop, straight into the tables: the ledger would take an hour, and seals are not what is measured. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import sqlite3 from 'sqlite3';
import { systemClock } from '../../../src/clock.ts';
import { openDatabase } from '../../../src/db/open.ts';
import { ENTRY_COLUMNS, type EntryTuple } from '../../../src/ledger/operations.ts';
import { sealHash } from '../../../src/ledger/seal.ts';
import { DATABASE_FILE, HEAD_FILE, openStore } from '../../../src/ledger/store.ts';
import { silentLog } from '../../../src/log.ts';

export interface Sizes {
  entries: number;
  charges: number;
  accounts: number;
  keys: number;
  tasks: number;
  payments: number;
  /** Rows of deliveries and of the log of changes, each. */
  others: number;
}

const DAY_MS = 86_400_000;
const DAYS = 90;
const MODELS = 20;
const CHANNELS = 5;
const SEALED = 1_000;
/** As much of a task's price as its view reads. */
const PRICED = JSON.stringify({ model: { params: {} }, fee: null });
/** Has a third of everything. */
export const BIG = idOf('acc', 0);
export const BIG_ADDRESS = `0x${'0'.repeat(40)}`;

/** As newId makes them: what was made later sorts later. */
export function idOf(prefix: string, n: number): string {
  return `${prefix}_${n.toString(16).padStart(12, '0')}${'0'.repeat(16)}`;
}

const id = (prefix: string, n: string) => `printf('${prefix}_%012x0000000000000000', ${n})`;

/** The real migrations, then the rows. */
export async function fill(dataDir: string, sizes: Sizes): Promise<void> {
  const onFatal = (error: unknown) => {
    throw error;
  };
  const open = { dataDir, mode: 'sandbox', clock: systemClock, log: silentLog, onFatal } as const;
  await (await openStore(open)).close();
  // A head file of the real ledger would miss its seals.
  await rm(join(dataDir, HEAD_FILE), { force: true });
  const endMs = Date.now();
  const at = (most: number) => {
    const step = (DAYS * DAY_MS) / most;
    return `${endMs - DAYS * DAY_MS} + cast(n * ${step} as integer)`;
  };
  await execute(join(dataDir, DATABASE_FILE), [
    'pragma synchronous = off; begin;',
    ...people(sizes, at),
    ...money(sizes, at),
    ...usage(sizes, endMs),
    ...work(sizes, at),
    'commit; pragma wal_checkpoint(truncate);',
  ]);
  await sealNewest(join(dataDir, DATABASE_FILE), sizes.entries);
}

/** Ledgers that are not sealed are not opened. A start works out the newest seals alone; it sums up balances where there are fewer than 100,000 entries. */
export async function sealNewest(file: string, entries: number): Promise<void> {
  const { db, close } = openDatabase(file, 'write');
  const first = entries - SEALED + 1;
  const rows = await db
    .selectFrom('entries')
    .select([...ENTRY_COLUMNS])
    .where('seq', '>=', first)
    .orderBy('seq')
    .execute();
  const sealed = rows.map((row) => ENTRY_COLUMNS.map((column) => row[column]) as EntryTuple);
  const hash = sealHash('', sealed);
  const seal = { seq: 1, writer: 'bench', previous: '', at: Date.now(), hash };
  await db
    .insertInto('seals')
    .values({ ...seal, first_entry: first, last_entry: entries })
    .execute();
  await close();
}

type At = (most: number) => string;

const counter = (most: number) =>
  `with recursive c (n) as (select 0 union all select n + 1 from c where n < ${most - 1})`;
const account = ({ accounts }: Sizes) =>
  id('acc', `case when n % 3 = 0 then 0 else n % ${accounts} end`);

/** One account in fifty is of the house, one in two hundred frozen. */
function people(sizes: Sizes, at: At): string[] {
  const { accounts, keys } = sizes;
  return [
    `${counter(accounts)} insert into accounts (id, kind, label, state, posted, created_at)
      select ${id('acc', 'n')}, case when n % 50 = 7 then 'house' else 'wallet' end,
        case when n % 50 = 7 then 'team ' || n else '' end,
        case when n % 200 = 9 then 'frozen' else 'active' end, 1000000000, ${at(accounts)} from c;`,
    `insert into wallets (family, chain, address, account_id, created_at)
      select 'eip155', '', printf('0x%08x%032d', (rowid - 1) * 2654435761 % 4294967296, 0), id, created_at
      from accounts where kind = 'wallet' and id <> '${BIG}';`,
    `insert into wallets (family, chain, address, account_id, created_at)
      values ('eip155', '', '${BIG_ADDRESS}', '${BIG}', 0);`,
    `${counter(keys)} insert into api_keys (id, account_id, parent_id, type, description, hash, last6, state, created_at)
      select ${id('key', 'n')}, ${account(sizes)}, null, 'INFERENCE', 'key ' || n, 'hash ' || n, 'abcdef',
        case when n % 20 = 1 or (n % 3 = 0 and n > 300) then 'revoked' else 'active' end, ${at(keys)} from c;`,
  ];
}

function money(sizes: Sizes, at: At): string[] {
  const { entries, charges, payments } = sizes;
  const given = entries - charges;
  return [
    `${counter(charges)} insert into holds (id, account_id, key_id, amount, captured, state, day, month, instance, purpose,
        model, request_id, price_version, usage, created_at, expires_at, resolved_at)
      select ${id('hold', 'n')}, ${account(sizes)}, ${id('key', `n % ${sizes.keys}`)}, 900000, 1 + n % 800000, 'captured',
        '', '', 'i', 'chat', 'model-' || (n % ${MODELS}), 'req_' || n, 'v',
        '{"input_tokens":' || (n % 9000) || ',"output_tokens":' || (n % 700) || '}',
        ${at(charges)} - 900, ${at(charges)}, ${at(charges)} from c;`,
    `${counter(given)} insert into entries (seq, at, kind, ref, debit_account, credit_account, amount, balance_after)
      select n + 1, ${at(given)}, 'GRANT', 'grant ' || n, 'sys:grants', ${account(sizes)}, 1 + n % 9000, 1000000000 from c;`,
    `${counter(charges)} insert into entries
        (seq, at, kind, ref, debit_account, credit_account, amount, balance_after, request_id, model)
      select n + 1 + ${given}, ${at(charges)}, 'CHARGE', ${id('hold', 'n')}, ${account(sizes)}, 'sys:revenue',
        1 + n % 800000, 1000000000, 'req_' || n, 'model-' || (n % ${MODELS}) from c;`,
    `${counter(payments)} insert into payments (id, network, asset, identity, payer, pay_to, units, state, payment, dialect,
        account_id, reason, created_at, settled_at, is_final)
      select ${id('pay', 'n')}, case when n % 500 = 3 then 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1' else 'eip155:84532' end,
        'asset', 'nonce ' || n, printf('0x%08x%032d', n % 20000, 1), 'us', '1000000',
        case when n % 100 = 3 then 'failed' when n % 1000 = 5 then 'expired' else 'settled' end,
        '{}', 'v2', ${account(sizes)}, null, ${at(payments)}, ${at(payments)}, 1 from c;`,
  ];
}

function usage({ charges, entries, accounts, keys }: Sizes, endMs: number): string[] {
  const today = Math.floor(endMs / DAY_MS);
  return [
    `${counter(charges)} insert or ignore into usage_days (account_id, day, key_id, model, requests, input_tokens, output_tokens,
        cached_input_tokens, cache_write_tokens, reasoning_tokens, estimated, cost, shortfall, refunded)
      select ${id('acc', `n % ${accounts}`)}, ${today} - n % ${DAYS}, ${id('key', `n % ${keys}`)},
        'model-' || (n / ${DAYS} % ${MODELS}), 9, 900, 90, 0, 0, 0, 0, 5000 + n % 7000, 0, 0 from c;`,
    `${counter(DAYS * CHANNELS * MODELS)} insert into channel_days (channel_id, day, model, requests, revenue, upstream, uncosted)
      select 'channel-' || (n % ${CHANNELS}), ${today} - n / ${CHANNELS} % ${DAYS},
        'model-' || (n / ${CHANNELS * DAYS}), 9, 90000, 50000, 0 from c;`,
    `update usage_mark set seq = ${entries};`,
  ];
}

function work(sizes: Sizes, at: At): string[] {
  const { tasks, others } = sizes;
  const state = `case when n % 50 = 1 then 'failed' when n % 900 = 2 then 'cancelled' else 'completed' end`;
  return [
    `${counter(tasks)} insert into holds (id, account_id, amount, captured, state, day, month, instance, purpose, created_at,
        expires_at, resolved_at)
      select ${id('hold', `n + ${sizes.charges}`)}, ${account(sizes)}, 9000, 9000, 'captured', '', '', 'i', 'task',
        ${at(tasks)}, ${at(tasks)}, ${at(tasks)} from c;`,
    `${counter(tasks)} insert into tasks (id, account_id, key_id, owner, kind, type, model, request_id, lane, priority, tried,
        priced, price_version, hold_id, held, charged, state, submit, deadline_at, created_at, ended_at)
      select ${id('task', 'n')}, ${account(sizes)}, ${id('key', `n % ${sizes.keys}`)}, 'owner', 'video', 'video',
        'model-' || (n % ${MODELS}), 'req', 'lane', 0, '[]', '${PRICED}', 'v', ${id('hold', `n + ${sizes.charges}`)}, 9000, 9000,
        ${state}, 'sent', 0, ${at(tasks)}, ${at(tasks)} from c;`,
    `${counter(2 * tasks)} insert into task_events (seq, account_id, task_id, type, at, payload)
      select n + 1, ${account(sizes)}, ${id('task', 'n / 2')}, 'task.completed', 0, '{}' from c;`,
    `${counter(others)} insert into webhook_deliveries (id, account_id, task_id, event, url, origin, payload, state, attempts,
        last_status, created_at, since, delivered_at)
      select ${id('evt', 'n')}, ${account(sizes)}, ${id('task', 'n')}, 'task.completed', 'sealed', 'https://receiver.example',
        printf('%.2000c', 'x'), case when n % 90 = 4 then 'failed' else 'delivered' end, 1, 200,
        ${at(others)}, ${at(others)}, ${at(others)} from c;`,
    `${counter(others)} insert into audit_log (seq, at, actor, action, target, reason, detail)
      select n + 1, ${at(others)}, ${id('key', 'n % 5')}, 'account.grant', ${account(sizes)}, 'because', '{}' from c;`,
    `${counter(others)} insert into adjustments (id, kind, account_id, change, actor, reason, day, at)
      select ${id('adj', 'n')}, 'GRANT', ${account(sizes)}, 5, 'operator', 'because', '', ${at(others)} from c;`,
  ];
}

function execute(file: string, statements: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const database = new sqlite3.Database(file);
    database.exec(statements.join('\n'), (error) =>
      database.close(() => (error ? reject(error) : resolve())),
    );
  });
}
