import { CompiledQuery } from 'kysely';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunSelf } from '../../src/backup/schedule.ts';
import { openDatabase } from '../../src/db/open.ts';
import { silentLog } from '../../src/log.ts';
import { BooksCheck } from '../../src/operator/books.ts';
import { run } from '../support/cli.ts';
import { manualClock, testStore } from '../support/store.ts';

const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;

/** The program itself, on this directory. */
function program(dataDir: string): RunSelf {
  return async (args, environment) => {
    const done = await run({ DATA_DIR: dataDir, SANDBOX: '1', ...environment }, ...args);
    return { code: done.code, out: done.out, complaint: done.err };
  };
}

describe('the check of the books', () => {
  it('is made ten minutes after a start and once a day, and finds what somebody changed (S-9)', async () => {
    await using store = await testStore();
    await store.wallet('5');
    const clock = manualClock();
    const books = new BooksCheck({ runSelf: program(store.dataDir), clock, log: silentLog });
    books.start();
    await books.look();
    expect(books.status().checkedAtMs).toBeNull();
    clock.ms += 10 * MINUTE;
    await books.look();
    const good = { checkedAtMs: clock.ms, faults: 0, first: null, problem: null };
    expect(books.status()).toEqual(good);

    const { db, close } = openDatabase(join(store.dataDir, 'farebox.db'), 'write');
    await db.executeQuery(CompiledQuery.raw('update accounts set posted = posted + 5'));
    await close();
    await books.look();
    expect(books.status()).toEqual(good);
    clock.ms += DAY;
    await books.look();
    expect(books.status()).toMatchObject({ checkedAtMs: clock.ms, problem: null });
    expect(books.status().faults).toBeGreaterThan(0);
    expect(books.status().first).toContain('accounts acc_');
    await books.stop();
  });

  it('says why it could not be made, keeps what it knew, and tries again in an hour', async () => {
    await using store = await testStore();
    const clock = manualClock();
    let dataDir = join(store.dataDir, 'nothing');
    const runSelf: RunSelf = (...call) => program(dataDir)(...call);
    const books = new BooksCheck({ runSelf, clock, log: silentLog });
    books.start();
    clock.ms += 10 * MINUTE;
    await books.look();
    expect(books.status()).toMatchObject({ checkedAtMs: null, faults: 0 });
    expect(books.status().problem).toContain('holds no ledger yet');
    dataDir = store.dataDir;
    await books.look();
    expect(books.status().checkedAtMs).toBeNull();
    clock.ms += 60 * MINUTE;
    await books.look();
    expect(books.status()).toMatchObject({ checkedAtMs: clock.ms, problem: null });
    await books.stop();
  });
});
