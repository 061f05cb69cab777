/**
 * The master key and what it wraps. Nothing else is sealed under it directly, so a rotation re-wraps this one list in one transaction
 * and leaves every other row as it is: hashes of keys, stored provider keys, sealed columns.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Kysely } from 'kysely';
import { audit } from './audit.ts';
import type { Tables } from './db/tables.ts';
import { AppError } from './errors.ts';
import { KEY_BYTES, KeyFile } from './key-file.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { Log } from './log.ts';
import { seal, unseal } from './secrets.ts';

/** Every value that the master key wraps: rows of `meta` under these names. */
export const WRAPPED = ['key_pepper', 'data_key/1'] as const;
export type WrappedName = (typeof WRAPPED)[number];
export type WrappedValues = Record<WrappedName, Buffer>;

export interface MasterKeyOptions {
  dataDir: string;
  /** FAREBOX_MASTER_KEY; null where the key lives in the data directory. */
  configured: Buffer | null;
  /** FAREBOX_NEW_MASTER_KEY, which a rotation may have taken into use already. */
  next: Buffer | null;
  log: Log;
}

/** What a rotation has done so far; tests kill the process there. */
export type RotationStep = 'new file' | 'inside' | 'committed' | 'done';

export interface Rotated {
  /** False where it was done before, by a run that was killed later on. */
  isNew: boolean;
  /** Where the key is that a start needs from now on. */
  keptIn: 'FAREBOX_MASTER_KEY' | 'master.key';
}

export class MasterKey {
  readonly values: Readonly<WrappedValues>;
  readonly #file: KeyFile;
  #key: Buffer;
  #isFile: boolean;
  #isRotating = false;

  constructor(file: KeyFile, values: WrappedValues, found: { key: Buffer; isFile: boolean }) {
    this.#file = file;
    this.values = values;
    this.#key = found.key;
    this.#isFile = found.isFile;
  }

