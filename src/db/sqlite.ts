/**
 * SQLite through npm's `sqlite3`: the Kysely dialect and every word of SQL that PostgreSQL spells differently.
 * Facts that shape it: sqlite3 binds a bigint as NULL and rounds integers beyond 2^53, so both are refused here; it does not
 * order two statements in flight, so a connection that writes has one user, which awaits each statement.
 */
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import sqlite3 from 'sqlite3';
import type { Ddl } from './ddl.ts';
import { GUARD_MARK, GuardMiss } from './errors.ts';
import { InTurn } from './in-turn.ts';

export const sqliteDdl: Ddl = {
  text: 'text',
  int: 'integer',
  table: 'strict',
  keyed: 'strict, without rowid',
};

/**
 * A row source for set-based statements: `(select …)` over one parameter, a JSON array of arrays, with these column names.
 */
export function sqliteRows(columns: readonly string[], source = '?'): string {
  const list = columns.map((column, index) => `value ->> ${index} as ${column}`);
  return `(select ${list.join(', ')} from jsonb_each(${source}))`;
}

/** An aggregate that packs the rows of a query into one JSON array of arrays: objects made by the driver cost more than the query. */
export function sqlitePacked(columns: readonly string[]): string {
  return `json_group_array(json_array(${columns.join(', ')}))`;
}

const MAX_STATEMENTS = 512;
const MAX_WAITING_REPORTS = 1_000;
const BUSY_TIMEOUT_MS = 5_000;

/** `report`: reading, one statement at a time; see InTurn. */
export type SqliteAccess = 'write' | 'read' | 'report' | 'lock';

