import { expect, it } from 'vitest';
import { nanoUsd } from '../../src/money.ts';
import { reserveRequest, testStore } from '../support/store.ts';

const USD = 1_000_000_000;

it('charges and writes in one transaction, for keys and windows as any capture does', async () => {
  await using store = await testStore();
  const account = await store.wallet('1');
  const { ledger } = store;
  const hold = await ledger.reserve(reserveRequest(account, 400, { holdId: 'hold_mine' }));
  expect(hold.id).toBe('hold_mine');
  const done = await ledger.captureWith(hold, nanoUsd(500), '{}', async ({ db }, resolution) => {
    await db
      .insertInto('meta')
      .values({ key: 'charged', value: String(resolution.charged) })
      .execute();
  });
  expect(done).toEqual({
    charged: 400,
    shortfall: 100,
    balance: { posted: USD - 400, held: 0 },
    limitLeft: null,
    wasResolvedBefore: false,
  });
  const row = await ledger.read
    .selectFrom('meta')
    .select('value')
    .where('key', '=', 'charged')
    .executeTakeFirst();
  expect(row?.value).toBe('400');
  await store.check();
});

it('charges nothing where what goes with it fails, and the hold can still be captured', async () => {
  await using store = await testStore();
  const account = await store.wallet('1');
  const { ledger } = store;
  const hold = await ledger.reserve(reserveRequest(account, 400));
  const failing = ledger.captureWith(hold, nanoUsd(150), null, () =>
    Promise.reject(new Error('no')),
  );
  await expect(failing).rejects.toThrow('no');
  expect(await store.available(account)).toBe(USD - 400);
  await store.check();
  expect((await ledger.capture(hold, nanoUsd(150), null)).charged).toBe(150);
  await store.check();
});

it('says what the first resolution did, and writes nothing then', async () => {
  await using store = await testStore();
  const account = await store.wallet('1');
  const { ledger } = store;
  const hold = await ledger.reserve(reserveRequest(account, 400));
  await ledger.capture(hold, nanoUsd(150), null);
  let ran = false;
  const again = await ledger.captureWith(hold, nanoUsd(300), null, async () => {
    ran = true;
  });
  expect(again).toMatchObject({ charged: 150, wasResolvedBefore: true });
  expect(ran).toBe(false);
  await store.check();
});

it('charges once among others that arrive together, one of which was resolved before', async () => {
  await using store = await testStore();
  const account = await store.wallet('1');
  const { ledger } = store;
  const holds = await Promise.all(
    Array.from({ length: 20 }, () => ledger.reserve(reserveRequest(account, 100))),
  );
  const first = holds[0]!;
  await Promise.all([
    ...holds.map((hold, index) =>
      index % 2
        ? ledger.capture(hold, nanoUsd(10), null)
        : ledger.captureWith(hold, nanoUsd(10), null, async () => {}),
    ),
    ledger.capture(first, nanoUsd(90), null),
    ledger.captureWith(first, nanoUsd(90), null, async () => {}),
  ]);
  expect(await store.available(account)).toBe(USD - 200);
  await store.check();
});

it('takes a hold together with what it is for, or neither', async () => {
  await using store = await testStore();
  const account = await store.wallet('1');
  const { ledger } = store;
  const taken = await ledger.write(async ({ db, reserve }) => {
    const hold = await reserve(reserveRequest(account, 400));
    await db.insertInto('meta').values({ key: 'for', value: hold.id }).execute();
    return hold;
  });
  expect(taken.balance).toEqual({ posted: USD, held: 400 });
  const failing = ledger.write(async ({ reserve }) => {
    await reserve(reserveRequest(account, 500));
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  const tooMuch = ledger.write(async ({ db, reserve }) => {
    await db.insertInto('meta').values({ key: 'left', value: 'over' }).execute();
    await reserve(reserveRequest(account, 2 * USD));
  });
  await expect(tooMuch).rejects.toMatchObject({ code: 'insufficient_balance' });
  const rows = await ledger.read.selectFrom('meta').select('key').execute();
  expect(rows.map(({ key }) => key)).not.toContain('left');
  expect(await store.available(account)).toBe(USD - 400);
  await store.check();
  await ledger.write(({ void: giveBack }) => giveBack(taken));
  expect(await store.available(account)).toBe(USD);
  await store.check();
});
