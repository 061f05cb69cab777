import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompiledQuery } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GuardMiss } from '../../src/db/errors.ts';
import { type Database, migrate, openDatabase, unpack } from '../../src/db/open.ts';

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

  it('runs a script in its order and undoes all of it where a step touches other rows than it was given', async () => {
    const script = await database.script('trial', [
      {
        columns: ['id', 'expires_at'],
        text: (rows) =>
          `insert into siwx_nonces (id, expires_at) select id, expires_at from ${rows}`,
        isExact: true,
      },
      {
        columns: ['id', 'more'],
        text: (rows) => `update siwx_nonces set expires_at = siwx_nonces.expires_at + r.more
          from ${rows} r where siwx_nonces.id = r.id`,
        isExact: true,
      },
      {
        columns: ['id'],
        text: (rows) => `delete from siwx_nonces where id in (select id from ${rows})`,
        isExact: false,
      },
    ]);
    const go = (...rows: unknown[][][]) => database.db.executeQuery(script(rows));
    const there = async () => (await run('select id, expires_at from siwx_nonces')).rows;

    await go([['a', 1]], [['a', 10]], []);
    expect(await there()).toEqual([{ id: 'a', expires_at: 11 }]);
    await go([], [], [['nobody']]);
    await expect(
      go(
        [['b', 1]],
        [
          ['a', 1],
          ['c', 1],
        ],
        [],
      ),
    ).rejects.toThrow(GuardMiss);
    await expect(
      go(
        [
          ['b', 1],
          ['a', 1],
        ],
        [],
        [],
      ),
    ).rejects.toThrow(/UNIQUE/);
    expect(await there()).toEqual([{ id: 'a', expires_at: 11 }]);

    await run('begin');
    await expect(go([['b', 1]], [['c', 1]], [])).rejects.toThrow(GuardMiss);
    await go([['d', 4]], [], [['a']]);
    await run('commit');
    expect(await there()).toEqual([{ id: 'd', expires_at: 4 }]);
  });

  it('unpacks packed rows, and refuses an integer beyond 2^53 in them', async () => {
    const packed = database.packed(['id', 'expires_at', 'null']);
    const text = async () =>
      String((await run(`select ${packed} as x from siwx_nonces`)).rows[0]?.['x']);
    expect(unpack(await text())).toEqual([]);
    await run('insert into siwx_nonces values (?, ?)', ['"a"', Number.MAX_SAFE_INTEGER]);
    expect(unpack(await text())).toEqual([['"a"', Number.MAX_SAFE_INTEGER, null]]);
    await run('update siwx_nonces set expires_at = 9007199254740993');
    const rounded = await text();
    expect(() => unpack(rounded)).toThrow(/beyond 2\^53/);
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
