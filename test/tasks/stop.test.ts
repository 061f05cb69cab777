import { expect, it } from 'vitest';
import { verifyStore } from '../../src/verify.ts';
import { say } from '../support/studio.ts';
import { CLIP, expectMoney, studioChannel, taskBench, walletPrincipal } from '../support/tasks.ts';

const PICTURE = { model: 'picture', fields: { prompt: 'A boat' } };

it('waits for what is being handed on when it stops, and begins nothing more', async () => {
  await using bench = await taskBench({
    channels: (studio) => [studioChannel(studio, { provider: 'once', concurrency: 1 })],
  });
  const arrived = Promise.withResolvers<() => void>();
  bench.studio.onSubmit = [
    (response, job) => arrived.resolve(() => say(response, 200, { id: job.id })),
  ];
  const account = await bench.store.wallet('10');
  const first = await bench.make(PICTURE, account);
  const second = await bench.make(PICTURE, account);
  const ticking = bench.tasks.tick();
  const answer = await arrived.promise;
  const stopped = bench.tasks.stop(20_000);
  answer();
  await Promise.all([ticking, stopped]);
  expect((await bench.row(first.id)).state).toBe('completed');
  expect(await bench.row(second.id)).toMatchObject({ state: 'pending', submit: 'unsent' });
  await (await bench.another()).tick();
  expect((await bench.row(second.id)).state).toBe('completed');
  await expectMoney(bench, account, 40_000_000);
});

it('leaves what takes too long to the next start, which does not send it twice (T-2)', async () => {
  await using bench = await taskBench();
  const arrived = Promise.withResolvers<void>();
  bench.studio.onSubmit = [() => arrived.resolve()];
  const account = await bench.store.wallet('10');
  const { id } = await bench.make({}, account);
  const ticking = bench.tasks.tick();
  await arrived.promise;
  await bench.tasks.stop(0);
  await ticking;
  expect(await bench.row(id)).toMatchObject({ submit: 'sending', ended_at: null });
  await (await bench.another()).tick();
  expect(await bench.row(id)).toMatchObject({ state: 'failed', error_code: 'submit_unknown' });
  expect(bench.studio.submits.get(id)).toBe(1);
  await expectMoney(bench, account, 0);
});

it('takes up at once what the last process was about to queue again', async () => {
  await using bench = await taskBench();
  bench.studio.onSubmit = [(response) => say(response, 503, {})];
  const account = await bench.store.wallet('10');
  const { id } = await bench.make({}, account);
  await bench.pass();
  const parked = await bench.row(id);
  expect(parked).toMatchObject({ submit: 'unsent', queue: null, crashes: 0 });
  // A restart does not shorten its pause.
  await (await bench.another()).tick();
  expect(await bench.row(id)).toEqual(parked);
  // As it is right after it was taken up.
  const { ledger, clock } = bench.store;
  await ledger.write(({ db }) =>
    db
      .updateTable('tasks')
      .set({ crashes: 1, next_at: clock.ms + 1_200_000, lease_epoch: parked.lease_epoch + 1 })
      .where('id', '=', id)
      .execute(),
  );
  const next = await bench.another();
  await next.tick();
  expect((await bench.row(id)).submit).toBe('sent');
  clock.ms += 2_000;
  await next.tick();
  expect((await bench.row(id)).state).toBe('completed');
  await expectMoney(bench, account, CLIP);
});

it('answers polls from its rows: no number of them asks the upstream (T-12)', async () => {
  await using bench = await taskBench();
  bench.studio.usually = { looksToEnd: 99, state: 'processing' };
  const account = await bench.store.wallet('10');
  const { id } = await bench.make({}, account);
  await bench.pass();
  await bench.pass(2_000);
  const owner = walletPrincipal(account);
  await Promise.all(Array.from({ length: 500 }, () => bench.tasks.find(owner, id)));
  const gone = AbortSignal.timeout(200);
  await Promise.all(Array.from({ length: 200 }, () => bench.tasks.ended(id, 60_000, gone)));
  expect(bench.studio.jobOf(id).looks).toBe(1);
});

it('has every break between a task and its money found by verify (I15)', async () => {
  await using bench = await taskBench();
  const account = await bench.store.wallet('10');
  const { id } = await bench.make({}, account);
  const { ledger, dataDir, clock } = bench.store;
  const found = async () =>
    (await verifyStore({ dataDir, nowMs: clock.ms })).faults.map(
      ({ invariant, row, message }) => `${invariant} ${row} ${message}`,
    );
  const { hold_id } = await bench.row(id);
  expect(await found()).toEqual([]);
  const set = (change: object) =>
    ledger.write(({ db }) => db.updateTable('tasks').set(change).where('id', '=', id).execute());
  await set({ held: CLIP + 1 });
  expect(await found()).toEqual([`5 tasks ${id} is pending, its hold is open`]);
  await set({ held: CLIP, charged: 5 });
  expect(await found()).toEqual([`5 tasks ${id} says 5 was charged, its hold says 0`]);
  await set({ charged: 0, queue: null });
  expect(await found()).toEqual([`6 tasks ${id} is pending and nobody looks at it`]);
  await set({ state: 'failed', ended_at: clock.ms, sealed: null });
  expect(await found()).toEqual([`5 tasks ${id} is failed, its hold is open`]);
  await ledger.write(({ db }) => db.deleteFrom('tasks').where('id', '=', id).execute());
  expect(await found()).toEqual([`5 holds ${hold_id} is of a task that does not exist`]);
});
