import { type RawBuilder, sql } from 'kysely';
import { expect, it } from 'vitest';
import { laneOf } from '../../src/tasks/lanes.ts';
import { CLIP, studioChannel, type TaskBench, taskBench, videoModel } from '../support/tasks.ts';

/** Puts copies of a queued task behind it, as if as many callers had come. */
async function seed(bench: TaskBench, account: string, count: number): Promise<void> {
  const { ledger } = bench.store;
  const { id } = await bench.make({}, account);
  const { hold_id } = await bench.row(id);
  const copy = async (
    table: 'holds' | 'tasks',
    of: string,
    own: Record<string, RawBuilder<unknown>>,
  ) => {
    const row = await ledger.read
      .selectFrom(table)
      .selectAll()
      .where('id', '=', of)
      .executeTakeFirstOrThrow();
    const names = Object.keys(row);
    const columns = sql.join(names.map((name) => sql.ref(name)));
    const values = sql.join(names.map((name) => own[name] ?? sql.ref(`old.${name}`)));
    await ledger.write(({ db }) =>
      sql`with recursive numbers (n) as (
          select 1 union all select n + 1 from numbers where n < ${count - 1}
        )
        insert into ${sql.table(table)} (${columns})
        select ${values} from ${sql.table(table)} old, numbers where old.id = ${of}`.execute(db),
    );
  };
  const named = (prefix: string) => sql`${`${prefix}_seed_${account}_`} || printf('%06d', n)`;
  await copy('holds', hold_id, { id: named('hold') });
  // What a caller sent is sealed for its own row.
  const blank = sql`null`;
  await copy('tasks', id, { id: named('task'), hold_id: named('hold'), sealed: blank });
  await ledger.write(({ db }) =>
    db
      .updateTable('accounts')
      .set((eb) => ({ held: eb('held', '+', (count - 1) * CLIP) }))
      .where('id', '=', account)
      .execute(),
  );
}

it('serves accounts in turn, each in the order of its tasks', async () => {
  await using bench = await taskBench({
    channels: (studio) => [studioChannel(studio, { concurrency: 6 })],
  });
  bench.studio.usually = { looksToEnd: 99, state: 'processing' };
  const rich = await bench.store.wallet('10');
  const others = [await bench.store.wallet('10'), await bench.store.wallet('10')];
  const own: string[] = [];
  for (let n = 0; n < 20; n += 1) own.push((await bench.make({}, rich)).id);
  const late: string[] = [];
  for (const account of [...others, ...others]) late.push((await bench.make({}, account)).id);
  await bench.pass();
  const served = [...bench.studio.submits.keys()];
  expect(served).toHaveLength(6);
  expect(served.filter((id) => late.includes(id))).toHaveLength(4);
  expect(served.filter((id) => own.includes(id))).toEqual(own.slice(0, 2));
  await bench.check();
});

it('lets nobody wait for a model whose channels are full behind whom nobody waits', async () => {
  await using bench = await taskBench({
    channels: (studio) => [
      studioChannel(studio, { concurrency: 1 }),
      studioChannel(studio, { id: 'other', concurrency: 1 }),
    ],
    models: [videoModel(), videoModel({ id: 'film', routes: [{ channel: 'other', model: 'f' }] })],
  });
  bench.studio.usually = { looksToEnd: 99, state: 'processing' };
  const account = await bench.store.wallet('10');
  for (let n = 0; n < 5; n += 1) await bench.make({}, account);
  const film = await bench.make({ model: 'film' }, account);
  await bench.pass();
  expect([...bench.studio.submits.keys()]).toHaveLength(2);
  expect(bench.studio.submits.has(film.id)).toBe(true);
});

it('keeps to the concurrency of each channel from the start of a task to its end', async () => {
  await using bench = await taskBench({
    channels: (studio) => [studioChannel(studio, { concurrency: 3 })],
  });
  const ids: string[] = [];
  const account = await bench.store.wallet('10');
  for (let n = 0; n < 10; n += 1) ids.push((await bench.make({}, account)).id);
  const running = () =>
    bench.studio.jobs.filter(({ taskId }) => ids.includes(taskId) && !ended.has(taskId)).length;
  const ended = new Set<string>();
  let engine = bench.tasks;
  for (let step = 0; step < 10 && ended.size < ids.length; step += 1) {
    if (step > 0) bench.store.clock.ms += 2_000;
    await engine.tick();
    // A restart does not forget what is being made.
    if (step === 1) {
      engine = await bench.another();
      await engine.tick();
    }
    for (const id of ids) if ((await bench.row(id)).ended_at !== null) ended.add(id);
    expect(running()).toBeLessThanOrEqual(3);
  }
  expect(ended.size).toBe(ids.length);
  await bench.check();
});

it('moves a hundred thousand queued tasks a page at a time, fairly, in bounded memory (T-9)', async () => {
  await using bench = await taskBench({
    channels: (studio) => [studioChannel(studio, { concurrency: 40 })],
    models: [videoModel({}, { durations: [6] })],
  });
  const { store } = bench;
  const accounts: string[] = [];
  for (let n = 0; n < 4; n += 1) accounts.push(await store.wallet('10000'));
  for (const [n, account] of accounts.entries()) await seed(bench, account, n === 0 ? 99_700 : 100);
  expect((await bench.row(`task_seed_${accounts[0]!}_000001`)).queue).toBe(
    laneOf({ model: 'clip', groups: ['default'], owner: null }),
  );
  global.gc?.();
  const before = process.memoryUsage().rss;
  const begun = performance.now();
  const engine = await bench.another();
  const startedMs = performance.now() - begun;
  bench.studio.usually = { looksToEnd: 1 };
  for (let step = 0; step < 12; step += 1) {
    await engine.tick();
    store.clock.ms += 2_000;
  }
  const grown = process.memoryUsage().rss - before;
  const done = await store.ledger.read
    .selectFrom('tasks')
    .select(['account_id', (eb) => eb.fn.countAll<number>().as('count')])
    .where('state', '=', 'completed')
    .groupBy('account_id')
    .execute();
  // Whoever has a hundred waits no longer than whoever has a hundred thousand.
  const counts = accounts.map((id) => done.find((row) => row.account_id === id)?.count ?? 0);
  expect(Math.min(...counts)).toBeGreaterThan(90);
  expect(Math.max(...counts.slice(1))).toBeLessThanOrEqual(101);
  expect(startedMs).toBeLessThan(2_000);
  expect(grown).toBeLessThan(150 * 1024 * 1024);
  await bench.check();
}, 60_000);
