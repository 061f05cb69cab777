/** Opens the data directory: lock, database, mode stamp, seals, what the last process left behind. */
import { createHmac } from 'node:crypto';
import { rm, statfs, stat, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Kysely } from 'kysely';
import { Accounts } from '../accounts.ts';
import type { Clock } from '../clock.ts';
import type { Mode } from '../config/config.ts';
import { openDataDir } from '../data-dir.ts';
import { type Database, openDatabase } from '../db/open.ts';
import type { HoldRow, Tables } from '../db/tables.ts';
import { Idempotency } from '../idempotency/idempotency.ts';
import { newId } from '../ids.ts';
import { Keys } from '../keys/keys.ts';
import type { Log } from '../log.ts';
import { type MasterKey, openMasterKey } from '../master-key.ts';
import { secretBox, type SecretBox } from '../secrets.ts';
import { ancestorsOf } from './key-windows.ts';
import { type Hold, holdOf, Ledger } from './ledger.ts';
import { lockDataDir } from './lock.ts';
import { requireIntact } from './intact.ts';
import { writeHead } from './seal.ts';
import { upgrade } from './upgrade.ts';
import { BatchWriter } from './writer.ts';

export const DATABASE_FILE = 'farebox.db';
export const HEAD_FILE = 'ledger.head';
const RESERVE_FILE = 'reserve';
const RESERVE_BYTES = 4 * 1024 * 1024;
const SWEEP_MS = 1_000;
const MAX_SWEPT = 500;

export interface StoreOptions {
  dataDir: string;
  mode: Mode;
  masterKey?: Buffer | null;
  /** Taken where the other does not open the directory any more: a rotation took it into use. */
  newMasterKey?: Buffer | null;
  clock: Clock;
  log: Log;
  pid?: number;
  /** The storage failed or the seals broke: the process must end. */
  onFatal(error: unknown): void;
}

