/** The set-based statements of a batch: plain SQL around the database's row source, compiled once, run on one transaction. */
import { CompiledQuery, type Kysely } from 'kysely';
import type { Database } from '../db/open.ts';
import type { LimitPeriod, SealRow, Tables } from '../db/tables.ts';
import { ENTRY_COLUMNS, type EntryTuple } from './operations.ts';

export interface AccountState {
  id: string;
  posted: number;
  held: number;
  credit_line: number;
  state: 'active' | 'frozen';
}

export interface KeyState {
  id: string;
  state: 'active' | 'revoked';
  expires_at: number | null;
  limit_period: LimitPeriod;
  limit_nano: number | null;
  /** Captured and held in the window of its period that is open now; 0 without a limit. */
  used: number;
}

const HOLD_COLUMNS = [
  'id',
  'account_id',
  'key_id',
  'amount',
  'day',
  'month',
  'instance',
  'purpose',
  'model',
  'request_id',
  'price_version',
  'limit_left',
  'created_at',
  'expires_at',
] as const;

const SEAL_COLUMNS = [
  'seq',
  'writer',
  'first_entry',
  'last_entry',
  'previous',
  'hash',
  'at',
] as const;

/** The texts; made once per database. */
export function statementTexts(rows: Database['rows']) {
  return {
    accounts: `select a.id, a.posted, a.held, a.credit_line, a.state
      from ${rows(['id'])} r join accounts a on a.id = r.id`,
    keys: `select k.id, k.state, k.expires_at, k.limit_period, k.limit_nano,
        coalesce(w.captured + w.held, 0) as used
      from ${rows(['id', 'day', 'month'])} r join api_keys k on k.id = r.id
      left join key_windows w on k.limit_nano is not null and w.key_id = k.id and w.period = k.limit_period
        and w.start = case k.limit_period when 'EPOCH' then r.day when 'MONTH' then r.month else '' end`,
    moveAccounts: `update accounts set posted = accounts.posted + r.posted, held = accounts.held + r.held
      from ${rows(['id', 'posted', 'held'])} r where accounts.id = r.id`,
    openWindows: `insert into key_windows (key_id, period, start)
      select key_id, period, start from ${rows(['key_id', 'period', 'start'])} r where true
      on conflict do nothing`,
    countWindows: `update key_windows set captured = key_windows.captured + r.captured, held = key_windows.held + r.held
      from ${rows(['key_id', 'period', 'start', 'captured', 'held', 'cap'])} r
      where key_windows.key_id = r.key_id and key_windows.period = r.period and key_windows.start = r.start
        and (r.cap is null or r.captured + r.held <= 0
          or key_windows.captured + key_windows.held + r.captured + r.held <= r.cap)`,
    insertHolds: `insert into holds (${HOLD_COLUMNS.join(', ')}, state)
      select ${HOLD_COLUMNS.join(', ')}, 'open' from ${rows(HOLD_COLUMNS)} r`,
    resolveHolds: `update holds set state = r.state, captured = r.captured, shortfall = r.shortfall,
        usage = r.usage, resolved_at = r.resolved_at
      from ${rows(['id', 'state', 'captured', 'shortfall', 'usage', 'resolved_at'])} r
      where holds.id = r.id and holds.state = 'open'`,
    insertEntries: `insert into entries (${ENTRY_COLUMNS.join(', ')})
      select ${ENTRY_COLUMNS.join(', ')} from ${rows(ENTRY_COLUMNS)} r`,
    insertSeal: `insert into seals (${SEAL_COLUMNS.join(', ')})
      select ${SEAL_COLUMNS.join(', ')} from ${rows(SEAL_COLUMNS)} r`,
    insertFree: `insert into usage_free (account_id, hold_id)
      select account_id, hold_id from ${rows(['account_id', 'hold_id'])} r`,
    insertNonces: `insert into siwx_nonces (id, expires_at)
      select id, expires_at from ${rows(['id', 'expires_at'])} r where true
      on conflict do nothing returning id`,
  };
}

export type StatementTexts = ReturnType<typeof statementTexts>;

/** Runs the statements inside one transaction; write counts are rows touched. */
export class Statements {
  readonly #texts: StatementTexts;
  readonly #tx: Kysely<Tables>;

  constructor(texts: StatementTexts, tx: Kysely<Tables>) {
    this.#texts = texts;
    this.#tx = tx;
  }

  async accounts(ids: string[]): Promise<Map<string, AccountState>> {
    if (!ids.length) return new Map();
    const rows = ids.map((id) => [id]);
    const result = await this.#run<AccountState>('accounts', rows);
    return new Map(result.rows.map((row) => [row.id, row]));
  }

  async keys(rows: unknown[][]): Promise<Map<string, KeyState>> {
    if (!rows.length) return new Map();
    const result = await this.#run<KeyState>('keys', rows);
    return new Map(result.rows.map((row) => [row.id, row]));
  }

  moveAccounts(rows: unknown[][]): Promise<number> {
    return this.#change('moveAccounts', rows);
  }

  openWindows(rows: unknown[][]): Promise<number> {
    return this.#change('openWindows', rows);
  }

  countWindows(rows: unknown[][]): Promise<number> {
    return this.#change('countWindows', rows);
  }

  insertHolds(rows: unknown[][]): Promise<number> {
    return this.#change('insertHolds', rows);
  }

  resolveHolds(rows: unknown[][]): Promise<number> {
    return this.#change('resolveHolds', rows);
  }

  insertEntries(rows: EntryTuple[]): Promise<number> {
    return this.#change('insertEntries', rows);
  }

  /** Captures without a charge: no entry leads to them. */
  insertFree(rows: unknown[][]): Promise<number> {
    return this.#change('insertFree', rows);
  }

  insertSeal(seal: SealRow): Promise<number> {
    return this.#change('insertSeal', [SEAL_COLUMNS.map((column) => seal[column])]);
  }

  /** Inserts nonces; answers the ids that were not there before. */
  async insertNonces(rows: [id: string, expiresAt: number][]): Promise<Set<string>> {
    const result = await this.#run<{ id: string }>('insertNonces', rows);
    return new Set(result.rows.map((row) => row.id));
  }

  async #change(name: keyof StatementTexts, rows: unknown[]): Promise<number> {
    const { numAffectedRows } = await this.#run(name, rows);
    return Number(numAffectedRows ?? 0n);
  }

  #run<R>(name: keyof StatementTexts, rows: unknown[]) {
    return this.#tx.executeQuery<R>(CompiledQuery.raw(this.#texts[name], [JSON.stringify(rows)]));
  }
}
