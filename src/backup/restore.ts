/**
 * Puts a backup in the place of a data directory's ledger. Nothing of what is there is deleted: it is set aside. A backup that is older
 * than what the directory knows is a rollback, and refused unless it is meant.
 */
import { copyFile, mkdir, mkdtemp, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { copyDatabase, openDatabase } from '../db/open.ts';
import { KeyFile } from '../key-file.ts';
import { lockDataDir } from '../ledger/lock.ts';
import { type Head, newestSeal, readHead, writeHead } from '../ledger/seal.ts';
import { DATABASE_FILE, HEAD_FILE } from '../ledger/store.ts';
import { opens, wrappedRows } from '../master-key.ts';
import { REREAD_PREFIX } from '../payments/reread.ts';
import { resultsOnDisk } from '../verify-media.ts';
import { verifyStore } from '../verify.ts';
import { unpack } from './archive.ts';
import { inspect, MANIFEST_FILE, type Manifest as Whole } from './backup.ts';

/** Clocks and blocks differ; a payment that is read twice is credited once. */
const REREAD_MARGIN_MS = 60 * 60_000;

type Manifest = Pick<Whole, 'madeAt' | 'head'>;

export interface RestoreOptions {
  /** A backup, or a bare copy of the database such as Litestream restores. */
  file: string;
  dataDir: string;
  passphrase: string | null;
  /** Whether what happened since the backup may be lost from the ledger. */
  acceptRollback: boolean;
  /** FAREBOX_MASTER_KEY; null where the directory keeps its own. */
  masterKey: Buffer | null;
  /** Whose payments a chain can be asked for, by CAIP-2 id. */
  networks: readonly string[];
  pid: number;
  nowMs: number;
}

export interface Restored {
  manifest: Manifest;
  /** Where what was there before is now; null where there was nothing. */
  setAside: string | null;
  /** What the next start asks the chains for. */
  reread: { since: string; networks: string[] } | null;
  /** Whether a master key opens the restored directory. */
  hasMasterKey: boolean;
  /** Results of tasks that the books name and no backup holds: files below DATA_DIR/media, which lie there already or have to be copied. */
  results: number;
}

/** Throws, and changes nothing, for a backup that is not whole, and for a rollback that was not accepted. */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { dataDir } = options;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const lock = await lockDataDir(dataDir, options.pid);
  const staging = await mkdtemp(join(dataDir, '.restore-'));
  try {
    const manifest = await take(options, staging);
    const results = await requireWhole(staging, options.nowMs);
    if (!options.acceptRollback) await requireNoRollback(staging, options, manifest);
    const hasMasterKey = await chooseMasterKey(staging, options);
    const since = Date.parse(manifest.madeAt) - REREAD_MARGIN_MS;
    const networks = [...options.networks];
    await markReread(staging, networks, since);
    const setAside = await swap(staging, options);
    const reread = networks.length ? { since: new Date(since).toISOString(), networks } : null;
    return { manifest, setAside, reread, hasMasterKey, results };
  } finally {
    await rm(staging, { recursive: true, force: true });
    await lock.release();
  }
}

/** Puts what is to be restored into `staging`. */
async function take(
  { file, passphrase, nowMs }: RestoreOptions,
  staging: string,
): Promise<Manifest> {
  const copy = join(staging, DATABASE_FILE);
  if (!(await isDatabase(file))) {
    await unpack(file, staging, passphrase);
    const madeAt = await readMadeAt(staging, file);
    return { head: await takeHead(staging), madeAt };
  }
  await copyDatabase(file, copy);
  const head = await takeHead(staging);
  return { head, madeAt: new Date((await lastSealed(copy)) ?? nowMs - UNSEALED_MS).toISOString() };
}

/** What the database itself ends at: a manifest or a head file may say anything, or be missing. */
async function takeHead(staging: string): Promise<Head> {
  const { head } = await inspect(join(staging, DATABASE_FILE));
  await writeHead(join(staging, HEAD_FILE), head);
  return head;
}

/** How long before a copy without a single entry the first payment is looked for. */
const UNSEALED_MS = 30 * 24 * 60 * 60_000;
const DATABASE_MAGIC = 'SQLite format 3\0';

async function isDatabase(file: string): Promise<boolean> {
  const handle = await open(file, 'r');
  try {
    const start = Buffer.alloc(DATABASE_MAGIC.length);
    await handle.read(start, 0, start.length, 0);
    return start.toString('latin1') === DATABASE_MAGIC;
  } finally {
    await handle.close();
  }
}

/** Unix ms; a bare copy does not say when it was made, and no payment that was credited later is in it. Null where none was. */
async function lastSealed(file: string): Promise<number | null> {
  const database = openDatabase(file, 'read');
  try {
    const seal = await database.db
      .selectFrom('seals')
      .select('at')
      .orderBy('seq', 'desc')
      .limit(1)
      .executeTakeFirst();
    return seal?.at ?? null;
  } finally {
    await database.close();
  }
}

async function readMadeAt(staging: string, file: string): Promise<string> {
  const text = await readFile(join(staging, MANIFEST_FILE), 'utf8').catch(() => '{}');
  const { format, madeAt } = manifestIn(text);
  const hasDatabase = await stat(join(staging, DATABASE_FILE)).catch(() => null);
  if (format === 1 && hasDatabase && !Number.isNaN(Date.parse(madeAt ?? ''))) return madeAt!;
  throw new Error(`${file} is not a backup of Farebox, or one of a newer version.`);
}

