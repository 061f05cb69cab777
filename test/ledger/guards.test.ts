import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GuardMiss } from '../../src/db/errors.ts';
import { openDatabase } from '../../src/db/open.ts';
import { Statements, statementTexts } from '../../src/ledger/statements.ts';
import { DATABASE_FILE } from '../../src/ledger/store.ts';
import { nanoUsd } from '../../src/money.ts';
import { reserveRequest, testStore, type TestStore } from '../support/store.ts';

const HAS = 1_000;
const TIMES = 60;

/** What a batch writes with, told whatever a wrong decision would tell it. */
async function withStatements(
  store: TestStore,
  use: (statements: Statements) => Promise<void>,
): Promise<void> {
  await store.close();
  const database = openDatabase(join(store.dataDir, DATABASE_FILE), 'write');
  try {
    await use(new Statements(await statementTexts(database), database.db));
  } finally {
    await database.close();
  }
}

describe('the statements of a batch, whatever was decided before', () => {
  it.each([
    ['hold more than there is', 0, HAS + 1],
    ['take more than there is', -HAS - 1, 0],
    ['give back more than is held', 0, -1],
    ['charge what others hold', -1, HAS],
  ])('refuse to %s', async (_what, posted, held) => {
    await using store = await testStore();
    const account = await store.wallet('0.000001');
    await withStatements(store, async (statements) => {
      const move = (...by: number[]) => statements.write({ accounts: [[account, ...by]] });
      await expect(move(posted, held)).rejects.toThrow(/CHECK/);
      await move(-1, HAS - 1);
      await expect(statements.write({ accounts: [['nobody', 0, 0]] })).rejects.toThrow(GuardMiss);
    });
  });

  it('do not touch a window beyond the limit that is in force', async () => {
    await using store = await testStore();
    const account = await store.wallet('1');
    const { id } = await store.keys.create({
      accountId: account,
      type: 'INFERENCE',
      description: '',
    });
    await store.ledger.reserve(reserveRequest(account, 60, { keyId: id }));
    await withStatements(store, async (statements) => {
      const count = (captured: number, held: number, cap: number | null) =>
        statements.write({ windows: [[id, 'LIFETIME', '', captured, held, cap]] });
      await expect(count(0, 41, 100)).rejects.toThrow(GuardMiss);
      await count(0, 40, 100);
      await expect(count(1, 0, 100)).rejects.toThrow(GuardMiss);
      // Lowered below what is used: what runs may still end.
      await count(30, -60, 10);
      await count(0, 1_000, null);
    });
  });

  it('resolve a hold once, and charge it once', async () => {
    await using store = await testStore();
    const account = await store.wallet('1');
    const hold = await store.ledger.reserve(reserveRequest(account, 60));
    await store.ledger.capture(hold, nanoUsd(10), null);
    await withStatements(store, async (statements) => {
      const resolutions = [[hold.id, 'captured', 10, 0, null, 1]];
      await expect(statements.write({ resolutions })).rejects.toThrow(GuardMiss);
      const charge = [9, 1, 'CHARGE', hold.id, account, 'sys:revenue', 10, 1, null, null] as const;
      await expect(statements.write({ entries: [charge] })).rejects.toThrow(/UNIQUE/);
    });
  });
});

describe('a batch that one of its operations stops', () => {
  it('is done again, each of the others once', async () => {
    await using store = await testStore();
    const account = await store.wallet('1');
    const hold = await store.ledger.reserve(reserveRequest(account, 60));
    await store.ledger.capture(hold, nanoUsd(10), null);
    const { posted } = await store.accounts.balance(account);
    const [first, second, again] = await Promise.all([
      store.ledger.reserve(reserveRequest(account, 100)),
      store.ledger.reserve(reserveRequest(account, 200)),
      store.ledger.void(hold),
      store.ledger.reserve(reserveRequest(account, 400)),
    ]);
    expect(first.balance).toEqual({ posted, held: 100 });
    expect(second.balance).toEqual({ posted, held: 300 });
    expect(again).toMatchObject({ charged: 10, wasResolvedBefore: true });
    expect(await store.accounts.balance(account)).toEqual({ posted, held: 700 });
    await store.check();
  });
});

describe('an answer', () => {
  it('comes when everybody can see what it says', async () => {
    await using store = await testStore();
    const account = await store.wallet('1');
    for (let time = 1; time <= TIMES; time += 1) {
      const { balance } = await store.ledger.reserve(reserveRequest(account, 1));
      expect(balance.held).toBe(time);
      expect(await store.accounts.balance(account)).toEqual(balance);
    }
  });
});
