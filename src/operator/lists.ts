/** What an operator reads: pages of rows, newest first, each begun where the one before ended. */
import { type Kysely, sql } from 'kysely';
import { type Operator, operatorName } from '../auth/operator.ts';
import type {
  AccountRow,
  AdjustmentRow,
  ApiKeyRow,
  AuditRow,
  EntryRow,
  HoldRow,
  PaymentRow,
  PaymentState,
  Tables,
} from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { KeyInfo } from '../keys/keys.ts';

export interface Page {
  limit: number;
  /** Id or number of the last row of the page before. */
  before?: string | undefined;
}

export interface AccountWithWallet extends AccountRow {
  family: string | null;
  chain: string | null;
  address: string | null;
}

/** Shorter searches would read everything for nothing. */
const LEAST_SEARCH = 3;

export class OperatorLists {
  readonly #read: Kysely<Tables>;

  constructor(read: Kysely<Tables>) {
    this.#read = read;
  }

  /** `search`: part of a label, an id or a wallet's address. */
  async accounts(
    by: Operator,
    page: Page & {
      search?: string | undefined;
      kind?: AccountRow['kind'] | undefined;
      state?: AccountRow['state'] | undefined;
    },
  ): Promise<AccountWithWallet[]> {
    operatorName(by);
    const { limit, before, search, kind, state } = page;
    let query = this.#accounts();
    if (before !== undefined) query = query.where('accounts.id', '<', before);
    if (kind !== undefined) query = query.where('accounts.kind', '=', kind);
    if (state !== undefined) query = query.where('accounts.state', '=', state);
    if (search !== undefined) {
      const like = likeAnywhere(search);
      query = query.where((eb) =>
        eb.or([
          isLike('accounts.label', like),
          isLike('accounts.id', like),
          isLike('wallets.address', like),
        ]),
      );
    }
    return query.orderBy('accounts.id', 'desc').limit(limit).execute();
  }

  /** Throws not_found. */
  async account(by: Operator, id: string): Promise<AccountWithWallet> {
    operatorName(by);
    const row = await this.#accounts().where('accounts.id', '=', id).executeTakeFirst();
    if (row) return row;
    throw new AppError('not_found', 'There is no such account.');
  }

  #accounts() {
    return this.#read
      .selectFrom('accounts')
      .leftJoin('wallets', 'wallets.account_id', 'accounts.id')
      .selectAll('accounts')
      .select(['wallets.family', 'wallets.chain', 'wallets.address']);
  }

  async entries(by: Operator, accountId: string, { limit, before }: Page): Promise<EntryRow[]> {
    operatorName(by);
    const of = (side: 'debit_account' | 'credit_account') => {
      let query = this.#read.selectFrom('entries').selectAll().where(side, '=', accountId);
      if (before !== undefined) query = query.where('seq', '<', Number(before));
      return query.orderBy('seq', 'desc').limit(limit).execute();
    };
    // Each side by its own index: an `or` of both would read all of a busy account.
    const [out, into] = await Promise.all([of('debit_account'), of('credit_account')]);
    return [...out, ...into].toSorted((a, b) => b.seq - a.seq).slice(0, limit);
  }

  async holds(
    by: Operator,
    accountId: string,
    { limit, before, state }: Page & { state?: HoldRow['state'] | undefined },
  ): Promise<HoldRow[]> {
    operatorName(by);
    let query = this.#read.selectFrom('holds').selectAll().where('account_id', '=', accountId);
    if (before !== undefined) query = query.where('id', '<', before);
    if (state !== undefined) query = query.where('state', '=', state);
    return query.orderBy('id', 'desc').limit(limit).execute();
  }

  async adjustments(by: Operator, accountId: string, page: Page): Promise<AdjustmentRow[]> {
    operatorName(by);
    const { limit, before } = page;
    let query = this.#read
      .selectFrom('adjustments')
      .selectAll()
      .where('account_id', '=', accountId);
    if (before !== undefined) query = query.where('id', '<', before);
    return query.orderBy('id', 'desc').limit(limit).execute();
  }

  /** Without what they are known by. */
  async keys(
    by: Operator,
    page: Page & { accountId?: string | undefined; state?: ApiKeyRow['state'] | undefined },
  ): Promise<KeyInfo[]> {
    operatorName(by);
    const { limit, before, accountId, state } = page;
    let query = this.#read.selectFrom('api_keys').selectAll();
    if (before !== undefined) query = query.where('id', '<', before);
    if (accountId !== undefined) query = query.where('account_id', '=', accountId);
    if (state !== undefined) query = query.where('state', '=', state);
    const rows = await query.orderBy('id', 'desc').limit(limit).execute();
    return rows.map(({ hash: _hash, ...info }) => info);
  }

  async payments(
    by: Operator,
    page: Page & {
      state?: PaymentState | undefined;
      network?: string | undefined;
      payer?: string | undefined;
      accountId?: string | undefined;
    },
  ): Promise<PaymentRow[]> {
    operatorName(by);
    const { limit, before, state, network, payer, accountId } = page;
    let query = this.#read.selectFrom('payments').selectAll();
    if (before !== undefined) query = query.where('id', '<', before);
    if (state !== undefined) query = query.where('state', '=', state);
    if (network !== undefined) query = query.where('network', '=', network);
    if (payer !== undefined) query = query.where('payer', '=', payer);
    if (accountId !== undefined) query = query.where('account_id', '=', accountId);
    return query.orderBy('id', 'desc').limit(limit).execute();
  }

  async payment(by: Operator, id: string): Promise<PaymentRow | undefined> {
    operatorName(by);
    return this.#read.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirst();
  }

  async changes(
    by: Operator,
    page: Page & {
      target?: string | undefined;
      actor?: string | undefined;
      action?: string | undefined;
    },
  ): Promise<AuditRow[]> {
    operatorName(by);
    const { limit, before, target, actor, action } = page;
    let query = this.#read.selectFrom('audit_log').selectAll();
    if (before !== undefined) query = query.where('seq', '<', Number(before));
    if (target !== undefined) query = query.where('target', '=', target);
    if (actor !== undefined) query = query.where('actor', '=', actor);
    if (action !== undefined) query = query.where('action', '=', action);
    return query.orderBy('seq', 'desc').limit(limit).execute();
  }
}

function isLike(column: string, pattern: string) {
  return sql<boolean>`${sql.ref(column)} like ${pattern} escape '\\'`;
}

/** `%` and `_` of the search stand for themselves. */
function likeAnywhere(search: string): string {
  const text = search.trim();
  if (text.length < LEAST_SEARCH) {
    throw new AppError('invalid_request', `search: must be at least ${LEAST_SEARCH} characters.`);
  }
  return `%${text.replaceAll(/[\\%_]/g, (sign) => `\\${sign}`)}%`;
}
