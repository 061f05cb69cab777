import { expect, it } from 'vitest';
import { CLIP, expectMoney, studioChannel, taskBench, walletPrincipal } from '../support/tasks.ts';

it('holds what a task can cost, and makes its row and its hold together (T-1)', async () => {
  await using bench = await taskBench();
  const account = await bench.store.wallet('10');
  const task = await bench.make({}, account);
  expect(task).toMatchObject({
    state: 'pending',
    kind: 'video',
    model: 'clip',
    held: CLIP,
    charged: 0,
    progress: 0,
    error: null,
    assets: [],
  });
  expect((await bench.tasks.find(walletPrincipal(account), task.id)).queuePosition).toBe(0);
  await expectMoney(bench, account, CLIP);
  expect(bench.studio.jobs).toEqual([]);
  // Nothing of it is there where its hold is refused.
  const poor = await bench.store.wallet('0.05');
  await expect(bench.make({}, poor)).rejects.toMatchObject({ code: 'insufficient_balance' });
  const { tasks } = await bench.tasks.list(walletPrincipal(poor), { limit: 10 });
  expect(tasks).toEqual([]);
  await bench.check();
});

it('hands a task on, looks after it, keeps its result and charges for it', async () => {
  await using bench = await taskBench();
  bench.studio.usually = { looksToEnd: 3, state: 'processing', progress: 40 };
  const account = await bench.store.wallet('10');
  const { id } = await bench.make({}, account);
  await bench.pass();
  const job = bench.studio.jobOf(id);
  expect(job.fields).toEqual({ prompt: 'A boat', duration: 6, task_id: id, model: 'up-clip' });
  await bench.pass(2_000);
  const halfway = await bench.tasks.find(walletPrincipal(account), id);
  expect(halfway).toMatchObject({ state: 'processing', progress: 40, queuePosition: null });
  const done = await bench.finish(id);
  expect(done).toMatchObject({ state: 'completed', progress: 100, charged: CLIP });
  const [asset] = done.assets;
  expect(asset).toMatchObject({ content_type: 'video/mp4', bytes: 96 });
  expect(asset!.sha256).toMatch(/^[0-9a-f]{64}$/);
  expect(asset!.url).toMatch(/^https:\/\/gw\.example\.com\/media\//);
  await expectMoney(bench, account, CLIP);
  const row = await bench.row(id);
  // What the caller sent is not kept longer than it is needed.
  expect(row).toMatchObject({ sealed: null, next_at: null, queue: null, submit: 'sent' });
  const types = await bench.store.ledger.read
    .selectFrom('task_events')
    .select('type')
    .where('task_id', '=', id)
    .orderBy('seq')
    .execute();
  expect(types.map(({ type }) => type)).toEqual([
    'task.created',
    'task.processing',
    'task.completed',
  ]);
});

it('charges what the upstream says that it made, by the prices of the hold (T-15)', async () => {
  await using bench = await taskBench();
  const account = await bench.store.wallet('10');
  bench.studio.usually = { units: { output_second: 4 } };
  const short = await bench.make({}, account);
  expect(await bench.finish(short.id)).toMatchObject({ state: 'completed', charged: 40_000_000 });
  await expectMoney(bench, account, 40_000_000);
  // More than was ordered is the operator's loss, and an alarm.
  bench.studio.usually = { units: { output_second: 9 } };
  const long = await bench.make({}, account);
  expect(await bench.finish(long.id)).toMatchObject({ state: 'completed', charged: CLIP });
  await expectMoney(bench, account, 40_000_000 + CLIP);
  const alarm = bench.logged.find(({ event }) => event === 'charge_above_hold');
  expect(alarm).toMatchObject({ task: long.id, shortfall: 30_000_000 });
});

it('takes what comes with the very answer to the start', async () => {
  await using bench = await taskBench({
    channels: (studio) => [studioChannel(studio, { provider: 'once' })],
  });
  const account = await bench.store.wallet('10');
  const fields = { prompt: 'A boat', n: 2 };
  const { id } = await bench.make({ model: 'picture', fields }, account);
  await bench.pass();
  const done = await bench.tasks.find(walletPrincipal(account), id);
  expect(done).toMatchObject({ state: 'completed', kind: 'image', charged: 40_000_000 });
  expect(done.assets.map(({ content_type }) => content_type)).toEqual(['image/png', 'image/png']);
  await expectMoney(bench, account, 40_000_000);
});

it('asks for what the providers ask for before a look, and looks ever less often', async () => {
  await using bench = await taskBench();
  bench.studio.usually = { looksToEnd: 99, state: 'processing' };
  const { id } = await bench.make();
  await bench.pass();
  const gaps: number[] = [];
  for (let look = 0; look < 8; look += 1) {
    const { next_at } = await bench.row(id);
    gaps.push(next_at! - bench.store.clock.ms);
    await bench.pass(next_at! - bench.store.clock.ms - 1);
    expect(bench.studio.jobOf(id).looks).toBe(look);
    await bench.pass(1);
    expect(bench.studio.jobOf(id).looks).toBe(look + 1);
  }
  expect(gaps).toEqual([2_000, 2_000, 3_000, 4_500, 6_750, 10_125, 15_000, 15_000]);
});

it('guesses how far a task is where the upstream does not say, and never goes back (T-8)', async () => {
  await using bench = await taskBench();
  bench.studio.usually = { looksToEnd: 99, state: 'processing' };
  const account = await bench.store.wallet('10');
  const { id } = await bench.make({}, account);
  const seen = () => bench.tasks.find(walletPrincipal(account), id);
  await bench.pass();
  await bench.pass(10_000);
  expect(await seen()).toMatchObject({ progress: 50, estimatedSecondsLeft: 10 });
  bench.studio.jobOf(id).progress = 30;
  await bench.pass(60_000);
  expect(await seen()).toMatchObject({ progress: 50, estimatedSecondsLeft: 1 });
  bench.studio.jobOf(id).progress = 130;
  await bench.pass(60_000);
  expect((await seen()).progress).toBe(99);
  bench.studio.jobOf(id).state = 'pending';
  await bench.pass(60_000);
  expect(await seen()).toMatchObject({ state: 'processing', progress: 99 });
});
