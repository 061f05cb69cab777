/**
 * Who is signed in to the operator's page: a random token in a cookie, its hash in the database, begun with an operator key and ended
 * with it. And the claim link, by which whoever can read the log of a new server makes the first operator key.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { Clock } from '../clock.ts';
import type { Tables } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { type CreatedKey, HOUSE_ACCOUNT, type Keys } from '../keys/keys.ts';
import type { Ledger } from '../ledger/ledger.ts';

export const SESSION_MS = 12 * 60 * 60_000;
const CLAIM_MS = 24 * 60 * 60_000;
const TOKEN_BYTES = 32;
const TOKEN = /^[\w-]{43}$/;

export interface Session {
  /** Of the token; names the session in the database. */
  hash: string;
  keyId: string;
  /** Comes back with every form: what another site sends does not have it. */
  csrf: string;
}

export interface SessionsOptions {
  ledger: Ledger;
  keys: Keys;
  clock: Clock;
  secret: Buffer;
}

export class Sessions {
  readonly #options: SessionsOptions;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** Signs in whoever shows an operator key; answers the token for its cookie. Errors: invalid_credential. */
  async signIn(apiKey: string): Promise<string> {
    const key = await this.#options.keys.authenticate(apiKey);
    if (key?.accountId !== HOUSE_ACCOUNT || key.type !== 'ADMIN') {
      throw new AppError('invalid_credential', 'This is not an operator key of this server.');
    }
    return this.begin(key.keyId);
  }

  /** A new token each time: what somebody planted before is nobody's. */
  async begin(keyId: string): Promise<string> {
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    await this.#options.ledger.write(async ({ db, nowMs }) => {
      await db.deleteFrom('admin_sessions').where('expires_at', '<=', nowMs).execute();
      const row = { token_hash: hashOf(token), key_id: keyId, created_at: nowMs };
      await db
        .insertInto('admin_sessions')
        .values({ ...row, expires_at: nowMs + SESSION_MS })
        .execute();
    });
    return token;
  }

  /** Null for any token that is not of somebody signed in. */
  async find(token: string): Promise<Session | null> {
    if (!TOKEN.test(token)) return null;
    const hash = hashOf(token);
    const row = await this.#options.ledger.read
      .selectFrom('admin_sessions')
      .select(['key_id', 'expires_at'])
      .where('token_hash', '=', hash)
      .executeTakeFirst();
    if (!row || row.expires_at <= this.#options.clock.nowMs()) return null;
    const csrf = createHmac('sha256', this.#options.secret).update(hash).digest('base64url');
    return { hash, keyId: row.key_id, csrf };
  }

  async end(hash: string): Promise<void> {
    await this.#options.ledger.write(({ db }) =>
      db.deleteFrom('admin_sessions').where('token_hash', '=', hash).execute(),
    );
  }

  /** A code for the claim link, where no operator key works; null where one does. Earlier codes end. */
  async offerClaim(): Promise<string | null> {
    const code = randomBytes(TOKEN_BYTES).toString('base64url');
    return this.#options.ledger.write(async ({ db, nowMs }) => {
      if (await hasOperator(db, nowMs)) return null;
      await db.deleteFrom('claims').where('used_at', 'is', null).execute();
      const row = { code_hash: hashOf(code), created_at: nowMs, used_at: null };
      await db
        .insertInto('claims')
        .values({ ...row, expires_at: nowMs + CLAIM_MS })
        .execute();
      return code;
    });
  }

  /** Whether anybody runs this server. */
  hasOperator(): Promise<boolean> {
    const { ledger, clock } = this.#options;
    return hasOperator(ledger.read, clock.nowMs());
  }

  /** Whether a claim link would work now; uses nothing up. */
  async isClaimable(code: string): Promise<boolean> {
    const row = await this.#options.ledger.read
      .selectFrom('claims')
      .select(['expires_at', 'used_at'])
      .where('code_hash', '=', hashOf(code))
      .executeTakeFirst();
    return row?.used_at === null && row.expires_at > this.#options.clock.nowMs();
  }

  /** Makes the operator key that the link stands for, once. Errors: invalid_credential. */
  async claim(code: string): Promise<CreatedKey> {
    await this.#options.ledger.write(async ({ db, nowMs }) => {
      const { numUpdatedRows } = await db
        .updateTable('claims')
        .set({ used_at: nowMs })
        .where('code_hash', '=', hashOf(code))
        .where('used_at', 'is', null)
        .where('expires_at', '>', nowMs)
        .executeTakeFirst();
      if (Number(numUpdatedRows) === 1) return;
      throw new AppError(
        'invalid_credential',
        'This claim link was used or is too old. Restart the server for a new one, or run "farebox keys reset-admin".',
      );
    });
    const key = { type: 'ADMIN', description: 'claimed' } as const;
    return this.#options.keys.create(key, { actor: 'claim link' });
  }
}

/** Whether a form came from a page of this session. */
export function isCsrf(session: Session, given: string): boolean {
  const [right, other] = [Buffer.from(session.csrf), Buffer.from(given)];
  return right.length === other.length && timingSafeEqual(right, other);
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

async function hasOperator(db: Kysely<Tables>, nowMs: number): Promise<boolean> {
  const operator = await db
    .selectFrom('api_keys')
    .select('id')
    .where('account_id', '=', HOUSE_ACCOUNT)
    .where('type', '=', 'ADMIN')
    .where('state', '=', 'active')
    .where(({ or, eb }) => or([eb('expires_at', 'is', null), eb('expires_at', '>', nowMs)]))
    .executeTakeFirst();
  return operator !== undefined;
}
