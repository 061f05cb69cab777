/** Plays a history on a real store and on the model, and compares every answer, and all that there is after each tick. */
import { expect } from 'vitest';
import { manualClock, testStore } from '../../support/store.ts';
import { Operations } from './operations.ts';
import { type History, moved, type Tick } from './steps.ts';

const ACCOUNTS = 3;
/** The last account is the house's, and may be that much below zero. */
const CREDIT_LINE = 5_000;
/** Which key each of the first keys comes from: the fourth has three above it, two share one, the last is of another account. */
const TREE = [null, 0, 1, 2, 0, null, 5];
const OF_OTHER_ACCOUNT = 5;

/** Answers how many operations were done. Throws at the first difference. */
export async function play({ startMs, ticks }: History): Promise<number> {
  const operations = new Operations(await testStore({ clock: manualClock(startMs) }));
  try {
    await open(operations);
    let done = 0;
    for (const tick of ticks) {
      await playTick(operations, tick);
      done += tick.steps.length;
    }
    await compareHolds(operations);
    await compareKeys(operations);
    return done;
  } finally {
    await operations.store[Symbol.asyncDispose]();
  }
}

async function open(operations: Operations): Promise<void> {
  const { store, model, accounts } = operations;
  for (let account = 0; account < ACCOUNTS; account += 1) {
    accounts.push(await store.wallet('0'));
    model.accounts.push({ creditLine: 0, isFrozen: false });
  }
  model.accounts.at(-1)!.creditLine = CREDIT_LINE;
  const house = { kind: 'house' as const, credit_line: CREDIT_LINE };
  await store.ledger.write(({ db }) =>
    db.updateTable('accounts').set(house).where('id', '=', accounts.at(-1)!).execute(),
  );
  for (const [index, parent] of TREE.entries()) {
    const account = index < OF_OTHER_ACCOUNT ? 0 : 1;
    const check = await operations.submit({ do: 'mint', account, parent }, false);
    check();
  }
}

async function playTick(operations: Operations, tick: Tick): Promise<void> {
  await before(operations, tick.before);
  operations.begin(tick);
  if (tick.together) {
    const checks = await Promise.all(tick.steps.map((step) => operations.submit(step, true)));
    for (const check of checks) check();
  } else {
    for (const step of tick.steps) {
      operations.begin(tick);
      const check = await operations.submit(step, false);
      // What a caller was told is there for everybody.
      await compareBalances(operations);
      check();
    }
  }
  await compareBalances(operations);
  await operations.store.check();
}

async function before(operations: Operations, what: Tick['before']): Promise<void> {
  const { store, model } = operations;
  if (what === null) return;
  if (what === 'restart') {
    operations.store = await store.reopen();
    model.restart();
    return;
  }
  store.clock.ms = model.clockMs = moved(store.clock.ms, what);
  await store.sweep();
  model.sweep();
}

async function compareBalances({ store, model, accounts }: Operations): Promise<void> {
  const rows = await store.ledger.read
    .selectFrom('accounts')
    .select(['id', 'posted', 'held'])
    .execute();
  const real = accounts.map((id) => rows.find((row) => row.id === id)!);
  expect(real.map(({ posted, held }) => ({ posted, held }))).toEqual(
    accounts.map((_id, account) => model.balance(account)),
  );
}

async function compareHolds({ store, model, holds, asides }: Operations): Promise<void> {
  const rows = await store.ledger.read.selectFrom('holds').selectAll().execute();
  const byId = new Map(rows.map((row) => [row.id, row]));
  const known = [...asides, ...holds.map(({ index, real }) => ({ index, real: real.id }))];
  expect(rows).toHaveLength(known.length);
  for (const { index, real } of known) {
    const { amount, state, charged, shortfall, day, month } = model.holds[index]!;
    const expected = { amount, state, captured: charged, shortfall, day, month };
    expect(byId.get(real)).toMatchObject(expected);
  }
}

async function compareKeys({ store, model, keys }: Operations): Promise<void> {
  const rows = await store.ledger.read.selectFrom('api_keys').selectAll().execute();
  const byId = new Map(rows.map((row) => [row.id, row]));
  for (const { index, real } of keys) {
    const { isRevoked, period, limit } = model.keys[index]!;
    const state = isRevoked ? 'revoked' : 'active';
    expect(byId.get(real)).toMatchObject({ state, limit_period: period, limit_nano: limit });
  }
}
