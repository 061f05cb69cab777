/**
 * Secrets of the settings that were given on the set-up page. farebox.yaml names them like environment variables; their values are rows
 * of the database, sealed under a data key that the master key wraps. A variable of the environment goes before one that is kept.
 */
import { access, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Environment } from '../config/environment.ts';
import { openDatabase } from '../db/open.ts';
import { KEY_BYTES, KeyFile } from '../key-file.ts';
import type { WriteTx } from '../ledger/ledger.ts';
import { DATABASE_FILE } from '../ledger/store.ts';
import { dataKeyOf, type WrappedValues, wrappedRows } from '../master-key.ts';
import { seal, unseal } from '../secrets.ts';

export const SETTINGS_FILE = 'farebox.yaml';
const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;
const NAME = /^[A-Z][A-Z0-9_]{0,63}$/;
const MAX_SECRETS = 200;

/** Replaces those of the same names. */
export async function keepSecrets(
  { db, nowMs }: WriteTx,
  wrapped: Readonly<WrappedValues>,
  secrets: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, value] of Object.entries(secrets)) {
    if (!NAME.test(name)) throw new Error(`${name} is no name of a secret`);
    const sealed = seal(wrapped['data_key/1'], placeOf(name), Buffer.from(value));
    const row = { sealed, updated_at: nowMs };
    await db
      .insertInto('settings_secrets')
      .values({ name, ...row })
      .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
      .execute();
  }
}

/** What is kept in the data directory that the environment names, joined with the environment. Reads only; none where it cannot. */
export async function withKeptSecrets(environment: Environment, cwd: string): Promise<Environment> {
  const dataDir = resolve(cwd, environment['DATA_DIR'] || 'data');
  if (!(await namesUnknown(join(dataDir, SETTINGS_FILE), environment))) return environment;
  const file = join(dataDir, DATABASE_FILE);
  const isThere = await access(file).then(
    () => true,
    () => false,
  );
  return isThere
    ? { ...(await readKept(dataDir, file, environment)), ...environment }
    : environment;
}

/** Only then is the database opened for it: most commands and starts do without. */
async function namesUnknown(file: string, environment: Environment): Promise<boolean> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return Array.from(text.matchAll(VARIABLE)).some(
    ([, name = '']) => environment[name] === undefined,
  );
}

async function readKept(
  dataDir: string,
  file: string,
  environment: Environment,
): Promise<Environment> {
  const database = openDatabase(file, 'read');
  try {
    const rows = await database.db
      .selectFrom('settings_secrets')
      .select(['name', 'sealed'])
      .limit(MAX_SECRETS)
      .execute();
    if (!rows.length) return {};
    const key = await masterKeyOf(dataDir, environment);
    const dataKey = key && dataKeyOf(key, await wrappedRows(database.db));
    if (!dataKey) return {};
    return Object.fromEntries(
      rows.map(({ name, sealed }) => [name, unseal(dataKey, placeOf(name), sealed).toString()]),
    );
  } catch {
    // A database of before, or of another program: what is missing is told by the settings.
    return {};
  } finally {
    await database.close();
  }
}

async function masterKeyOf(dataDir: string, environment: Environment): Promise<Buffer | null> {
  const given = Buffer.from(environment['FAREBOX_MASTER_KEY'] ?? '', 'base64');
  return given.length === KEY_BYTES ? given : new KeyFile(dataDir).read();
}

function placeOf(name: string): string {
  return `settings_secrets/${name}`;
}
