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

/** Shorter searches would find everything. */
const LEAST_SEARCH = 3;
/** Any part is looked for in that many of the newest accounts; older ones are found by how a field of theirs begins. */
export const SEARCHED_ACCOUNTS = 20_000;
/** Of each of these fields. */
const MOST_FOUND = 1_000;
/** One page of an account's holds looks through that many of everybody's: an index would cost every request something. */
const SCANNED_HOLDS = 50_000;

export class OperatorLists {
  readonly #read: Kysely<Tables>;

  constructor(read: Kysely<Tables>) {
    this.#read = read;
  }

  /** `search`: how a label, an id or a wallet's address begins; of the newest SEARCHED_ACCOUNTS any part of them. */
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
    if (search !== undefined) query = query.where('accounts.id', 'in', found(searchable(search)));
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

  /** A page may be short, or empty, and have one after it. */
  async holds(
    by: Operator,
    accountId: string,
    { limit, before, state }: Page & { state?: HoldRow['state'] | undefined },
  ): Promise<{ rows: HoldRow[]; next: string | null }> {
    operatorName(by);
    let query = this.#read.selectFrom('holds').selectAll().where('account_id', '=', accountId);
    if (before !== undefined) query = query.where('id', '<', before);
    if (state !== undefined) query = query.where('state', '=', state);
    // Open ones have an index.
    const last = state === 'open' ? null : await this.#lastScanned(before);
    if (last !== null) query = query.where('id', '>=', last);
    const found = await query
      .orderBy('id', 'desc')
      .limit(limit + 1)
      .execute();
    const rows = found.slice(0, limit);
    return { rows, next: found.length > limit ? rows.at(-1)!.id : last };
  }

  /** Of everybody's holds; null where fewer are left. */
  async #lastScanned(before: string | undefined): Promise<string | null> {
    let query = this.#read.selectFrom('holds').select('id');
    if (before !== undefined) query = query.where('id', '<', before);
    const row = await query
      .orderBy('id', 'desc')
      .offset(SCANNED_HOLDS - 1)
      .limit(1)
      .executeTakeFirst();
    return row?.id ?? null;
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
    const isNarrow = payer !== undefined || accountId !== undefined;
    if (state !== undefined) query = query.where(plain('state', isNarrow), '=', state);
    if (network !== undefined) query = query.where(plain('network', isNarrow), '=', network);
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

/** As text it has no index: where another filter names fewer rows, the way must not be by this one. */
function plain<Column extends string>(column: Column, isPlain: boolean) {
  return isPlain ? sql<string>`${sql.ref(column)} || ''` : sql<string>`${sql.ref(column)}`;
}

/** Ids of accounts that are like a search: by index how a field begins, and any part of the newest. */
function found(search: string) {
  const end = `${search}\u{10ffff}`;
  const address = search.startsWith('0x') ? search.toLowerCase() : search;
  const addressEnd = `${address}\u{10ffff}`;
  const like = `%${search.replaceAll(/[\\%_]/g, (sign) => `\\${sign}`)}%`;
  const most = sql.lit(MOST_FOUND);
  const isLike = (column: string) => sql`lower(${sql.ref(column)}) like lower(${like}) escape '\\'`;
  return sql<string>`(
    select account_id from (select account_id from wallets
      where address >= ${address} and address < ${addressEnd} order by address limit ${most}) as addresses
    union all
    select id from (select id from accounts where id >= ${search} and id < ${end} order by id desc limit ${most}) as ids
    union all
    select id from (select id from accounts
      where label <> '' and label >= ${search} and label < ${end} order by label limit ${most}) as labels
    union all
    select a.id from accounts a left join wallets w on w.account_id = a.id
      where a.id >= coalesce((select id from accounts order by id desc limit 1 offset ${sql.lit(SEARCHED_ACCOUNTS)}), '')
        and (${isLike('a.label')} or ${isLike('a.id')} or ${isLike('w.address')})
  )`;
}

function searchable(search: string): string {
  const text = search.trim();
  if (text.length >= LEAST_SEARCH) return text;
  throw new AppError('invalid_request', `search: must be at least ${LEAST_SEARCH} characters.`);
}