export interface Store {
  ledger: Ledger;
  /** A read-only connection for statements that take long: nobody's request waits for them. */
  reports: Kysely<Tables>;
  accounts: Accounts;
  keys: Keys;
  idempotency: Idempotency;
  masterKey: MasterKey;
  /** A secret of its own for each purpose, the same as long as the data directory lives. */
  secretFor(purpose: string): Buffer;
  /** For columns that are kept sealed. */
  boxFor(purpose: string): SecretBox;
  /** Gives back holds whose time is over, forgets used-up nonces and idempotency keys, saves the head of the seals. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

/** Throws when the directory is in use, of the other mode, or its ledger was tampered with or rolled back. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { dataDir, clock, log } = options;
  await openDataDir(dataDir);
  await using opened = new AsyncDisposableStack();
  const lock = await lockDataDir(dataDir, options.pid ?? 0);
  opened.defer(() => lock.release());
  const connect = (access: 'write' | 'read' | 'report') => {
    const database = openDatabase(join(dataDir, DATABASE_FILE), access);
    opened.defer(() => database.close());
    return database;
  };
  const database = connect('write');
  const copy = await upgrade(database, join(dataDir, DATABASE_FILE));
  if (copy !== null) log.warn('database_upgraded', { copy });
  await stampMode(database, options.mode);
  const instance = await metaValue(database, 'instance', () => newId('inst'));
  const { masterKey: configured = null, newMasterKey: next = null } = options;
  const masterKey = await openMasterKey(database.db, { dataDir, configured, next, log });
  const pepper = masterKey.values.key_pepper;
  const secretFor = (purpose: string) =>
    createHmac('sha256', pepper).update(`farebox ${purpose}`).digest();
  const writer = new BatchWriter({
    database,
    clock,
    instance,
    onFatal: options.onFatal,
    onFull: async () => {
      log.error('storage_full', { dataDir });
      await rm(join(dataDir, RESERVE_FILE), { force: true });
    },
  });
  await writer.open();
  await requireIntact(database, join(dataDir, HEAD_FILE), writer.head);
  await fillReserve(dataDir, log);
  const reader = connect('read');
  const reports = connect('report');
  const ledger = new Ledger(writer, reader.db);
  const accounts = new Accounts(reader.db, reports.db);
  const keys = new Keys({ ledger, pepper, clock });
  await voidLeftOpen(ledger, instance, log);
  const secrets = {
    answers: secretFor('idempotency answers'),
    fingerprints: secretFor('idempotency fingerprints'),
  };
  const idempotency = new Idempotency({ ledger, clock, log, secrets });
  const parts = {
    writer,
    ledger,
    idempotency,
    dataDir,
    clock,
    log,
  };
  const upkeep = startUpkeep(parts);
  const resources = opened.move();
  return {
    ledger,
    reports: reports.db,
    accounts,
    keys,
    idempotency,
    masterKey,
    secretFor,
    boxFor: (purpose) => secretBox(secretFor(`box ${purpose}`)),
    sweep: upkeep.sweep,
    close: () => closeStore(parts, upkeep, resources),
  };
}

interface Parts {
  writer: BatchWriter;
  ledger: Ledger;
  idempotency: Idempotency;
  dataDir: string;
  clock: Clock;
  log: Log;
}

async function closeStore(
  { writer, dataDir }: Parts,
  upkeep: Upkeep,
  resources: AsyncDisposableStack,
): Promise<void> {
  await upkeep.stop();
  await writer.close();
  await writeHead(join(dataDir, HEAD_FILE), writer.head);
  await resources.disposeAsync();
}

async function metaValue(database: Database, key: string, make: () => string): Promise<string> {
  const row = await database.db
    .selectFrom('meta')
    .select('value')
    .where('key', '=', key)
    .executeTakeFirst();
  if (row) return row.value;
  const value = make();
  await database.db.insertInto('meta').values({ key, value }).execute();
  return value;
}

/** Live and sandbox never mix: a database belongs to the mode it was made in. */
async function stampMode(database: Database, mode: Mode): Promise<void> {
  const stamped = await metaValue(database, 'mode', () => mode);
  if (stamped === mode) return;
  throw new Error(
    `This data directory was made in ${stamped} mode and cannot be opened in ${mode} mode: give each mode a DATA_DIR of its own.`,
  );
}

/** A file to delete when the disk is full, so that running requests can still be settled. */
async function fillReserve(dataDir: string, log: Log): Promise<void> {
  const file = join(dataDir, RESERVE_FILE);
  const old = await stat(file).catch(() => null);
  if (old?.size === RESERVE_BYTES) return;
  const space = await statfs(dataDir);
  if (space.bavail * space.bsize < 4 * RESERVE_BYTES) {
    log.warn('storage_low', { dataDir });
    return;
  }
  const handle = await open(file, 'w', 0o600);
  try {
    await handle.writeFile(Buffer.alloc(RESERVE_BYTES));
  } finally {
    await handle.close();
  }
}

/** Chat requests do not outlive their process: what it left open is given back and counted as our loss. */
async function voidLeftOpen(ledger: Ledger, instance: string, log: Log): Promise<void> {
  for (;;) {
    const rows = await ledger.read
      .selectFrom('holds')
      .selectAll()
      .where('state', '=', 'open')
      .where('instance', '=', instance)
      .where('purpose', '=', 'chat')
      .limit(MAX_SWEPT)
      .execute();
    if (!rows.length) return;
    const holds = await holdsOf(ledger, rows);
    await Promise.all(holds.map((hold) => ledger.void(hold)));
    log.warn('holds_left_open', { voided: rows.length });
  }
}

async function holdsOf({ read }: Ledger, rows: HoldRow[]): Promise<Hold[]> {
  const keyIds = rows.flatMap((row) => row.key_id ?? []);
  const ancestors = await ancestorsOf(read, keyIds);
  return rows.map((row) => holdOf(row, ancestors.get(row.key_id ?? '') ?? []));
}

interface Upkeep {
  sweep(): Promise<void>;
  stop(): Promise<void>;
}

function startUpkeep(parts: Parts): Upkeep {
  let savedSeq = -1;
  let running: Promise<void> | null = null;
  const sweep = async () => {
    const { head } = parts.writer;
    if (head.seq !== savedSeq) {
      await writeHead(join(parts.dataDir, HEAD_FILE), head);
      savedSeq = head.seq;
    }
    await expireHolds(parts);
    await forgetNonces(parts);
    await parts.idempotency.sweep();
    // Made again once there is room, after a full disk used it up.
    await fillReserve(parts.dataDir, parts.log);
  };
  // One after another: two at once would write the head file's new copy over each other.
  let last: Promise<void> = Promise.resolve();
  const sweepInTurn = () => {
    const turn = last.then(sweep);
    last = turn.catch(() => {});
    return turn;
  };
  const timer = setInterval(() => {
    running ??= sweepInTurn()
      .catch((error: unknown) => parts.log.error('upkeep_failed', { error }))
      .finally(() => {
        running = null;
      });
  }, SWEEP_MS);
  timer.unref();
  return {
    sweep: sweepInTurn,
    stop: async () => {
      clearInterval(timer);
      await running;
      await last;
    },
  };
}

async function expireHolds({ ledger, clock, log }: Parts): Promise<void> {
  const rows = await ledger.read
    .selectFrom('holds')
    .selectAll()
    .where('state', '=', 'open')
    .where('expires_at', '<=', clock.nowMs())
    .limit(MAX_SWEPT)
    .execute();
  if (!rows.length) return;
  const holds = await holdsOf(ledger, rows);
  await Promise.all(holds.map((hold) => ledger.expire(hold)));
  log.warn('holds_expired', { count: rows.length });
}

async function forgetNonces({ ledger, clock }: Parts): Promise<void> {
  const due = await ledger.read
    .selectFrom('siwx_nonces')
    .select('id')
    .where('expires_at', '<=', clock.nowMs())
    .limit(1)
    .executeTakeFirst();
  if (!due) return;
  await ledger.write(({ db, nowMs }) =>
    db.deleteFrom('siwx_nonces').where('expires_at', '<=', nowMs).execute(),
  );
}
