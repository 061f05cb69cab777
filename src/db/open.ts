/** Opens a database: which dialect, which migrations. Callers see Kysely, row sources and storage faults, never a dialect. */
import { Kysely, sql } from 'kysely';
import { Migrator, type Migration, type MigrationProvider } from 'kysely/migration';
import { sqliteDdl, sqliteDialect, sqlitePacked, sqliteRows, type SqliteAccess } from './sqlite.ts';
import type { Script, ScriptStep } from './script.ts';
import { sqliteScript } from './sqlite-script.ts';
import * as money from './migrations/0001-money.ts';
import * as keys from './migrations/0002-keys.ts';
import * as idempotency from './migrations/0003-idempotency.ts';
import * as vault from './migrations/0004-vault.ts';
import * as usage from './migrations/0005-usage.ts';
import * as payouts from './migrations/0006-payouts.ts';
import * as quotes from './migrations/0007-quotes.ts';
import * as tasks from './migrations/0008-tasks.ts';
import * as media from './migrations/0009-media.ts';
import * as webhooks from './migrations/0010-webhooks.ts';
import * as channels from './migrations/0011-channels.ts';
import * as page from './migrations/0012-page.ts';
import * as settings from './migrations/0013-settings.ts';
import * as lists from './migrations/0014-lists.ts';
import * as large from './migrations/0015-large.ts';
import type { Tables } from './tables.ts';

export interface Database {
  db: Kysely<Tables>;
  /** See sqliteRows. */
  rows(columns: readonly string[]): string;
  /** See sqlitePacked. */
  packed(columns: readonly string[]): string;
  /** Makes one statement of several: see script.ts. For the writer's database, once its tables are there. */
  script(name: string, steps: readonly ScriptStep[]): Promise<Script>;
  close(): Promise<void>;
}

/** Opens `file` for its one writer (creating it) or for reading only. */
export function openDatabase(file: string, access: SqliteAccess): Database {
  const db = new Kysely<Tables>({ dialect: sqliteDialect(file, access) });
  return {
    db,
    rows: (columns) => sqliteRows(columns),
    packed: sqlitePacked,
    script: (name, steps) => setUpScript(db, name, steps),
    close: () => db.destroy(),
  };
}

async function setUpScript(
  db: Kysely<Tables>,
  name: string,
  steps: readonly ScriptStep[],
): Promise<Script> {
  const { setUp, script } = sqliteScript(name, steps);
  for (const statement of setUp) await sql.raw(statement).execute(db);
  return script;
}

/** The rows of a packed query. Throws RangeError where an integer is beyond 2^53: what was read of it is rounded. */
export function unpack(text: string): unknown[][] {
  const rows = JSON.parse(text) as unknown[][];
  for (const row of rows) {
    for (const value of row) {
      if (typeof value === 'number' && !Number.isSafeInteger(value)) {
        throw new RangeError('the database holds an integer beyond 2^53');
      }
    }
  }
  return rows;
}

const MIGRATIONS: Record<string, (db: Kysely<unknown>) => Promise<void>> = {
  '0001-money': (db) => money.up(db, sqliteDdl),
  '0002-keys': (db) => keys.up(db, sqliteDdl),
  '0003-idempotency': (db) => idempotency.up(db, sqliteDdl),
  '0004-vault': (db) => vault.up(db, sqliteDdl),
  '0005-usage': (db) => usage.up(db, sqliteDdl),
  '0006-payouts': (db) => payouts.up(db, sqliteDdl),
  '0007-quotes': (db) => quotes.up(db, sqliteDdl),
  '0008-tasks': (db) => tasks.up(db, sqliteDdl),
  '0009-media': (db) => media.up(db, sqliteDdl),
  '0010-webhooks': (db) => webhooks.up(db, sqliteDdl),
  '0011-channels': (db) => channels.up(db, sqliteDdl),
  '0012-page': (db) => page.up(db, sqliteDdl),
  '0013-settings': (db) => settings.up(db, sqliteDdl),
  '0014-lists': (db) => lists.up(db, sqliteDdl),
  '0015-large': (db) => large.up(db, sqliteDdl),
};

const KNOWN = Object.keys(MIGRATIONS);

/**
 * Brings the tables to this program's version, in one transaction: a start that ends in the middle leaves them as they were. Throws
 * when a newer program has been here.
 */
export async function migrate(database: Database): Promise<void> {
  await nextMigration(database);
  const provider: MigrationProvider = {
    async getMigrations() {
      const entries = Object.entries(MIGRATIONS).map(([name, up]): [string, Migration] => [
        name,
        { up },
      ]);
      return Object.fromEntries(entries);
    },
  };
  const migrator = new Migrator({ db: database.db, provider });
  const { error } = await migrator.migrateToLatest();
  if (error) throw new Error(`the database cannot be brought up to date: ${text(error)}`);
}

/** The first migration that a database with something in it still needs; null for a new or a current one. Throws when a newer program has been here. */
export async function nextMigration(database: Database): Promise<string | null> {
  const applied = await appliedMigrations(database);
  const unknown = firstUnknown(applied);
  if (unknown !== undefined) {
    throw new Error(
      `The database was changed by a newer Farebox (schema ${unknown}; this one knows schemas up to ${KNOWN.at(-1)}). ` +
        `Start that version or a later one. To go back instead, restore a backup from before the upgrade, ` +
        `or the copy that the upgrade made, named before-….db.`,
    );
  }
  if (!applied.length) return null;
  return KNOWN.find((name) => !applied.includes(name)) ?? null;
}

/** Writes a whole, consistent copy of a database that may be in use to `into`, which must not exist. */
export async function copyDatabase(file: string, into: string): Promise<void> {
  const source = openDatabase(file, 'read');
  try {
    // It takes the copy for a write, which it is, but of another file.
    await sql`pragma query_only = off`.execute(source.db);
    await sql`vacuum into ${into}`.execute(source.db);
  } finally {
    await source.close();
  }
}

/** The last migration that a database has had; throws where a newer program has been here. */
export async function schemaOf(database: Database): Promise<string> {
  const applied = await appliedMigrations(database);
  const unknown = firstUnknown(applied);
  if (unknown !== undefined) {
    throw new Error(`It was written by a newer Farebox (${unknown}): restore it with that one.`);
  }
  return applied.at(-1) ?? '';
}

/** In their order; [] where no program has been yet. */
async function appliedMigrations({ db }: Database): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some(({ name }) => name === 'kysely_migration')) return [];
  const { rows } = await sql<{ name: string }>`
    select name from kysely_migration order by name`.execute(db);
  return rows.map(({ name }) => name);
}

function firstUnknown(applied: readonly string[]): string | undefined {
  return applied.find((name) => !Object.hasOwn(MIGRATIONS, name));
}

/** The database's own full check; [] when it finds nothing wrong. */
export async function checkFile(database: Database): Promise<string[]> {
  const { rows } = await sql<{ quick_check: string }>`pragma quick_check`.execute(database.db);
  return rows.map((row) => row.quick_check).filter((line) => line !== 'ok');
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export interface ExclusiveFile {
  release(): Promise<void>;
}

/** Takes `file` for this process alone until release or the process's end; throws at once when another has it. */
export async function holdExclusively(file: string): Promise<ExclusiveFile> {
  const db = new Kysely<unknown>({ dialect: sqliteDialect(file, 'lock') });
  try {
    await sql`begin exclusive`.execute(db);
  } catch (error) {
    await db.destroy().catch(() => {});
    throw error;
  }
  return { release: () => db.destroy() };
}
