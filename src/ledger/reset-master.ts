/** For a master key that is gone: what only it could open is given up, and everything else stays. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Kysely, Transaction } from 'kysely';
import { audit } from '../audit.ts';
import { openDatabase } from '../db/open.ts';
import type { Tables } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { KEY_BYTES, KeyFile } from '../key-file.ts';
import {
  type MasterKeyOptions,
  opens,
  placeOf,
  type Rotated,
  storeWrapped,
  WRAPPED,
  wrappedRows,
} from '../master-key.ts';
import { seal } from '../secrets.ts';
import { lockDataDir } from './lock.ts';
import { DATABASE_FILE } from './store.ts';
import { upgrade } from './upgrade.ts';

export interface Reset {
  /** Where the new key is. */
  keptIn: Rotated['keptIn'];
  apiKeysRevoked: number;
  providerKeysLost: number;
  /** Payments whose outcome was not known: what was signed cannot be read any more, so they are looked for on the chain by hand. */
  paymentsUnderWay: string[];
}

const MAX_PAYMENTS_TOLD = 1_000;

export type ResetOptions = Omit<MasterKeyOptions, 'log'> & { pid: number; nowMs: number };

/**
 * A new master key, new values under it; API keys are revoked and provider keys marked as lost, in one transaction. Money is not
 * touched. Throws where a server runs, and where a key at hand opens the directory: then nothing is lost.
 */
export async function resetMasterKey(options: ResetOptions): Promise<Reset> {
  const lock = await lockDataDir(options.dataDir, options.pid);
  try {
    const file = join(options.dataDir, DATABASE_FILE);
    const database = openDatabase(file, 'write');
    try {
      await upgrade(database, file);
      return await reset(database.db, options);
    } finally {
      await database.close();
    }
  } finally {
    await lock.release();
  }
}

async function reset(db: Kysely<Tables>, options: ResetOptions): Promise<Reset> {
  const { dataDir, configured, next, nowMs } = options;
  const file = new KeyFile(dataDir);
  const sealed = await wrappedRows(db);
  const inFiles = [await file.read().catch(() => null), await file.readNext()];
  if (!sealed.size || [configured, next, ...inFiles].some((key) => key && opens(key, sealed))) {
    throw new AppError(
      'state_conflict',
      'A master key that is at hand opens this data directory: nothing is lost. To change it, use keys rotate-master.',
    );
  }
  if (configured === null) await file.setAside(nowMs);
  const key = configured ?? (await file.make());
  const keptIn = configured ? 'FAREBOX_MASTER_KEY' : 'master.key';
  const lost = await db.transaction().execute((trx) => giveUp(trx, key, nowMs));
  return { keptIn, ...lost };
}

async function giveUp(
  db: Transaction<Tables>,
  key: Buffer,
  nowMs: number,
): Promise<Omit<Reset, 'keptIn'>> {
  for (const name of WRAPPED) {
    await storeWrapped(db, name, seal(key, placeOf(name), randomBytes(KEY_BYTES)));
  }
  const revoked = await db
    .updateTable('api_keys')
    .set({ state: 'revoked' })
    .where('state', '=', 'active')
    .executeTakeFirst();
  const lost = await db
    .updateTable('provider_keys')
    .set({ state: 'lost' })
    .where('state', '=', 'active')
    .executeTakeFirst();
  const payments = await db
    .selectFrom('payments')
    .select('id')
    .where('state', 'in', ['received', 'submitted'])
    .limit(MAX_PAYMENTS_TOLD)
    .execute();
  const detail = {
    apiKeysRevoked: Number(revoked.numUpdatedRows),
    providerKeysLost: Number(lost.numUpdatedRows),
  };
  const change = { actor: 'cli', action: 'master_key.reset', target: 'master_key', detail };
  await audit({ db, nowMs }, change);
  return { ...detail, paymentsUnderWay: payments.map(({ id }) => id) };
}
