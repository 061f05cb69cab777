/**
 * The set-based statements of a batch: plain SQL around the database's row source, compiled once. What a batch decides on is read
 * by one statement, what it decided is written by one more.
 */
import { CompiledQuery, type Kysely } from 'kysely';
import { type Database, unpack } from '../db/open.ts';
import type { Script, ScriptStep } from '../db/script.ts';
import type { LimitPeriod, Tables } from '../db/tables.ts';
import { ENTRY_COLUMNS } from './operations.ts';

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

const ACCOUNT_COLUMNS = ['a.id', 'a.posted', 'a.held', 'a.credit_line', 'a.state'];
const KEY_COLUMNS = [
  'k.id',
  'k.state',
  'k.expires_at',
  'k.limit_period',
  'k.limit_nano',
  'coalesce(w.captured + w.held, 0)',
];

const step = (
  columns: readonly string[],
  text: (rows: string) => string,
  isExact = true,
): ScriptStep => ({ columns, text, isExact });

/** In the order in which they run. */
const WRITES = {
  // First, because it says which holds were resolved before; the balances would only break a check.
  resolutions: step(
    ['id', 'state', 'captured', 'shortfall', 'usage', 'resolved_at'],
    (rows) => `update holds set state = r.state, captured = r.captured, shortfall = r.shortfall,
        usage = r.usage, resolved_at = r.resolved_at
      from ${rows} r where holds.id = r.id and holds.state = 'open'`,
  ),
  accounts: step(
    ['id', 'posted', 'held'],
    (
      rows,
    ) => `update accounts set posted = accounts.posted + r.posted, held = accounts.held + r.held
      from ${rows} r where accounts.id = r.id`,
  ),
  newWindows: step(
    ['key_id', 'period', 'start'],
    (rows) => `insert into key_windows (key_id, period, start)
      select key_id, period, start from ${rows} r where true
      on conflict do nothing`,
    false,
  ),
  windows: step(
    ['key_id', 'period', 'start', 'captured', 'held', 'cap'],
    (
      rows,
    ) => `update key_windows set captured = key_windows.captured + r.captured, held = key_windows.held + r.held
      from ${rows} r
      where key_windows.key_id = r.key_id and key_windows.period = r.period and key_windows.start = r.start
        and (r.cap is null or r.captured + r.held <= 0
          or key_windows.captured + key_windows.held + r.captured + r.held <= r.cap)`,
  ),
  holds: step(
    HOLD_COLUMNS,
    (rows) => `insert into holds (${HOLD_COLUMNS.join(', ')}, state)
      select ${HOLD_COLUMNS.join(', ')}, 'open' from ${rows} r`,
  ),
  // Captures without a charge: no entry leads to them.
  free: step(
    ['account_id', 'hold_id'],
    (rows) => `insert into usage_free (account_id, hold_id)
      select account_id, hold_id from ${rows} r`,
  ),
  entries: step(
    ENTRY_COLUMNS,
    (rows) => `insert into entries (${ENTRY_COLUMNS.join(', ')})
      select ${ENTRY_COLUMNS.join(', ')} from ${rows} r`,
  ),
  seals: step(
    SEAL_COLUMNS,
    (rows) => `insert into seals (${SEAL_COLUMNS.join(', ')})
      select ${SEAL_COLUMNS.join(', ')} from ${rows} r`,
  ),
};

/** Rows by statement, in the order of its columns. */
export type Writes = Partial<Record<keyof typeof WRITES, readonly unknown[]>>;

const WRITE_NAMES = Object.keys(WRITES) as (keyof typeof WRITES)[];
const NONE: readonly unknown[] = [];

export interface StatementTexts {
  state: string;
  nonces: string;
  write: Script;
}

/** Made once per database. */
export async function statementTexts({ rows, packed, script }: Database): Promise<StatementTexts> {
  return {
    state: `select
      (select ${packed(ACCOUNT_COLUMNS)} from ${rows(['id'])} r join accounts a on a.id = r.id) as accounts,
      (select ${packed(KEY_COLUMNS)} from ${rows(['id', 'day', 'month'])} r join api_keys k on k.id = r.id
        left join key_windows w on k.limit_nano is not null and w.key_id = k.id and w.period = k.limit_period
          and w.start = case k.limit_period when 'EPOCH' then r.day when 'MONTH' then r.month else '' end
      ) as keys`,
    nonces: `insert into siwx_nonces (id, expires_at)
      select id, expires_at from ${rows(['id', 'expires_at'])} r where true
      on conflict do nothing returning id`,
    write: await script('batch', Object.values(WRITES)),
  };
}

export interface State {
  accounts: Map<string, AccountState>;
  keys: Map<string, KeyState>;
}

/** Runs the statements inside one transaction. */
export class Statements {
  readonly #texts: StatementTexts;
  readonly #tx: Kysely<Tables>;

  constructor(texts: StatementTexts, tx: Kysely<Tables>) {
    this.#texts = texts;
    this.#tx = tx;
  }

  /** `keys`: id, day and month of each. */
  async state(accounts: readonly unknown[][], keys: readonly unknown[][]): Promise<State> {
    if (!accounts.length) return { accounts: new Map(), keys: new Map() };
    const parameters = [JSON.stringify(accounts), JSON.stringify(keys)];
    const query = CompiledQuery.raw(this.#texts.state, parameters);
    const { rows } = await this.#tx.executeQuery<{ accounts: string; keys: string }>(query);
    return {
      accounts: byId(unpack(rows[0]!.accounts).map(accountState)),
      keys: byId(unpack(rows[0]!.keys).map(keyState)),
    };
  }

  /** Throws GuardMiss, with nothing written, where a statement does not find what it was decided on. */
  async write(writes: Writes): Promise<void> {
    await this.#tx.executeQuery(this.#texts.write(WRITE_NAMES.map((name) => writes[name] ?? NONE)));
  }

  /** Inserts nonces; answers the ids that were not there before. */
  async insertNonces(rows: [id: string, expiresAt: number][]): Promise<Set<string>> {
    const query = CompiledQuery.raw(this.#texts.nonces, [JSON.stringify(rows)]);
    const result = await this.#tx.executeQuery<{ id: string }>(query);
    return new Set(result.rows.map((row) => row.id));
  }
}

function byId<T extends { id: string }>(rows: T[]): Map<string, T> {
  return new Map(rows.map((row) => [row.id, row]));
}

function accountState([id, posted, held, credit_line, state]: unknown[]): AccountState {
  return { id, posted, held, credit_line, state } as AccountState;
}

function keyState([id, state, expires_at, limit_period, limit_nano, used]: unknown[]): KeyState {
  return { id, state, expires_at, limit_period, limit_nano, used } as KeyState;
}