  /**
   * Wraps everything under `next`, or, where the key lives in the data directory and none is given, under a fresh one. May be killed
   * anywhere and run again: until the one transaction commits the old key opens everything, from then on the new one, which is on
   * disk, or in the operator's hands, since before.
   */
  async rotate(
    ledger: Ledger,
    next: Buffer | null,
    { actor, at = () => {} }: { actor: string; at?: (step: RotationStep) => void },
  ): Promise<Rotated> {
    if (this.#isRotating) throw new AppError('state_conflict', 'The master key is being rotated.');
    this.#isRotating = true;
    try {
      if (next === null && !this.#isFile) throw noNewKey();
      const isNew = next === null || !timingSafeEqual(next, this.#key);
      const key = next ?? (await this.#makeNext());
      if (next === null) at('new file');
      if (isNew) await this.#wrapUnder(key, ledger, { actor, at });
      this.#key = key;
      at('committed');
      if (next === null) await this.#file.takeNext();
      else await this.#file.remove();
      this.#isFile = next === null;
      at('done');
      return { isNew, keptIn: this.#isFile ? 'master.key' : 'FAREBOX_MASTER_KEY' };
    } finally {
      this.#isRotating = false;
    }
  }

  /** What a rotation could not bring to its end is in use by now: it is not written over. */
  async #makeNext(): Promise<Buffer> {
    const left = await this.#file.readNext();
    if (left && timingSafeEqual(left, this.#key)) await this.#file.takeNext();
    return this.#file.makeNext();
  }

  #wrapUnder(
    key: Buffer,
    ledger: Ledger,
    { actor, at }: { actor: string; at(step: RotationStep): void },
  ): Promise<void> {
    return ledger.write(async (tx) => {
      for (const name of WRAPPED) {
        await storeWrapped(tx.db, name, seal(key, placeOf(name), this.values[name]));
        at('inside');
      }
      await audit(tx, { actor, action: 'master_key.rotate', target: 'master_key' });
    });
  }
}

/**
 * Opens what the master key wraps, and makes what is not there yet. Throws where no key that is at hand opens it. A rotation that was
 * killed between its transaction and its last step is brought to its end.
 */
export async function openMasterKey(
  db: Kysely<Tables>,
  { dataDir, configured, next, log }: MasterKeyOptions,
): Promise<MasterKey> {
  const file = new KeyFile(dataDir);
  const sealed = await wrappedRows(db);
  const isFile = configured === null;
  if (!sealed.size) {
    const key = configured ?? (await file.read()) ?? (await file.make());
    return new MasterKey(file, await complete(db, key, sealed), { key, isFile });
  }
  const own = configured ?? (await file.read());
  if (own && opens(own, sealed)) {
    return new MasterKey(file, await complete(db, own, sealed), { key: own, isFile });
  }
  const nextInFile = isFile ? await file.readNext() : null;
  if (nextInFile && opens(nextInFile, sealed)) {
    await file.takeNext();
    const values = await complete(db, nextInFile, sealed);
    return new MasterKey(file, values, { key: nextInFile, isFile });
  }
  if (next && opens(next, sealed)) {
    log.warn('master_key_rotated', {
      note: 'set FAREBOX_MASTER_KEY to the value of FAREBOX_NEW_MASTER_KEY, and unset the latter',
    });
    const values = await complete(db, next, sealed);
    return new MasterKey(file, values, { key: next, isFile: false });
  }
  throw lostKey(dataDir, isFile, sealed, await file.read().catch(() => null));
}

/** What is wrapped, by name; empty in a new directory. */
export async function wrappedRows(db: Kysely<Tables>): Promise<Map<WrappedName, string>> {
  const rows = await db.selectFrom('meta').selectAll().where('key', 'in', WRAPPED).execute();
  return new Map(rows.map(({ key, value }) => [key as WrappedName, value]));
}

/** The key that values of tables are sealed under; null where the master key does not open it. */
export function dataKeyOf(key: Buffer, sealed: Map<WrappedName, string>): Buffer | null {
  const value = sealed.get('data_key/1');
  try {
    return value === undefined ? null : unseal(key, placeOf('data_key/1'), value);
  } catch {
    return null;
  }
}

export function opens(key: Buffer, sealed: Map<WrappedName, string>): boolean {
  try {
    for (const [name, value] of sealed) unseal(key, placeOf(name), value);
    return true;
  } catch {
    return false;
  }
}

async function complete(
  db: Kysely<Tables>,
  key: Buffer,
  sealed: Map<WrappedName, string>,
): Promise<WrappedValues> {
  const values: Partial<WrappedValues> = {};
  for (const name of WRAPPED) {
    const old = sealed.get(name);
    values[name] = old === undefined ? randomBytes(KEY_BYTES) : unseal(key, placeOf(name), old);
    if (old === undefined) await storeWrapped(db, name, seal(key, placeOf(name), values[name]));
  }
  return values as WrappedValues;
}

export async function storeWrapped(
  db: Kysely<Tables>,
  key: WrappedName,
  value: string,
): Promise<void> {
  await db
    .insertInto('meta')
    .values({ key, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute();
}

export function placeOf(name: WrappedName): string {
  return `meta/${name}`;
}

function noNewKey(): AppError {
  return new AppError(
    'invalid_request',
    'FAREBOX_NEW_MASTER_KEY: set it to the new master key (openssl rand -base64 32), because the one in use comes from FAREBOX_MASTER_KEY.',
  );
}

function lostKey(
  dataDir: string,
  isFile: boolean,
  sealed: Map<WrappedName, string>,
  inFile: Buffer | null,
): Error {
  const hint =
    !isFile && inFile && opens(inFile, sealed)
      ? ` The one in ${dataDir}/master.key does: unset FAREBOX_MASTER_KEY, or rotate to it.`
      : '';
  return new Error(
    `The master key does not open this data directory: set FAREBOX_MASTER_KEY to the key in use, or put its master.key back.${hint} ` +
      'If it is lost: balances, wallets and the ledger are whole, but no API key and no stored provider key can be used again, and ' +
      'payments under way have to be looked for on the chain. Webhooks that wait are given up and get new secrets; results get new links. ' +
      '"keys reset-master --yes" gives those up, and the server starts with a new master key.',
  );
}