function manifestIn(text: string): Partial<Whole> {
  try {
    return (JSON.parse(text) ?? {}) as Partial<Whole>;
  } catch {
    return {};
  }
}

/** Answers how many results it names. */
async function requireWhole(staging: string, nowMs: number): Promise<number> {
  const { ok, faults } = await verifyStore({ dataDir: staging, nowMs, hasFiles: false });
  if (!ok) {
    const [first] = faults;
    throw new Error(
      `The backup breaks ${faults.length} rules of the ledger, the first: ${first?.row} ${first?.message}`,
    );
  }
  const database = openDatabase(join(staging, DATABASE_FILE), 'read');
  try {
    return await resultsOnDisk(database.db);
  } finally {
    await database.close();
  }
}

/** What the directory knows must be in the backup, at the same place; what the backup knows beyond that is welcome. */
async function requireNoRollback(
  staging: string,
  { dataDir }: RestoreOptions,
  { head, madeAt }: Manifest,
): Promise<void> {
  const knownHeads = [await readHead(join(dataDir, HEAD_FILE)), await headOf(dataDir)];
  const backup = openDatabase(join(staging, DATABASE_FILE), 'read');
  try {
    for (const known of knownHeads) {
      if (!known || known.seq === 0) continue;
      const seal = await backup.db
        .selectFrom('seals')
        .select('hash')
        .where('seq', '=', known.seq)
        .executeTakeFirst();
      if (seal?.hash === known.hash) continue;
      throw new Error(
        `The ledger in ${dataDir} is at seal ${known.seq}; this backup, made ${madeAt}, ends at seal ${head.seq}${known.seq <= head.seq ? ' of another history' : ''}. ` +
          'Restoring it gives up everything between the two. --accept-rollback does that: payments made since are then read from the chain again, charges and API keys made since are lost.',
      );
    }
  } finally {
    await backup.close();
  }
}

async function headOf(dataDir: string): Promise<Head | null> {
  const file = join(dataDir, DATABASE_FILE);
  if (!(await stat(file).catch(() => null))) return null;
  const database = openDatabase(file, 'read');
  try {
    return await newestSeal(database.db);
  } catch {
    // Too broken to say: its head file speaks for it.
    return null;
  } finally {
    await database.close();
  }
}

/** The key that opens the backup stays or is put in place: the environment's, the directory's own, or the one in the backup. */
async function chooseMasterKey(staging: string, options: RestoreOptions): Promise<boolean> {
  const database = openDatabase(join(staging, DATABASE_FILE), 'read');
  const sealed = await wrappedRows(database.db);
  await database.close();
  const { dataDir, masterKey } = options;
  if (masterKey) return opens(masterKey, sealed);
  const own = await new KeyFile(dataDir).read().catch(() => null);
  if (own && opens(own, sealed)) return true;
  const brought = await new KeyFile(staging).read().catch(() => null);
  if (!brought || !opens(brought, sealed)) return false;
  await new KeyFile(dataDir).setAside(options.nowMs);
  await copyFile(join(staging, 'master.key'), join(dataDir, 'master.key'));
  return true;
}

async function markReread(
  staging: string,
  networks: readonly string[],
  sinceMs: number,
): Promise<void> {
  const database = openDatabase(join(staging, DATABASE_FILE), 'write');
  try {
    for (const network of networks) {
      const key = `${REREAD_PREFIX}${network}`;
      const value = String(sinceMs);
      await database.db
        .insertInto('meta')
        .values({ key, value })
        // A restored directory that was not read to its end yet, backed up and restored again.
        .onConflict((conflict) => conflict.column('key').doNothing())
        .execute();
    }
  } finally {
    await database.close();
  }
}

/**
 * The head first and the database last, and never no head: whenever this is cut off, a start finds either a database that its head knows,
 * or none of what the head knows, and refuses that instead of beginning an empty ledger.
 */
async function swap(staging: string, { dataDir, nowMs }: RestoreOptions): Promise<string | null> {
  const aside = join(
    dataDir,
    `before-restore-${new Date(nowMs).toISOString().replaceAll(':', '')}`,
  );
  const isThere = async (name: string) =>
    (await stat(join(dataDir, name)).catch(() => null)) !== null;
  const old: string[] = [];
  for (const name of [DATABASE_FILE, `${DATABASE_FILE}-wal`, `${DATABASE_FILE}-shm`]) {
    if (await isThere(name)) old.push(name);
  }
  const hasHead = await isThere(HEAD_FILE);
  const hasOld = hasHead || old.length > 0;
  if (hasOld) await mkdir(aside, { mode: 0o700 });
  if (hasHead) await copyFile(join(dataDir, HEAD_FILE), join(aside, HEAD_FILE));
  await rename(join(staging, HEAD_FILE), join(dataDir, HEAD_FILE));
  for (const name of old) await rename(join(dataDir, name), join(aside, name));
  const settings = join(staging, 'farebox.yaml');
  if (!(await isThere('farebox.yaml')) && (await stat(settings).catch(() => null))) {
    await rename(settings, join(dataDir, 'farebox.yaml'));
  }
  await rename(join(staging, DATABASE_FILE), join(dataDir, DATABASE_FILE));
  return hasOld ? aside : null;
}
