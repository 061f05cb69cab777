/**
 * Keys of providers that owners stored, so that their requests go over them (BYOK). AES-256-GCM under a data key that the master key
 * wraps; each value opens only in its own row, for its own account and vendor. A key leaves here towards one place: the request to its
 * vendor. One key for each owner and vendor.
 */
import type { Kysely } from 'kysely';
import { audit } from './audit.ts';
import type { Wallet } from './auth/principal.ts';
import type { ProviderKeyRow, Tables } from './db/tables.ts';
import { AppError } from './errors.ts';
import { newId } from './ids.ts';
import type { Ledger, WriteTx } from './ledger/ledger.ts';
import type { WrappedValues } from './master-key.ts';
import { seal, unseal } from './secrets.ts';

/** Of an owner; there are fewer vendors than that as a rule. */
const MAX_ROWS = 50;
/** Owners whose keys are kept ready, opened once they are used. */
const MAX_CACHED = 256;
/** Owners that are known to have keys; beyond that, the database is asked about everybody. */
const MAX_OWNERS = 100_000;
const KEY_VERSION = 1;
const SHOWN = 4;

/** What may be shown of a stored key. */
export type ProviderKeyInfo = Omit<ProviderKeyRow, 'sealed' | 'key_version'>;

export interface NewProviderKey {
  vendor: string;
  key: string;
  label: string;
}

/** Whose keys: an account, or a wallet, which gets an account when it stores its first one. */
export type Owner = { accountId: string } | { wallet: Wallet };

/** A stored key in use. */
export interface OwnKey {
  readonly vendor: string;
  /** The key itself; null where it cannot be opened. */
  secret(): string | null;
}

export type OwnKeys = ReadonlyMap<string, OwnKey>;

const NO_KEYS: OwnKeys = new Map();

export class Vault {
  readonly #ledger: Ledger;
  readonly #read: Kysely<Tables>;
  readonly #dataKeys: ReadonlyMap<number, Buffer>;
  /** Who may have keys; nobody leaves it, for whoever has none any more only costs a look into the cache. Null: too many. */
  #owners: Set<string> | null = new Set();
  readonly #cache = new Map<string, OwnKeys>();
  #changes = 0;

  constructor(ledger: Ledger, wrapped: Readonly<WrappedValues>) {
    this.#ledger = ledger;
    this.#read = ledger.read;
    this.#dataKeys = new Map([[KEY_VERSION, wrapped['data_key/1']]]);
  }

  /** Once, before anything is asked. */
  async load(): Promise<void> {
    const rows = await this.#read
      .selectFrom('provider_keys')
      .select('account_id')
      .distinct()
      .limit(MAX_OWNERS + 1)
      .execute();
    for (const { account_id } of rows) this.#remember(account_id);
  }