export function sqliteDialect(file: string, access: SqliteAccess): Dialect {
  return {
    createAdapter: () => new TransactionalAdapter(),
    createDriver: () => new SqliteDriver(file, access),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

/** SQLite rolls back what changes tables like anything else: all migrations of a start are there, or none. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class SqliteDriver implements Driver {
  readonly #file: string;
  readonly #access: SqliteAccess;
  #connection: SqliteConnection | null = null;

  constructor(file: string, access: SqliteAccess) {
    this.#file = file;
    this.#access = access;
  }

  async init(): Promise<void> {
    const isReading = this.#access === 'read' || this.#access === 'report';
    const flags = isReading ? sqlite3.OPEN_READONLY : sqlite3.OPEN_READWRITE | sqlite3.OPEN_CREATE;
    const database = await new Promise<sqlite3.Database>((resolve, reject) => {
      const opened = new sqlite3.Database(this.#file, flags, (error) =>
        error ? reject(error) : resolve(opened),
      );
    });
    const turns = this.#access === 'report' ? new InTurn(MAX_WAITING_REPORTS) : null;
    this.#connection = new SqliteConnection(database, turns);
    for (const pragma of this.#pragmas()) await this.#connection.run(`pragma ${pragma}`);
  }

  #pragmas(): string[] {
    if (this.#access === 'lock') return ['busy_timeout = 0'];
    const both = [`busy_timeout = ${BUSY_TIMEOUT_MS}`, 'trusted_schema = off'];
    if (this.#access === 'read' || this.#access === 'report') return [...both, 'query_only = on'];
    return [
      ...both,
      'journal_mode = wal',
      'synchronous = full',
      'foreign_keys = on',
      'cell_size_check = on',
      // Or what a statement would undo goes through a file of its own.
      'temp_store = memory',
    ];
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    if (!this.#connection) throw new Error('the database is closed');
    return this.#connection;
  }

  /** `immediate`: a deferred transaction that reads and then writes fails at once when another process wrote in between. */
  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await (connection as SqliteConnection).run(
      this.#access === 'write' ? 'begin immediate' : 'begin',
    );
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await (connection as SqliteConnection).run('commit');
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await (connection as SqliteConnection).run('rollback');
  }

  async savepoint(connection: DatabaseConnection, name: string): Promise<void> {
    await (connection as SqliteConnection).run(`savepoint ${name}`);
  }

  async rollbackToSavepoint(connection: DatabaseConnection, name: string): Promise<void> {
    await (connection as SqliteConnection).run(`rollback to ${name}`);
  }

  async releaseSavepoint(connection: DatabaseConnection, name: string): Promise<void> {
    await (connection as SqliteConnection).run(`release ${name}`);
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {
    await this.#connection?.close();
    this.#connection = null;
  }
}

class SqliteConnection implements DatabaseConnection {
  readonly #database: sqlite3.Database;
  readonly #statements = new Map<string, sqlite3.Statement>();
  readonly #turns: InTurn | null;

  constructor(database: sqlite3.Database, turns: InTurn | null) {
    this.#database = database;
    this.#turns = turns;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const parameters = query.parameters.map(bindable);
    if (this.#turns) return this.#turns.run(() => this.#execute<R>(query.sql, parameters));
    return this.#execute(query.sql, parameters);
  }

  async #execute<R>(sql: string, parameters: unknown[]): Promise<QueryResult<R>> {
    const statement = this.#statements.get(sql) ?? (await this.#prepare(sql));
    if (returnsRows(sql)) return { rows: await all<R>(statement, parameters) };
    return { rows: [], numAffectedRows: BigInt(await change(statement, parameters)) };
  }

  // eslint-disable-next-line require-yield
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('streaming queries are not supported: page instead');
  }

  async run(sql: string): Promise<void> {
    const statement = this.#statements.get(sql) ?? (await this.#prepare(sql));
    // Stepped to its end: a pragma left at its row keeps a lock.
    await all(statement, []);
  }

  #prepare(sql: string): Promise<sqlite3.Statement> {
    return new Promise((resolve, reject) => {
      const statement = this.#database.prepare(sql, (error: Error | null) => {
        if (error) return reject(error);
        this.#keep(sql, statement);
        return resolve(statement);
      });
    });
  }

  /** Statements stay prepared; ad-hoc texts beyond the bound push the oldest out. */
  #keep(sql: string, statement: sqlite3.Statement): void {
    const oldest = this.#statements.keys().next();
    if (this.#statements.size >= MAX_STATEMENTS && !oldest.done) {
      this.#statements.get(oldest.value)?.finalize();
      this.#statements.delete(oldest.value);
    }
    this.#statements.set(sql, statement);
  }

  async close(): Promise<void> {
    await this.#turns?.run(() => Promise.resolve());
    for (const statement of this.#statements.values()) {
      await new Promise<void>((resolve) => statement.finalize(() => resolve()));
    }
    this.#statements.clear();
    await new Promise<void>((resolve, reject) =>
      this.#database.close((error) => (error ? reject(error) : resolve())),
    );
  }
}

function bindable(value: unknown): unknown {
  if (typeof value === 'bigint')
    throw new TypeError('sqlite3 binds a bigint as NULL: pass a safe integer');
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new TypeError(`not a safe integer: ${value}`);
  }
  return value;
}

function returnsRows(sql: string): boolean {
  return /^\s*(select|with|pragma|explain)/i.test(sql) || /\breturning\b/i.test(sql);
}

function all<R>(statement: sqlite3.Statement, parameters: unknown[]): Promise<R[]> {
  return new Promise((resolve, reject) => {
    statement.all(parameters, (error: Error | null, rows: R[]) => {
      if (error) return reject(error);
      return unsafeInteger(rows)
        ? reject(new RangeError('the database holds an integer beyond 2^53'))
        : resolve(rows);
    });
  });
}

function unsafeInteger(rows: readonly unknown[]): boolean {
  for (const row of rows) {
    for (const name in row as Record<string, unknown>) {
      const value = (row as Record<string, unknown>)[name];
      if (typeof value === 'number' && !Number.isSafeInteger(value)) return true;
    }
  }
  return false;
}

function change(statement: sqlite3.Statement, parameters: unknown[]): Promise<number> {
  return new Promise((resolve, reject) => {
    statement.run(parameters, function done(this: sqlite3.RunResult, error: Error | null) {
      if (error) reject(error.message.includes(GUARD_MARK) ? new GuardMiss(error.message) : error);
      else resolve(this.changes);
    });
  });
}
