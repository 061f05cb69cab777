import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sqlite3 from 'sqlite3';
import { describe, expect, it } from 'vitest';
import { DATABASE_FILE } from '../../src/ledger/store.ts';
import { silentLog } from '../../src/log.ts';
import { nanoUsd } from '../../src/money.ts';
import { RollUp } from '../../src/usage/roll-up.ts';
import { DAY_MS } from '../../src/usage/sources.ts';
import { type ModelUsage, Usage } from '../../src/usage/usage.ts';
import { verifyStore } from '../../src/verify.ts';
import { manualClock, reserveRequest, type TestStore, testStore } from '../support/store.ts';

const KILLED = fileURLToPath(new URL('../support/roll-up-killed.ts', import.meta.url));
const START = Date.UTC(2026, 1, 27, 23, 59, 30);
const FIRST_DAY = Math.floor(START / DAY_MS);
const ALL = { fromDay: 0, toDay: FIRST_DAY + 1_000 };

interface Spend {
  accountId: string;
  cost: number;
  keyId?: string | null;
  model?: string;
  usage?: object | string | null;
  hold?: number;
}

async function spend(store: TestStore, { accountId, cost, ...more }: Spend): Promise<void> {
  const { keyId = null, model = 'm1', hold = Math.max(cost, 1) } = more;
  const { usage = { input_tokens: 10, output_tokens: 4, cached_input_tokens: 3 } } = more;
  const request = reserveRequest(accountId, hold, { keyId, model });
  const held = await store.ledger.reserve(request);
  const text = typeof usage === 'object' && usage !== null ? JSON.stringify(usage) : usage;
  await store.ledger.capture(held, nanoUsd(cost), text);
}

const rollUpOf = ({ ledger }: TestStore) => new RollUp({ ledger, log: silentLog });
const usageOf = ({ reports }: TestStore) => new Usage(reports);

/** Numbers in which a lost or doubled row would show. */
async function spendALot(store: TestStore): Promise<{ accountId: string; other: string }> {
  const accountId = await store.wallet('1');
  const other = await store.wallet('1');
  const { id } = await store.keys.create({ accountId, type: 'INFERENCE', description: '' });
  for (let at = 0; at < 40; at += 1) {
    const keyId = at % 3 === 0 ? null : id;
    await spend(store, { accountId, keyId, model: `m${at % 4}`, cost: 2 ** (at % 20) + at });
    await spend(store, { accountId: other, cost: 7 * at });
    if (at % 10 === 9) store.clock.ms += 60_000;
  }
  await spend(store, { accountId, cost: 0, usage: { input_tokens: 5, output_tokens: 1 } });
  await spend(store, { accountId, cost: 900, hold: 400, usage: { estimated: true } });
  await spend(store, { accountId, cost: 900, hold: 0, usage: null });
  await spend(store, { accountId, cost: 3, usage: 'no JSON' });
  return { accountId, other };
}

/** By other means: from what the holds say, one by one. */
async function expected({ ledger }: TestStore, accountId: string, span = ALL) {
  const rows = await ledger.read
    .selectFrom('holds')
    .selectAll()
    .where('account_id', '=', accountId)
    .where('state', '=', 'captured')
    .execute();
  const models = new Map<string, Omit<ModelUsage, 'model'>>();
  for (const row of rows) {
    const day = Math.floor(row.resolved_at! / DAY_MS);
    if (day < span.fromDay || day > span.toDay) continue;
    const sum = models.get(row.model!) ?? {
      requests: 0,
      inputTokens: 0,
      outputTokens: 0,
      cachedInputTokens: 0,
      estimated: 0,
      cost: 0n,
    };
    const usage = (row.usage?.startsWith('{') ? JSON.parse(row.usage) : {}) as Record<
      string,
      number | undefined
    >;
    sum.requests += 1;
    sum.inputTokens += usage['input_tokens'] ?? 0;
    sum.outputTokens += usage['output_tokens'] ?? 0;
    sum.cachedInputTokens += usage['cached_input_tokens'] ?? 0;
    sum.estimated += usage['estimated'] ? 1 : 0;
    sum.cost += BigInt(row.captured);
    models.set(row.model!, sum);
  }
  return models;
}

