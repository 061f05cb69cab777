/** Accounts and the wallets that own them, for reading; rows are made by the ledger's write operations. */
import type { Kysely } from 'kysely';
import type { Wallet } from './auth/principal.ts';
import type { EntryRow, Tables } from './db/tables.ts';
import { AppError } from './errors.ts';
import type { Balance } from './ledger/operations.ts';
import { nanoUsd, type NanoUsd, ZERO_USD } from './money.ts';

const MAX_CACHED_WALLETS = 50_000;

export class Accounts {
  readonly #read: Kysely<Tables>;
  readonly #reports: Kysely<Tables>;
  /** A wallet keeps its account for ever, so a hit never goes stale. */
  readonly #byWallet = new Map<string, string>();

  /** `reports`: a connection on which a long statement keeps nobody waiting. */
  constructor(read: Kysely<Tables>, reports: Kysely<Tables>) {
    this.#read = read;
    this.#reports = reports;
  }

  /** The account of a wallet, or null when it never paid. */
  async walletAccount(wallet: Wallet): Promise<string | null> {
    const key = `${wallet.family} ${wallet.chain} ${wallet.address}`;
    const cached = this.#byWallet.get(key);
    if (cached !== undefined) return cached;
    const row = await this.#read
      .selectFrom('wallets')
      .select('account_id')
      .where('family', '=', wallet.family)
      .where('chain', '=', wallet.chain)
      .where('address', '=', wallet.address)
      .executeTakeFirst();
    if (!row) return null;
    if (this.#byWallet.size >= MAX_CACHED_WALLETS) this.#byWallet.clear();
    this.#byWallet.set(key, row.account_id);
    return row.account_id;
  }

  /** Posted and held of an account; zero for null, a wallet without one. */
  async balance(accountId: string | null): Promise<Balance> {
    if (accountId === null) return { posted: ZERO_USD, held: ZERO_USD };
    const row = await this.#read
      .selectFrom('accounts')
      .select(['posted', 'held'])
      .where('id', '=', accountId)
      .executeTakeFirst();
    if (!row) throw new AppError('not_found', 'There is no such account.');
    return { posted: nanoUsd(row.posted), held: nanoUsd(row.held) };
  }

  /** What an account may still spend: posted and credit line, without what is held. Zero for null. */
  async available(accountId: string | null): Promise<NanoUsd> {
    if (accountId === null) return ZERO_USD;
    const row = await this.#read
      .selectFrom('accounts')
      .select(['posted', 'held', 'credit_line'])
      .where('id', '=', accountId)
      .executeTakeFirst();
    return row ? nanoUsd(row.posted + row.credit_line - row.held) : ZERO_USD;
  }

  async isFrozen(accountId: string | null): Promise<boolean> {
    if (accountId === null) return false;
    const row = await this.#read
      .selectFrom('accounts')
      .select('state')
      .where('id', '=', accountId)
      .executeTakeFirst();
    return row?.state === 'frozen';
  }

  /** Entries of an account, newest first. */
  async entries(
    accountId: string | null,
    page: { limit: number; offset: number },
  ): Promise<EntryRow[]> {
    if (accountId === null) return [];
    const { limit, offset } = page;
    const db = this.#reports;
    const numbers = (side: 'debit_account' | 'credit_account') =>
      db.selectFrom('entries').select('seq').where(side, '=', accountId);
    // Each side by its own index, and of what is passed over the numbers alone: an account may have a million entries.
    const found = await numbers('debit_account')
      .unionAll(numbers('credit_account'))
      .orderBy('seq', 'desc')
      .limit(limit)
      .offset(offset)
      .execute();
    if (!found.length) return [];
    const wanted = found.map(({ seq }) => seq);
    return db
      .selectFrom('entries')
      .selectAll()
      .where('seq', 'in', wanted)
      .orderBy('seq', 'desc')
      .execute();
  }
}
