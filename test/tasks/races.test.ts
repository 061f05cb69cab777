import { expect, it } from 'vitest';
import { say } from '../support/studio.ts';
import {
  CLIP,
  expectMoney,
  studioChannel,
  taskBench,
  videoModel,
  walletPrincipal,
} from '../support/tasks.ts';

const ROUNDS = 1_000;

it('ends a task once, however often its end is seen at the same time (T-6)', async () => {
  await using bench = await taskBench({
    channels: (studio) => [studioChannel(studio, { concurrency: 10_000 })],
  });
  const { studio, store, tasks } = bench;
  const rivals = [tasks, await bench.another(), await bench.another()];
  const account = await store.wallet('10');
  const ids: string[] = [];
  for (let n = 0; n < 120; n += 1) ids.push((await bench.make({}, account)).id);
  await bench.pass();
  // Each of them sees that all are due, and goes for all.
  store.clock.ms += 2_000;
  await Promise.all(rivals.map((engine) => engine.tick()));
  for (const id of ids) {
    expect((await bench.row(id)).state).toBe('completed');
    expect(studio.submits.get(id)).toBe(1);
  }
  const ends = await store.ledger.read
    .selectFrom('task_events')
    .select('task_id')
    .where('type', '=', 'task.completed')
    .execute();
  expect(ends).toHaveLength(ids.length);
  const files = await store.ledger.read.selectFrom('media').select('id').execute();
  expect(files).toHaveLength(ids.length);
  await expectMoney(bench, account, ids.length * CLIP);
});

it('hands a task on once, however many engines take it up (T-6)', async () => {
  await using bench = await taskBench({
    channels: (studio) => [studioChannel(studio, { concurrency: 10_000 })],
  });
  const account = await bench.store.wallet('10');
  const ids: string[] = [];
  for (let n = 0; n < 100; n += 1) ids.push((await bench.make({}, account)).id);
  const rivals = [bench.tasks, await bench.another(), await bench.another()];
  await Promise.all(rivals.map((engine) => engine.tick()));
  expect([...bench.studio.submits.values()]).toEqual(ids.map(() => 1));
  expect(bench.studio.submits.size).toBe(ids.length);
  await bench.check();
});

it(`is cancelled or completed, and its money agrees, in ${ROUNDS} races (T-13)`, async () => {
  await using bench = await taskBench({
    channels: (studio) => [studioChannel(studio, { concurrency: 10_000 })],
    models: [
      videoModel({ price: { version: 'p', rules: [{ unit: 'generation', usd: '0.001' }] } }),
    ],
  });
  const { store, tasks } = bench;
  const account = await store.wallet('10');
  const owner = walletPrincipal(account);
  const PAGE = 50;
  const counts = { completed: 0, cancelled: 0 };
  for (let round = 0; round < ROUNDS / PAGE; round += 1) {
    const ids: string[] = [];
    for (let n = 0; n < PAGE; n += 1) ids.push((await bench.make({}, account)).id);
    // In some rounds they are cancelled while they are handed on, in others while they are looked at.
    const isEarly = round % 3 === 0;
    if (!isEarly) {
      await bench.pass();
      store.clock.ms += 2_000;
    }
    const cancels = ids.map((id, n) => later(n % 25, () => tasks.cancel(owner, id)));
    const [, ...ended] = await Promise.all([tasks.tick(), ...cancels.map(settled)]);
    store.clock.ms += 2_000;
    await tasks.tick();
    for (const [n, id] of ids.entries()) {
      const { state, charged } = await bench.row(id);
      expect(charged).toBe(state === 'completed' ? 1_000_000 : 0);
      // Who was told that it is cancelled is told the truth.
      expect([id, state]).toEqual([id, ended[n] === 'cancelled' ? 'cancelled' : 'completed']);
      counts[state as keyof typeof counts] += 1;
    }
  }
  expect(counts.completed + counts.cancelled).toBe(ROUNDS);
  expect(Math.min(counts.completed, counts.cancelled)).toBeGreaterThan(ROUNDS / 20);
  await expectMoney(bench, account, counts.completed * 1_000_000);
}, 60_000);

async function later<T>(turns: number, work: () => Promise<T>): Promise<T> {
  for (let turn = 0; turn < turns * turns; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return work();
}

function settled(cancel: Promise<{ state: string }>): Promise<string> {
  return cancel.then(
    ({ state }) => state,
    (error: { code: string }) => error.code,
  );
}

it('is not cancelled where its upstream does not let go of it', async () => {
  await using bench = await taskBench();
  const account = await bench.store.wallet('10');
  for (const said of ['too_late', 'unsupported'] as const) {
    bench.studio.usually = { looksToEnd: 99, state: 'processing', cancel: said };
    const { id } = await bench.make({}, account);
    await bench.pass();
    const cancel = bench.tasks.cancel(walletPrincipal(account), id);
    await expect(cancel).rejects.toMatchObject({ code: 'state_conflict' });
    bench.studio.jobOf(id).state = 'completed';
    expect((await bench.finish(id)).state).toBe('completed');
  }
  bench.studio.onCancel = (response) => say(response, 500, {});
  const { id } = await bench.make({}, account);
  await bench.pass();
  const cancel = bench.tasks.cancel(walletPrincipal(account), id);
  await expect(cancel).rejects.toMatchObject({ code: 'upstream_failed' });
  expect((await bench.row(id)).ended_at).toBeNull();
  bench.studio.jobOf(id).state = 'completed';
  await bench.finish(id);
  await expectMoney(bench, account, 3 * CLIP);
});

it('is cancelled while it is between two channels', async () => {
  await using bench = await taskBench();
  bench.studio.onSubmit = [(response) => say(response, 503, {})];
  const account = await bench.store.wallet('10');
  const { id } = await bench.make({}, account);
  await bench.pass();
  expect(await bench.row(id)).toMatchObject({ submit: 'unsent', queue: null });
  const cancelled = await bench.tasks.cancel(walletPrincipal(account), id);
  expect(cancelled).toMatchObject({ state: 'cancelled', charged: 0 });
  await bench.pass(60_000);
  expect(bench.studio.submits.get(id)).toBe(1);
  await expectMoney(bench, account, 0);
});
