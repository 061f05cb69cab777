/**
 * API keys. Only an HMAC-SHA-256 under a random pepper is stored; the key itself is shown once. A key may come from another one:
 * then it does less than that, counts against its limit, and ends with it.
 */
import { createHmac } from 'node:crypto';
import type { Kysely } from 'kysely';
import { audit } from '../audit.ts';
import type { Wallet } from '../auth/principal.ts';
import type { Clock } from '../clock.ts';
import type { ApiKeyRow, LimitPeriod, Tables } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';
import type { Ledger, WriteTx } from '../ledger/ledger.ts';
import { KeyCache, type KeyWithAncestors } from './cache.ts';
import { HOUSE_ACCOUNT, requireAccount } from './house.ts';
import { limitNano, NO_LIMITS, readLimits, type SpendLimits } from './limits.ts';
import { requireNarrower } from './narrow.ts';
import { type KeyRules, type RateRules, readRules } from './rules.ts';
import { revokeOperators } from './reset.ts';
import {
  chunks,
  descendantsOf,
  keyInScope,
  keysAbove,
  MAX_ACTIVE,
  parentsOf,
  requireRoom,
  works,
} from './rows.ts';
import { type KeyType, mayBeKey, newSecret } from './secret.ts';

export { HOUSE_ACCOUNT } from './house.ts';

const MAX_DESCRIPTION = 64;
const MINUTE_MS = 60_000;
const TOUCH_MS = MINUTE_MS;

export interface AuthenticatedKey {
  keyId: string;
  accountId: string;
  type: KeyType;
  /** Nearest first. */
  ancestors: readonly string[];
  /** Its own first, then those of each ancestor; only rules that say something. */
  rules: readonly KeyRules[];
  /** Of these rules those on rates, each with the key whose requests they count. */
  rates: readonly { keyId: string; limits: RateRules }[];
  /** Whether it has a limit, a rule, an end or a key above it. */
  isBound: boolean;
}

export interface NewKey {
  /** Whose balance it spends: an existing account; the house by default. */
  accountId?: string | undefined;
  /** Or a wallet's, opened when it has none. */
  wallet?: Wallet | undefined;
  type: KeyType;
  description: string;
  expiresAtMs?: number | null | undefined;
  limits?: SpendLimits | undefined;
  limitPeriod?: LimitPeriod | undefined;
  rules?: KeyRules | undefined;
  /** The key that it comes from. */
  parentId?: string | null | undefined;
}

/** Undefined leaves a field as it is. */
export interface KeyChanges {
  description?: string | undefined;
  expiresAtMs?: number | null | undefined;
  limits?: Partial<SpendLimits> | undefined;
  limitPeriod?: LimitPeriod | undefined;
  rules?: KeyRules | undefined;
}

export interface By {
  /** principalName(), or `cli`, `start`. */
  actor: string;
  reason?: string | undefined;
  /** Whether the 20 creations a minute count: for everybody but operators. */
  isMetered?: boolean;
}

/** Which keys somebody reaches: those of an account, only those that come from a key, or, for operators, all. */
export interface KeyScope {
  accountId: string | null;
  /** Reaches what comes from this key. */
  under: string | null;
  /** And that key itself. */
  withSelf?: boolean;
}

/** For operators and this machine itself. */
export const ALL_KEYS: KeyScope = { accountId: null, under: null };
const SERVER: By = { actor: 'server' };

/** What may be shown of a key. */
export type KeyInfo = Omit<ApiKeyRow, 'hash'>;
export interface CreatedKey extends KeyInfo {
  /** Seen only here. */
  secret: string;
}

export class Keys {
  readonly #ledger: Ledger;
  readonly #read: Kysely<Tables>;
  readonly #pepper: Buffer;
  readonly #clock: Clock;
  readonly #cache = new KeyCache();

  constructor(options: { ledger: Ledger; pepper: Buffer; clock: Clock }) {
    this.#ledger = options.ledger;
    this.#read = options.ledger.read;
    this.#pepper = options.pepper;
    this.#clock = options.clock;
  }

  /** Who a key belongs to; null for any key that does not work, whatever the reason. */
  async authenticate(secret: string): Promise<AuthenticatedKey | null> {
    const found = this.#cache.get(secret) ?? (await this.#lookUp(secret));
    if (!found) return null;
    const nowMs = this.#clock.nowMs();
    if (!works(found.row, nowMs) || !found.above.every((row) => works(row, nowMs))) return null;
    if ((found.row.last_used_at ?? 0) + TOUCH_MS <= nowMs) this.#touch(found.row, nowMs);
    return found.principal;
  }

