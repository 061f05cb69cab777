import { expect, it } from 'vitest';
import { Slot } from '../../src/idempotency/slot.ts';
import { Sweeper } from '../../src/idempotency/sweeper.ts';
import { manualClock, testStore, type TestStore } from '../support/store.ts';

const DAY_MS = 24 * 60 * 60_000;
const RUNNING = new AbortController().signal;

/** A stored answer of about this size; its row takes a third more. */
async function keep(store: TestStore, key: string, size: number): Promise<void> {
  const run = await begin(store, key);
  if (!('made' in run)) throw new Error(`${key} was taken`);
  await run.during(() => run.made({ status: 200, headers: {}, body: Buffer.alloc(size, 'x') }));
}

function begin({ idempotency }: TestStore, key: string) {
  return idempotency.begin({
    principal: 'key_1',
    key,
    method: 'POST',
    path: '/',
    body: Buffer.alloc(0),
    requestId: `req_${key}`,
    isPaid: false,
    headers: () => ({}),
    signal: RUNNING,
  });
}

function rowsOf({ ledger }: TestStore) {
  return ledger.read.selectFrom('idempotency_keys').selectAll().orderBy('key').execute();
}

it('drops the oldest answers where they take more room than they may; their keys stay taken', async () => {
  await using store = await testStore();
  const { ledger, clock } = store;
  const sweeper = new Sweeper({ ledger, clock, maxKeptBytes: 5_000 });
  for (const key of ['a', 'b', 'c', 'd']) {
    await keep(store, key, 1_500);
    clock.ms += 1;
  }
  await sweeper.sweep();
  const rows = await rowsOf(store);
  expect(rows.map(({ answer }) => answer !== null)).toEqual([false, false, true, true]);
  await expect(begin(store, 'a')).rejects.toMatchObject({ code: 'idempotency_answer_gone' });
  expect(await begin(store, 'd')).toMatchObject({ status: 200 });
  await sweeper.sweep();
  expect(await rowsOf(store)).toEqual(rows);
});

it('forgets in steps: a large backlog takes several', async () => {
  const clock = manualClock();
  await using store = await testStore({ clock });
  for (let index = 0; index < 6; index += 1) {
    await keep(store, `k${index}`, 4_000_000);
    clock.ms += 1;
  }
  clock.ms += DAY_MS;
  const left: number[] = [];
  while ((await rowsOf(store)).length) {
    await store.idempotency.sweep();
    left.push((await rowsOf(store)).length);
  }
  expect(left).toEqual([2, 0]);
});

it('waits for the first request no longer than it may, and not for a caller that left', async () => {
  const slot = new Slot('f');
  await expect(slot.join(5, RUNNING)).rejects.toMatchObject({ code: 'idempotency_in_progress' });
  await expect(slot.join(0, RUNNING)).rejects.toMatchObject({ code: 'idempotency_in_progress' });
  const caller = new AbortController();
  const waiting = slot.join(60_000, caller.signal);
  caller.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'client_closed' });
  await expect(slot.join(60_000, caller.signal)).rejects.toMatchObject({ code: 'client_closed' });
  const patient = slot.join(60_000, RUNNING);
  slot.end('again');
  expect(await patient).toBe('again');
});

it('does not open an answer that stands in another row', async () => {
  await using store = await testStore();
  await keep(store, 'a', 10);
  await keep(store, 'b', 10);
  const [a] = await rowsOf(store);
  await store.ledger.write(({ db }) =>
    db.updateTable('idempotency_keys').set({ answer: a!.answer }).where('key', '=', 'b').execute(),
  );
  await expect(begin(store, 'b')).rejects.toThrow();
  expect(await begin(store, 'a')).toMatchObject({ status: 200 });
});
