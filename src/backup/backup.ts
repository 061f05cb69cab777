/** Makes a backup of a data directory that may be in use: a consistent copy of the database, looked at before it is called one. */
import { copyFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { checkFile, copyDatabase, openDatabase, schemaOf } from '../db/open.ts';
import { type Head, newestSeal, writeHead } from '../ledger/seal.ts';
import { DATABASE_FILE, HEAD_FILE } from '../ledger/store.ts';
import { type BackupFile, pack } from './archive.ts';

export const MANIFEST_FILE = 'manifest.json';
/** In the environment, where other users of the machine do not see it. */
export const PASSPHRASE = 'FAREBOX_BACKUP_PASSPHRASE';
const MASTER_KEY_FILE = 'master.key';
const SETTINGS_FILE = 'farebox.yaml';

/** What a backup says of itself. */
export interface Manifest {
  format: 1;
  madeAt: string;
  mode: string;
  /** The last migration of its database. */
  schema: string;
  head: Head;
  files: BackupFile[];
}

export interface BackupOptions {
  dataDir: string;
  target: string;
  /** Encrypts it. Without one it holds neither the master key nor the settings: whoever finds it must not be able to spend. */
  passphrase: string | null;
  nowMs: number;
}

export interface Backup extends Manifest {
  file: string;
  bytes: number;
  isEncrypted: boolean;
}

/** Throws where the copy does not pass the database's own check; nothing is left at `target` then but what was there before. */
export async function makeBackup(options: BackupOptions): Promise<Backup> {
  const { dataDir, passphrase, nowMs } = options;
  const target = resolve(options.target);
  const there = await stat(target).catch(() => null);
  // It is replaced by its name: a device or a pipe would be gone.
  if (there && !there.isFile()) throw new Error(`${target} is no file: name one.`);
  const staging = await mkdtemp(join(dirname(target), '.farebox-backup-'));
  try {
    const copy = join(staging, DATABASE_FILE);
    await copyDatabase(join(dataDir, DATABASE_FILE), copy);
    const { head, mode, schema } = await inspect(copy);
    await writeHead(join(staging, HEAD_FILE), head);
    const files: BackupFile[] = [MANIFEST_FILE, DATABASE_FILE, HEAD_FILE];
    if (passphrase !== null) {
      for (const name of [MASTER_KEY_FILE, SETTINGS_FILE] as const) {
        if (await copyIfThere(join(dataDir, name), join(staging, name))) files.push(name);
      }
    }
    const madeAt = new Date(nowMs).toISOString();
    const manifest: Manifest = { format: 1, madeAt, mode, schema, head, files };
    await writeFile(join(staging, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
    const bytes = await pack(staging, files, target, passphrase);
    return { ...manifest, file: target, bytes, isEncrypted: passphrase !== null };
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** Opens a copy as a restore would; throws where it is not whole. */
export async function inspect(file: string): Promise<{ head: Head; mode: string; schema: string }> {
  const database = openDatabase(file, 'read');
  try {
    const [fault] = await checkFile(database);
    if (fault !== undefined) throw new Error(`The copy of the database is broken: ${fault}`);
    const row = await database.db
      .selectFrom('meta')
      .select('value')
      .where('key', '=', 'mode')
      .executeTakeFirstOrThrow();
    const schema = await schemaOf(database);
    return { head: await newestSeal(database.db), mode: row.value, schema };
  } finally {
    await database.close();
  }
}

async function copyIfThere(from: string, to: string): Promise<boolean> {
  if (!(await stat(from).catch(() => null))) return false;
  await copyFile(from, to);
  return true;
}
