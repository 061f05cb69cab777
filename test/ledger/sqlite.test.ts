import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompiledQuery } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Database, migrate, openDatabase } from '../../src/db/open.ts';

describe('sqlite dialect', () => {
  let folder: string;
  let database: Database;
  const run = (text: string, parameters: unknown[] = []) =>
    database.db.executeQuery<Record<string, unknown>>(CompiledQuery.raw(text, parameters));

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'farebox-db-'));
    database = openDatabase(join(folder, 'x.db'), 'write');
    await migrate(database);
  });
  afterEach(async () => {
    await database.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('refuses a bigint and an unsafe integer on the way in', async () => {
    await expect(run('select ? as x', [5n])).rejects.toThrow(/bigint/);
    await expect(run('select ? as x', [2 ** 53])).rejects.toThrow(/safe integer/);
    await expect(run('select ? as x', [0.5])).rejects.toThrow(/safe integer/);
    const largest = await run('select ? as x', [Number.MAX_SAFE_INTEGER]);
    expect(largest.rows).toEqual([{ x: Number.MAX_SAFE_INTEGER }]);
  });

  it('refuses an integer beyond 2^53 on the way out', async () => {
    await expect(run('select 9007199254740993 as x')).rejects.toThrow(/beyond 2\^53/);
  });

  it('stores every integer from 2^31 to 2^53-1 exactly in a strict table', async () => {
    for (const value of [2 ** 31, 2 ** 32 + 1, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER]) {
      await run('insert into siwx_nonces (id, expires_at) values (?, ?)', [String(value), value]);
      const { rows } = await run(
        'select expires_at, typeof(expires_at) as type from siwx_nonces where id = ?',
        [String(value)],
      );
      expect(rows).toEqual([{ expires_at: value, type: 'integer' }]);
    }
  });

  it('writes durably: WAL, synchronous FULL, foreign keys on', async () => {
    expect((await run('pragma synchronous')).rows).toEqual([{ synchronous: 2 }]);
    expect((await run('pragma journal_mode')).rows).toEqual([{ journal_mode: 'wal' }]);
    expect((await run('pragma foreign_keys')).rows).toEqual([{ foreign_keys: 1 }]);
  });

  it('reads on a connection that cannot write', async () => {
    const reader = openDatabase(join(folder, 'x.db'), 'read');
    await expect(
      reader.db.insertInto('siwx_nonces').values({ id: 'a', expires_at: 1 }).execute(),
    ).rejects.toThrow(/readonly/);
    await reader.close();
  });

  it('refuses a database that a newer version has changed', async () => {
    await run(
      "insert into kysely_migration (name, timestamp) values ('9999-future', '2030-01-01')",
    );
    await expect(migrate(database)).rejects.toThrow(/9999-future/);
  });
});