async function expectExact(store: TestStore, accountId: string, span = ALL): Promise<void> {
  const told = await usageOf(store).byModel({ accountId, under: null }, span);
  const right = await expected(store, accountId, span);
  expect(new Map(told.map(({ model, ...sums }) => [model, sums]))).toEqual(right);
  expect(told.map(({ cost }) => cost)).toEqual(
    told.map(({ cost }) => cost).toSorted((a, b) => Number(b - a)),
  );
}

async function markOf({ ledger }: TestStore): Promise<number> {
  return (await ledger.read.selectFrom('usage_mark').select('seq').executeTakeFirstOrThrow()).seq;
}

async function daysOf({ ledger }: TestStore) {
  return ledger.read.selectFrom('usage_days').selectAll().execute();
}

describe('usage by day', () => {
  it('is exact after every step of the roll-up, and before the first', async () => {
    await using store = await testStore({ clock: manualClock(START) });
    const { accountId, other } = await spendALot(store);
    const rollUp = rollUpOf(store);
    let steps = 0;
    do {
      await expectExact(store, accountId);
      await expectExact(store, other);
      await expectExact(store, accountId, { fromDay: FIRST_DAY + 1, toDay: FIRST_DAY + 1 });
      await store.check();
      steps += 1;
    } while (await rollUp.step(7));
    expect(steps).toBeGreaterThan(10);
    expect(await store.ledger.read.selectFrom('usage_free').selectAll().execute()).toEqual([]);
  });

  it('adds up to the CHARGE entries of each day, to the nano-dollar', async () => {
    await using store = await testStore({ clock: manualClock(START) });
    await spendALot(store);
    await rollUpOf(store).run();
    const byDay = new Map<number, number>();
    for (const { day, cost } of await daysOf(store)) {
      byDay.set(day, (byDay.get(day) ?? 0) + cost);
    }
    const charges = await store.ledger.read
      .selectFrom('entries')
      .select(['at', 'amount'])
      .where('kind', '=', 'CHARGE')
      .execute();
    const right = new Map<number, number>();
    for (const { at, amount } of charges) {
      const day = Math.floor(at / DAY_MS);
      right.set(day, (right.get(day) ?? 0) + amount);
    }
    expect(byDay).toEqual(right);
    expect(byDay.size).toBe(2);
  });

  it('goes on where it was when the server was stopped between two steps', async () => {
    let store = await testStore({ clock: manualClock(START) });
    const { accountId } = await spendALot(store);
    for (let stop = 0; stop < 4; stop += 1) {
      const rollUp = rollUpOf(store);
      await rollUp.step(5);
      await rollUp.step(5);
      await spend(store, { accountId, cost: 11 + stop });
      store.clock.ms += DAY_MS;
      store = await store.reopen();
      await expectExact(store, accountId);
      await store.check();
    }
    await rollUpOf(store).run();
    await expectExact(store, accountId);
    await store.check();
    await store[Symbol.asyncDispose]();
  });

  it('neither loses nor doubles anything when the process is killed in the middle of its steps', async () => {
    let store = await testStore({ clock: manualClock(START) });
    const { accountId, other } = await spendALot(store);
    for (const afterMs of ['0', '1', '4']) {
      const before = await markOf(store);
      await store.close();
      const child = spawn(process.execPath, [KILLED, store.dataDir, afterMs], { stdio: 'inherit' });
      const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
      expect(signal).toBe('SIGKILL');
      store = await store.reopen();
      expect(await markOf(store)).toBeGreaterThan(before);
      await expectExact(store, accountId);
      await expectExact(store, other);
      await store.check();
    }
    await rollUpOf(store).run();
    await expectExact(store, accountId);
    await store.check();
    await store[Symbol.asyncDispose]();
  });

  it('adds nothing of a step that fails, and all of it once it does not', async () => {
    await using store = await testStore({ clock: manualClock(START) });
    const { accountId } = await spendALot(store);
    const file = join(store.dataDir, DATABASE_FILE);
    await execute(
      file,
      `create trigger stuck before update on usage_mark begin select raise(abort, 'the mark is stuck'); end`,
    );
    await expect(rollUpOf(store).step(20)).rejects.toThrow('the mark is stuck');
    expect(await daysOf(store)).toEqual([]);
    await expectExact(store, accountId);
    await execute(file, 'drop trigger stuck');
    await rollUpOf(store).run();
    await expectExact(store, accountId);
    await store.check();
  });

  it('is exact while requests are charged at the same time', async () => {
    await using store = await testStore({ clock: manualClock(START) });
    const accountId = await store.wallet('1');
    const rollUp = rollUpOf(store);
    const spending = Array.from({ length: 400 }, (_each, at) =>
      spend(store, { accountId, cost: at % 5, model: `m${at % 3}` }),
    );
    for (let at = 0; at < 30; at += 1) await rollUp.step(9);
    await Promise.all(spending);
    await expectExact(store, accountId);
    await rollUp.run();
    await expectExact(store, accountId);
    await store.check();
  });

  it('has a key see itself and the keys that come from it, however far', async () => {
    await using store = await testStore({ clock: manualClock(START) });
    const accountId = await store.wallet('1');
    const make = async (parentId?: string) =>
      (
        await store.keys.create({
          accountId,
          type: 'INFERENCE',
          description: '',
          ...(parentId !== undefined && { parentId }),
        })
      ).id;
    const parent = await make();
    const child = await make(parent);
    const grandchild = await make(child);
    const stranger = await make();
    const costs: [string | null, number][] = [
      [parent, 1],
      [child, 20],
      [grandchild, 300],
      [stranger, 4_000],
      [null, 50_000],
    ];
    for (const [keyId, cost] of costs) {
      const ancestors = { [child]: [parent], [grandchild]: [child, parent] }[keyId ?? ''] ?? [];
      const hold = await store.ledger.reserve(
        reserveRequest(accountId, cost, { keyId, ancestors, model: 'm' }),
      );
      await store.ledger.capture(hold, nanoUsd(cost), null);
    }
    const seen = async (under: string | null) =>
      (await usageOf(store).byModel({ accountId, under }, ALL)).map(({ cost }) => Number(cost));
    for (const isRolled of [false, true]) {
      if (isRolled) await rollUpOf(store).run();
      expect(await seen(parent)).toEqual([321]);
      expect(await seen(child)).toEqual([320]);
      expect(await seen(grandchild)).toEqual([300]);
      expect(await seen(stranger)).toEqual([4_000]);
      expect(await seen(null)).toEqual([54_321]);
    }
    await store.check();
  });

  it('is checked by verify: a sum that was changed is named', async () => {
    const store = await testStore({ clock: manualClock(START) });
    const { accountId } = await spendALot(store);
    await rollUpOf(store).run();
    await store.close();
    const file = join(store.dataDir, DATABASE_FILE);
    const { dataDir } = store;
    const faults = async (sql: string) => {
      await execute(file, sql);
      const found = await verifyStore({ dataDir, nowMs: store.clock.ms });
      return found.faults.filter(({ invariant }) => invariant === 8).map(({ row }) => row);
    };
    const one = `account_id = '${accountId}' and day = ${FIRST_DAY} and key_id = '' and model = 'm1'`;
    const name = `usage_days ${accountId} ${FIRST_DAY}  m1`;
    expect(await faults(`update usage_days set cost = cost + 1 where ${one}`)).toEqual([name]);
    expect(await faults(`update usage_days set cost = cost - 1 where ${one}`)).toEqual([]);
    expect(
      await faults(`update usage_days set output_tokens = output_tokens - 1 where ${one}`),
    ).toEqual([name]);
    expect(await faults(`delete from usage_days where ${one}`)).toEqual([name]);
    expect(await faults('update usage_mark set seq = seq + 1')).toContain('usage_mark');
    await store[Symbol.asyncDispose]();
  });
});

function execute(file: string, statement: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const database = new sqlite3.Database(file);
    database.exec(statement, (error) => database.close(() => (error ? reject(error) : resolve())));
  });
}