  /** As authenticate, for somebody who showed the key before; null once it does not work any more. */
  async standing(id: string): Promise<AuthenticatedKey | null> {
    const row = await this.#read
      .selectFrom('api_keys')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst();
    if (!row) return null;
    const found = withAncestors(row, await keysAbove(this.#read, row));
    const nowMs = this.#clock.nowMs();
    return works(found.row, nowMs) && found.above.every((above) => works(above, nowMs))
      ? found.principal
      : null;
  }

  /** Whether a key worked lately; it may have ended since. Asks nothing. */
  isKnown(secret: string): boolean {
    return this.#cache.get(secret) !== undefined;
  }

  async #lookUp(secret: string): Promise<KeyWithAncestors | null> {
    if (!mayBeKey(secret)) return null;
    const changes = this.#cache.changes;
    const row = await this.#read
      .selectFrom('api_keys')
      .selectAll()
      .where('hash', '=', this.#hash(secret))
      .executeTakeFirst();
    if (!row) return null;
    const found = withAncestors(row, await keysAbove(this.#read, row));
    this.#cache.keep(secret, found, changes);
    return found;
  }

  /** Written at most once a minute a key, behind the request: nobody waits for it, and nothing depends on it. */
  #touch(row: KeyInfo, nowMs: number): void {
    row.last_used_at = nowMs;
    this.#ledger
      .write(({ db }) =>
        db.updateTable('api_keys').set({ last_used_at: nowMs }).where('id', '=', row.id).execute(),
      )
      .catch(() => {});
  }

  #hash(secret: string): string {
    return createHmac('sha256', this.#pepper).update(secret).digest('hex');
  }

  /** Makes a key; the answer is the only time its secret is seen. */
  async create(key: NewKey, by: By = SERVER): Promise<CreatedKey> {
    const secret = newSecret(key.type);
    const info = await this.#ledger.write((tx) => this.#insert(tx, secret, key, by));
    return { ...info, secret };
  }

  /** Stores a key whose secret somebody else made (FAREBOX_ADMIN_KEY); does nothing when it is there already. */
  async add(secret: string, key: NewKey, by: By = SERVER): Promise<KeyInfo> {
    return this.#ledger.write(async (tx) => {
      const old = await tx.db
        .selectFrom('api_keys')
        .selectAll()
        .where('hash', '=', this.#hash(secret))
        .executeTakeFirst();
      return old ? shown(old) : this.#insert(tx, secret, key, by);
    });
  }

  async #insert(tx: WriteTx, secret: string, key: NewKey, by: By): Promise<KeyInfo> {
    const { db, nowMs } = tx;
    const limits = key.limits ?? NO_LIMITS;
    const above = await parentsOf(db, key.parentId ?? null, nowMs);
    const rules = key.rules ?? {};
    const row: ApiKeyRow = {
      id: newId('key'),
      account_id: above[0]?.account_id ?? (await ownerAccount(tx, key)),
      parent_id: above[0]?.id ?? null,
      type: key.type,
      description: checkedDescription(key.description),
      hash: this.#hash(secret),
      last6: secret.slice(-6),
      state: 'active',
      // What is not said ends with the key above it.
      expires_at: key.expiresAtMs ?? earliestEnd(above),
      created_at: nowMs,
      limit_period: key.limitPeriod ?? 'EPOCH',
      limit_nano: limitNano(limits),
      limits: JSON.stringify(limits),
      rules: JSON.stringify(rules),
      last_used_at: null,
    };
    requireFuture(row.expires_at, nowMs);
    requireNarrower(row, rules, above);
    await requireRoom(db, row.account_id, nowMs, by.isMetered ?? false);
    await db.insertInto('api_keys').values(row).execute();
    await audit(tx, { ...by, action: 'key.create', target: row.id, detail: told(row) });
    return shown(row);
  }

  /** Errors: not_found for a key outside the scope, invalid_request where it would do more than the key it comes from. */
  async update(
    id: string,
    changes: KeyChanges | ((old: KeyInfo) => KeyChanges),
    scope: KeyScope,
    by: By,
  ): Promise<KeyInfo> {
    const row = await this.#ledger.write(async (tx) => {
      const old = await keyInScope(tx.db, id, scope);
      if (old.state !== 'active') throw new AppError('not_found', 'This key was revoked.');
      const wanted = typeof changes === 'function' ? changes(shown(old)) : changes;
      const row = changed(old, wanted);
      if (wanted.expiresAtMs !== undefined) requireFuture(row.expires_at, tx.nowMs);
      requireNarrower(row, readRules(row.rules), await keysAbove(tx.db, row));
      await tx.db.updateTable('api_keys').set(row).where('id', '=', id).execute();
      const detail = { before: told(old), after: told(row) };
      await audit(tx, { ...by, action: 'key.update', target: id, detail });
      return row;
    });
    this.#cache.clear();
    return shown(row);
  }

  /** Ends a key, and every key that comes from it, for good; holds taken with them before are still captured. */
  async revoke(id: string, scope: KeyScope, by: By = SERVER): Promise<void> {
    await this.#ledger.write(async (tx) => {
      const row = await keyInScope(tx.db, id, scope);
      if (row.state === 'revoked') return;
      const below = await descendantsOf(tx.db, id);
      for (const ids of chunks([id, ...below])) {
        await tx.db
          .updateTable('api_keys')
          .set({ state: 'revoked' })
          .where('id', 'in', ids)
          .execute();
      }
      await audit(tx, { ...by, action: 'key.revoke', target: id, detail: { with: below.length } });
    });
    this.#cache.clear();
  }

  /** Ends every operator key and makes one new; for whoever has the machine and no key. */
  async resetOperators(by: By): Promise<CreatedKey> {
    const secret = newSecret('ADMIN');
    const info = await this.#ledger.write(async (tx) => {
      const revoked = await revokeOperators(tx);
      const key = { type: 'ADMIN', description: 'reset-admin' } as const;
      const made = await this.#insert(tx, secret, key, by);
      await audit(tx, { ...by, action: 'key.reset', target: made.id, detail: { revoked } });
      return made;
    });
    this.#cache.clear();
    return { ...info, secret };
  }

  /** Newest first. */
  async list(
    scope: KeyScope,
    page: { limit: number; offset: number; isActive?: boolean },
  ): Promise<KeyInfo[]> {
    let query = this.#read.selectFrom('api_keys').selectAll();
    if (scope.accountId !== null) query = query.where('account_id', '=', scope.accountId);
    if (scope.under !== null) {
      const own = scope.withSelf ? [scope.under] : [];
      const ids = [...own, ...(await descendantsOf(this.#read, scope.under))];
      if (!ids.length) return [];
      query = query.where('id', 'in', ids.slice(0, MAX_ACTIVE));
    }
    if (page.isActive) query = query.where('state', '=', 'active');
    const rows = await query
      .orderBy('created_at', 'desc')
      .orderBy('id')
      .limit(page.limit)
      .offset(page.offset)
      .execute();
    return rows.map(shown);
  }

  /** Errors: not_found, also for a key outside the scope. */
  async get(id: string, scope: KeyScope): Promise<KeyInfo> {
    return shown(await keyInScope(this.#read, id, scope));
  }
}

function shown({ hash: _hash, ...info }: ApiKeyRow): KeyInfo {
  return info;
}

/** What the log of changes keeps of a key. */
function told(row: ApiKeyRow): Record<string, unknown> {
  const { type, account_id, parent_id, description, expires_at, limit_period } = row;
  const limits: unknown = JSON.parse(row.limits);
  const rules: unknown = JSON.parse(row.rules);
  return { type, account_id, parent_id, description, expires_at, limit_period, limits, rules };
}

function withAncestors(row: ApiKeyRow, above: ApiKeyRow[]): KeyWithAncestors {
  const rules = [row, ...above].map((key) => readRules(key.rules));
  return {
    row: shown(row),
    above: above.map(shown),
    principal: {
      keyId: row.id,
      accountId: row.account_id,
      type: row.type,
      ancestors: above.map(({ id }) => id),
      rules: rules.filter(saysSomething),
      rates: rules.flatMap(({ rateLimits }, n) =>
        rateLimits ? [{ keyId: (n === 0 ? row : above[n - 1]!).id, limits: rateLimits }] : [],
      ),
      isBound:
        row.parent_id !== null ||
        row.limit_nano !== null ||
        row.expires_at !== null ||
        rules.some(saysSomething),
    },
  };
}

function saysSomething(rules: KeyRules): boolean {
  return Object.keys(rules).length > 0;
}

async function ownerAccount(tx: WriteTx, { wallet, accountId }: NewKey): Promise<string> {
  if (wallet) return tx.walletAccount(wallet);
  const id = accountId ?? HOUSE_ACCOUNT;
  await requireAccount(tx.db, id, tx.nowMs);
  return id;
}

function earliestEnd(above: ApiKeyRow[]): number | null {
  const ends = above.flatMap((row) => row.expires_at ?? []);
  return ends.length ? Math.min(...ends) : null;
}

function checkedDescription(description: string): string {
  const text = description.trim();
  if (text.length <= MAX_DESCRIPTION) return text;
  throw new AppError('invalid_request', `description: at most ${MAX_DESCRIPTION} characters.`);
}

function requireFuture(expiresAt: number | null, nowMs: number): void {
  if (expiresAt === null || expiresAt > nowMs) return;
  throw new AppError('invalid_request', 'expiresAt: must be a time to come.', {
    details: { _errors: [], expiresAt: { _errors: ['must be a time to come'] } },
  });
}

function changed(old: ApiKeyRow, changes: KeyChanges): ApiKeyRow {
  const limits = { ...readLimits(old.limits), ...changes.limits };
  const { description, expiresAtMs, limitPeriod = old.limit_period, rules } = changes;
  return {
    ...old,
    description: description === undefined ? old.description : checkedDescription(description),
    expires_at: expiresAtMs === undefined ? old.expires_at : expiresAtMs,
    limit_period: limitPeriod,
    limit_nano: limitNano(limits),
    limits: JSON.stringify(limits),
    rules: rules === undefined ? old.rules : JSON.stringify(rules),
  };
}
