/**
 * API keys: `ck_` (INFERENCE) or `ak_` (ADMIN), 160 random bits, a checksum so that typos fail without a database read.
 * Only an HMAC-SHA-256 under a random pepper is stored; the key itself is shown once.
 */
import { createHmac, hash, randomBytes } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { Clock } from './clock.ts';
import type { ApiKeyRow, Tables } from './db/tables.ts';
import { AppError } from './errors.ts';
import { newId } from './ids.ts';
import type { Ledger } from './ledger/ledger.ts';
import { nanoUsd } from './money.ts';

const KEY_FORM = /^(ck|ak)_([0-9a-f]{40})([0-9a-f]{8})$/;
const FOREIGN_FORM = /^ak_[\x21-\x7e]{29,253}$/;
const SECRET_BYTES = 20;
const MAX_CACHED = 10_000;
const MAX_DESCRIPTION = 64;
export const HOUSE_ACCOUNT = 'acc_house';
/**
 * What the operator's own keys may spend before somebody pays anything in: they buy from the operator, so nobody else is owed. A key's
 * own limits are what bounds it; this only keeps the account within its range.
 */
const HOUSE_CREDIT_LINE = nanoUsd(1_000_000_000_000_000);

export interface AuthenticatedKey {
  keyId: string;
  accountId: string;
  type: 'INFERENCE' | 'ADMIN';
}

export interface NewKey {
  /** An existing account; the house account by default. */
  accountId?: string;
  type: 'INFERENCE' | 'ADMIN';
  description: string;
  expiresAtMs?: number | null;
}

/** What may be shown of a key. */
export type KeyInfo = Omit<ApiKeyRow, 'hash'>;

export class Keys {
  readonly #ledger: Ledger;
  readonly #read: Kysely<Tables>;
  readonly #pepper: Buffer;
  readonly #clock: Clock;
  /** Secret to row, for keys seen in this process; a change of any key empties it. */
  readonly #cache = new Map<string, KeyInfo>();
  /** Counts changes, so that a row read before one is not cached after it. */
  #changes = 0;

  constructor(options: { ledger: Ledger; pepper: Buffer; clock: Clock }) {
    this.#ledger = options.ledger;
    this.#read = options.ledger.read;
    this.#pepper = options.pepper;
    this.#clock = options.clock;
  }

  /** Who a key belongs to; null for any key that does not work, whatever the reason. */
  async authenticate(secret: string): Promise<AuthenticatedKey | null> {
    const row = this.#cache.get(secret) ?? (await this.#lookUp(secret));
    if (!row || row.state !== 'active') return null;
    if (row.expires_at !== null && row.expires_at <= this.#clock.nowMs()) return null;
    return { keyId: row.id, accountId: row.account_id, type: row.type };
  }

  async #lookUp(secret: string): Promise<KeyInfo | null> {
    if (!mayBeKey(secret)) return null;
    const changes = this.#changes;
    const row = await this.#read
      .selectFrom('api_keys')
      .selectAll()
      .where('hash', '=', this.#hash(secret))
      .executeTakeFirst();
    if (!row || changes !== this.#changes) return row ?? null;
    if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
    this.#cache.set(secret, row);
    return row;
  }

  #hash(secret: string): string {
    return createHmac('sha256', this.#pepper).update(secret).digest('hex');
  }

  /** Makes a key; the answer is the only time its secret is seen. */
  async create(key: NewKey): Promise<{ id: string; secret: string; last6: string }> {
    const secret = newSecret(key.type);
    return { secret, ...(await this.add(secret, key)) };
  }

  /** Stores a key whose secret somebody else made (FAREBOX_ADMIN_KEY); does nothing when it is there already. */
  async add(secret: string, key: NewKey): Promise<{ id: string; last6: string }> {
    const description = key.description.trim();
    if (description.length > MAX_DESCRIPTION) {
      throw new AppError('invalid_request', `description: at most ${MAX_DESCRIPTION} characters.`);
    }
    const last6 = secret.slice(-6);
    const hashed = this.#hash(secret);
    return this.#ledger.write(async ({ db, nowMs }) => {
      const old = await db
        .selectFrom('api_keys')
        .select('id')
        .where('hash', '=', hashed)
        .executeTakeFirst();
      if (old) return { id: old.id, last6 };
      const id = newId('key');
      const accountId = key.accountId ?? HOUSE_ACCOUNT;
      await requireAccount(db, accountId, nowMs);
      await db
        .insertInto('api_keys')
        .values({
          id,
          account_id: accountId,
          parent_id: null,
          type: key.type,
          description,
          hash: hashed,
          last6,
          state: 'active',
          expires_at: key.expiresAtMs ?? null,
          created_at: nowMs,
          limit_period: 'EPOCH',
          limit_nano: null,
          limits: '{}',
          rules: '{}',
          last_used_at: null,
        })
        .execute();
      return { id, last6 };
    });
  }

  async list(page: { limit: number; offset: number }): Promise<ApiKeyRow[]> {
    return this.#read
      .selectFrom('api_keys')
      .selectAll()
      .orderBy('created_at', 'desc')
      .orderBy('id')
      .limit(page.limit)
      .offset(page.offset)
      .execute();
  }

  /** Ends a key for good; holds taken with it before are still captured. */
  async revoke(id: string): Promise<void> {
    const found = await this.#ledger.write(({ db }) =>
      db
        .updateTable('api_keys')
        .set({ state: 'revoked' })
        .where('id', '=', id)
        .returning('id')
        .executeTakeFirst(),
    );
    this.#changes += 1;
    this.#cache.clear();
    if (!found) throw new AppError('not_found', 'There is no key with this id.');
  }
}

function newSecret(type: NewKey['type']): string {
  const body = `${type === 'ADMIN' ? 'ak' : 'ck'}_${randomBytes(SECRET_BYTES).toString('hex')}`;
  return body + checksum(body);
}

/** Typos and noise end here. A key that somebody else made (FAREBOX_ADMIN_KEY) has no checksum, only its prefix and length. */
function mayBeKey(secret: string): boolean {
  const form = KEY_FORM.exec(secret);
  if (form) return checksum(`${form[1]}_${form[2]}`) === form[3];
  return FOREIGN_FORM.test(secret);
}

function checksum(body: string): string {
  return hash('sha256', `farebox key ${body}`).slice(0, 8);
}

async function requireAccount(db: Kysely<Tables>, id: string, nowMs: number): Promise<void> {
  const row = await db.selectFrom('accounts').select('id').where('id', '=', id).executeTakeFirst();
  if (row) return;
  if (id !== HOUSE_ACCOUNT) throw new AppError('not_found', 'accountId: there is no such account.');
  await db
    .insertInto('accounts')
    .values({
      id,
      kind: 'house',
      label: 'house',
      posted: 0,
      held: 0,
      credit_line: HOUSE_CREDIT_LINE,
      state: 'active',
      created_at: nowMs,
    })
    .execute();
}