  /** False for whoever stored none: an answer from memory, for the path of every request. */
  mayHaveKeys(accountId: string | null): accountId is string {
    return accountId !== null && (this.#owners === null || this.#owners.has(accountId));
  }

  /** By vendor; also those that were lost, for they are no reason to pay for something else unasked. */
  async keysOf(accountId: string): Promise<OwnKeys> {
    const known = this.#cache.get(accountId);
    if (known) return known;
    const changes = this.#changes;
    const rows = await this.#rowsOf(accountId);
    const keys: OwnKeys = rows.length
      ? new Map(rows.map((row) => [row.vendor, this.#ownKey(row)]))
      : NO_KEYS;
    // Rows read before a change are not kept after it.
    if (changes === this.#changes) {
      if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
      this.#cache.set(accountId, keys);
    }
    return keys;
  }

  async list(accountId: string): Promise<ProviderKeyInfo[]> {
    return (await this.#rowsOf(accountId)).map(shown);
  }

  /** Stores a key in the place of the owner's last one for this vendor, if there was one. */
  async store(
    owner: Owner,
    { vendor, key, label }: NewProviderKey,
    actor: string,
  ): Promise<ProviderKeyInfo & { replaces: string | null }> {
    const stored = await this.#ledger.write(async (tx) => {
      const accountId = 'wallet' in owner ? await tx.walletAccount(owner.wallet) : owner.accountId;
      const replaces = await this.#makeRoom(tx, accountId, vendor);
      const id = newId('pk');
      const row: ProviderKeyRow = {
        id,
        account_id: accountId,
        vendor,
        label,
        last4: key.slice(-SHOWN),
        sealed: '',
        key_version: KEY_VERSION,
        state: 'active',
        created_at: tx.nowMs,
      };
      row.sealed = seal(this.#dataKey(row), placeOf(row), Buffer.from(key));
      await tx.db.insertInto('provider_keys').values(row).execute();
      const detail = { account: accountId, vendor, last4: row.last4, replaces };
      await audit(tx, { actor, action: 'provider_key.store', target: id, detail });
      return { ...shown(row), replaces };
    });
    this.#remember(stored.account_id);
    this.#forget();
    return stored;
  }

  /** Removes a key for good. Errors: not_found, also for somebody else's. */
  async remove(id: string, accountId: string, actor: string): Promise<void> {
    await this.#ledger.write(async (tx) => {
      const row = await tx.db
        .deleteFrom('provider_keys')
        .where('id', '=', id)
        .where('account_id', '=', accountId)
        .returning(['vendor', 'last4'])
        .executeTakeFirst();
      if (!row) throw new AppError('not_found', 'There is no provider key with this id.');
      const detail = { account: accountId, ...row };
      await audit(tx, { actor, action: 'provider_key.remove', target: id, detail });
    });
    this.#forget();
  }

  async #makeRoom({ db }: WriteTx, accountId: string, vendor: string): Promise<string | null> {
    const old = await db
      .deleteFrom('provider_keys')
      .where('account_id', '=', accountId)
      .where('vendor', '=', vendor)
      .returning('id')
      .executeTakeFirst();
    const { count } = await db
      .selectFrom('provider_keys')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('account_id', '=', accountId)
      .executeTakeFirstOrThrow();
    if (count < MAX_ROWS) return old?.id ?? null;
    throw new AppError('invalid_request', `An account has at most ${MAX_ROWS} provider keys.`);
  }

  #rowsOf(accountId: string): Promise<ProviderKeyRow[]> {
    return this.#read
      .selectFrom('provider_keys')
      .selectAll()
      .where('account_id', '=', accountId)
      .orderBy('created_at', 'desc')
      .orderBy('id')
      .limit(MAX_ROWS)
      .execute();
  }

  #ownKey(row: ProviderKeyRow): OwnKey {
    let opened: string | null | undefined;
    const secret = () => (opened === undefined ? (opened = this.#open(row)) : opened);
    return { vendor: row.vendor, secret };
  }

  #open(row: ProviderKeyRow): string | null {
    if (row.state === 'lost') return null;
    try {
      return unseal(this.#dataKey(row), placeOf(row), row.sealed).toString('utf8');
    } catch {
      return null;
    }
  }

  #dataKey({ key_version }: ProviderKeyRow): Buffer {
    const key = this.#dataKeys.get(key_version);
    if (key) return key;
    throw new AppError('internal', `there is no data key ${key_version}`);
  }

  #remember(accountId: string): void {
    this.#owners?.add(accountId);
    if (this.#owners && this.#owners.size > MAX_OWNERS) this.#owners = null;
  }

  /** After any change. */
  #forget(): void {
    this.#changes += 1;
    this.#cache.clear();
  }
}

/** Where a value opens, and nowhere else (O-5). */
function placeOf({ id, account_id, vendor, key_version }: ProviderKeyRow): string {
  return `provider_keys/${id}/${account_id}/${vendor}/${key_version}`;
}

function shown({
  sealed: _sealed,
  key_version: _version,
  ...info
}: ProviderKeyRow): ProviderKeyInfo {
  return info;
}
