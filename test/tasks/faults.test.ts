import { describe, expect, it } from 'vitest';
import type { MediaProvider } from '../../src/providers/media.ts';
import { say, studioProvider } from '../support/studio.ts';
import {
  CLIP,
  expectMoney,
  studioChannel,
  type TaskBench,
  taskBench,
  videoModel,
  walletPrincipal,
} from '../support/tasks.ts';

const MINUTE = 60_000;

async function madeBy(bench: TaskBench): Promise<{ id: string; account: string }> {
  const account = await bench.store.wallet('10');
  const { id } = await bench.make({}, account);
  return { id, account };
}

function events({ logged }: TaskBench): string[] {
  return logged.map(({ event }) => event);
}

describe('an upstream that ends a task', () => {
  it.each([
    ['refused', 'failed', 'refused'],
    ['moderated', 'failed', 'content_policy'],
    ['failed', 'failed', 'upstream_failed'],
    ['expired', 'expired', 'upstream_expired'],
  ] as const)('gives the money back where it was %s (T-7)', async (failure, state, code) => {
    await using bench = await taskBench();
    bench.studio.usually = { looksToEnd: 99, state: 'failed', failure: { failure } };
    const { id, account } = await madeBy(bench);
    const done = await bench.finish(id);
    expect(done).toMatchObject({ state, charged: 0, error: { code } });
    await expectMoney(bench, account, 0);
  });

  it('is believed the first time: what it says afterwards changes nothing (T-8)', async () => {
    await using bench = await taskBench();
    const { id, account } = await madeBy(bench);
    expect((await bench.finish(id)).state).toBe('completed');
    bench.studio.jobOf(id).state = 'failed';
    await bench.pass(24 * 60 * MINUTE);
    expect((await bench.row(id)).state).toBe('completed');
    await expectMoney(bench, account, CLIP);
  });
});

describe('an upstream that does not say whether it has a task', () => {
  it('is not asked a second time, and the money goes back (T-2)', async () => {
    await using bench = await taskBench();
    bench.studio.onSubmit = [(response) => response.destroy()];
    const { id, account } = await madeBy(bench);
    await bench.pass();
    const done = await bench.finish(id);
    expect(done).toMatchObject({ state: 'failed', error: { code: 'submit_unknown' } });
    expect(bench.studio.submits.get(id)).toBe(1);
    expect(bench.logged).toContainEqual(
      expect.objectContaining({ event: 'task_ended', task: id, code: 'submit_unknown' }),
    );
    await expectMoney(bench, account, 0);
  });

  it('is asked again where it takes a task of one id once', async () => {
    await using bench = await taskBench({ providers: [studioProvider({ isIdempotent: true })] });
    bench.studio.onSubmit = [(response) => response.destroy()];
    const { id, account } = await madeBy(bench);
    expect((await bench.finish(id)).state).toBe('completed');
    expect(bench.studio.submits.get(id)).toBe(2);
    await expectMoney(bench, account, CLIP);
  });

  it('is not asked again after a 500, which may mean anything', async () => {
    await using bench = await taskBench();
    bench.studio.onSubmit = [(response) => say(response, 500, {})];
    const { id, account } = await madeBy(bench);
    const done = await bench.finish(id);
    expect(done).toMatchObject({ state: 'failed', error: { code: 'upstream_failed' } });
    expect(bench.studio.submits.get(id)).toBe(1);
    await expectMoney(bench, account, 0);
  });
});

describe('a channel that takes nothing', () => {
  const two = {
    channels: (studio: Parameters<typeof studioChannel>[0]) => [
      studioChannel(studio, { id: 'first', priority: 1 }),
      studioChannel(studio, { id: 'second' }),
    ],
    models: [
      videoModel({
        routes: [
          { channel: 'first', model: 'a' },
          { channel: 'second', model: 'b' },
        ],
      }),
    ],
  };

  it('is followed by the next one, while nothing was begun', async () => {
    await using bench = await taskBench(two);
    bench.studio.onSubmit = [(response) => say(response, 503, {})];
    const { id, account } = await madeBy(bench);
    expect((await bench.finish(id)).state).toBe('completed');
    expect(bench.studio.jobs.map(({ fields }) => fields['model'])).toEqual(['a', 'b']);
    expect(await bench.row(id)).toMatchObject({ channel_id: 'second', starts: 2 });
    await expectMoney(bench, account, CLIP);
  });

  it('is followed by the next one where it says that it made nothing and another may', async () => {
    await using bench = await taskBench(two);
    bench.studio.onSubmit = [(response) => say(response, 409, {})];
    const { id } = await madeBy(bench);
    expect((await bench.finish(id)).state).toBe('completed');
    expect((await bench.row(id)).channel_id).toBe('second');
  });

  it('is not followed where the content is at fault', async () => {
    await using bench = await taskBench(two);
    bench.studio.onSubmit = [(response) => say(response, 422, {})];
    const { id, account } = await madeBy(bench);
    const done = await bench.finish(id);
    expect(done).toMatchObject({ state: 'failed', error: { code: 'content_policy' } });
    expect(bench.studio.jobs).toHaveLength(1);
    await expectMoney(bench, account, 0);
  });

  it('is tried again when it is not busy any more', async () => {
    await using bench = await taskBench();
    const busy = { 'retry-after': '30' };
    bench.studio.onSubmit = [(response) => say(response, 429, {}, busy)];
    const { id, account } = await madeBy(bench);
    await bench.pass();
    await bench.pass(29_000);
    expect(bench.studio.jobs).toHaveLength(1);
    await bench.pass(1_000);
    expect(bench.studio.jobs).toHaveLength(2);
    expect((await bench.finish(id)).state).toBe('completed');
    // A busy channel is no failed one.
    expect((await bench.row(id)).starts).toBe(1);
    await expectMoney(bench, account, CLIP);
  });

  it('fails a task that none of many tries could begin', async () => {
    await using bench = await taskBench();
    bench.studio.onSubmit = Array.from({ length: 50 }, () => (response) => say(response, 503, {}));
    const { id, account } = await madeBy(bench);
    for (let tries = 0; tries < 40; tries += 1) await bench.pass(5 * MINUTE);
    expect(await bench.row(id)).toMatchObject({ state: 'failed', error_code: 'upstream_failed' });
    expect(bench.studio.submits.get(id)).toBe(8);
    await expectMoney(bench, account, 0);
  });

  it('gives a task up that waited a day, and gives its money back', async () => {
    await using bench = await taskBench({
      channels: (studio) => [studioChannel(studio, { concurrency: 1 })],
    });
    bench.studio.usually = { looksToEnd: 1e9, state: 'processing' };
    const first = await madeBy(bench);
    await bench.pass();
    const second = await madeBy(bench);
    await bench.pass(24 * 60 * MINUTE - 1);
    expect((await bench.row(second.id)).state).not.toBe('expired');
    const third = await madeBy(bench);
    bench.studio.usually = {};
    await bench.pass(1);
    expect(await bench.row(first.id)).toMatchObject({ state: 'expired', error_code: 'timed_out' });
    await bench.pass(24 * 60 * MINUTE);
    await expectMoney(bench, first.account, 0);
    expect((await bench.row(third.id)).ended_at).not.toBeNull();
    await bench.check();
  });
});

describe('an upstream that loses a task', () => {
  it('is asked for some minutes, and then the money goes back, once (T-3)', async () => {
    await using bench = await taskBench();
    bench.studio.usually = { state: 'gone' };
    const { id, account } = await madeBy(bench);
    await bench.pass();
    await bench.pass(2_000);
    const since = bench.store.clock.ms;
    const done = await bench.finish(id);
    expect(done).toMatchObject({ state: 'failed', error: { code: 'lost' } });
    expect(bench.store.clock.ms - since).toBeGreaterThanOrEqual(10 * MINUTE);
    await expectMoney(bench, account, 0);
    await bench.pass(60 * MINUTE);
    await expectMoney(bench, account, 0);
  });

  it('may find it again', async () => {
    await using bench = await taskBench();
    bench.studio.usually = { state: 'gone' };
    const { id, account } = await madeBy(bench);
    await bench.pass();
    await bench.pass(5 * MINUTE);
    bench.studio.jobOf(id).state = 'processing';
    expect((await bench.finish(id)).state).toBe('completed');
    await expectMoney(bench, account, CLIP);
  });

  it('may fail to answer for as long as it likes within the time of the task', async () => {
    await using bench = await taskBench();
    const { id, account } = await madeBy(bench);
    await bench.pass();
    bench.studio.onLook = (response) => say(response, 500, {});
    for (let look = 0; look < 30; look += 1) await bench.pass(15_000);
    expect((await bench.row(id)).state).toBe('pending');
    bench.studio.onLook = (response) => say(response, 200, 'no object');
    await bench.pass(15_000);
    bench.studio.onLook = null;
    expect((await bench.finish(id)).state).toBe('completed');
    await expectMoney(bench, account, CLIP);
  });
});

describe('a task whose time is over', () => {
  it('is called off at the upstream, and its money goes back', async () => {
    await using bench = await taskBench();
    bench.studio.usually = { looksToEnd: 1e9, state: 'processing' };
    const { id, account } = await madeBy(bench);
    await bench.pass();
    await bench.pass(20 * MINUTE);
    const row = await bench.row(id);
    expect(row).toMatchObject({ state: 'expired', error_code: 'timed_out', next_at: null });
    expect(bench.studio.jobOf(id).state).toBe('failed');
    await expectMoney(bench, account, 0);
  });

  it('is completed where it was finished while nobody looked (T-4)', async () => {
    await using bench = await taskBench();
    const { id, account } = await madeBy(bench);
    await bench.pass();
    // The server was away for hours.
    bench.store.clock.ms += 5 * 60 * MINUTE;
    const later = await bench.another();
    await later.tick();
    expect((await bench.row(id)).state).toBe('completed');
    expect(bench.studio.submits.get(id)).toBe(1);
    await expectMoney(bench, account, CLIP);
  });

  it('that the upstream finishes all the same stays as it ended, and the operator is told', async () => {
    await using bench = await taskBench();
    bench.studio.usually = { looksToEnd: 3, state: 'processing', cancel: 'unsupported' };
    bench.studio.usually.costUsd = '0.5';
    const { id, account } = await madeBy(bench);
    await bench.pass();
    await bench.pass(20 * MINUTE);
    expect((await bench.row(id)).state).toBe('expired');
    await bench.pass(10 * MINUTE);
    expect(events(bench)).not.toContain('task_finished_late');
    await bench.pass(10 * MINUTE);
    expect(bench.logged).toContainEqual(
      expect.objectContaining({ event: 'task_finished_late', upstreamCostUsd: '0.5' }),
    );
    const row = await bench.row(id);
    expect(row).toMatchObject({ state: 'expired', upstream_cost: '0.5', next_at: null });
    await expectMoney(bench, account, 0);
  });

  it('that nobody can say anything about is given up a little later', async () => {
    await using bench = await taskBench();
    const { id, account } = await madeBy(bench);
    await bench.pass();
    bench.studio.onLook = (response) => response.destroy();
    await bench.pass(20 * MINUTE);
    expect((await bench.row(id)).ended_at).toBeNull();
    await bench.pass(10 * MINUTE);
    expect(await bench.row(id)).toMatchObject({ state: 'expired', error_code: 'timed_out' });
    await expectMoney(bench, account, 0);
  });
});

describe('a result', () => {
  it('whose link is dead is asked for again, and then the money goes back (T-5)', async () => {
    await using bench = await taskBench();
    bench.studio.onFile = (response) => say(response, 404, {});
    const { id, account } = await madeBy(bench);
    const since = bench.store.clock.ms;
    const done = await bench.finish(id);
    expect(done).toMatchObject({ state: 'failed', error: { code: 'result_unavailable' } });
    expect(bench.store.clock.ms - since).toBeGreaterThanOrEqual(10 * MINUTE);
    expect(bench.studio.jobOf(id).looks).toBeGreaterThan(10);
    await expectMoney(bench, account, 0);
  });

  it('that comes under another link is kept (T-5)', async () => {
    await using bench = await taskBench();
    bench.studio.onFile = (response) => say(response, 404, {});
    const { id, account } = await madeBy(bench);
    await bench.pass();
    await bench.pass(2_000);
    bench.studio.onFile = null;
    expect((await bench.finish(id)).state).toBe('completed');
    await expectMoney(bench, account, CLIP);
  });

  it.each([
    ['HTML', (body: Buffer) => Buffer.concat([Buffer.from('<html><body>No'), body])],
    ['SVG', () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>')],
    ['nothing', () => Buffer.alloc(0)],
    ['nine megabytes', () => Buffer.alloc(9 * 1024 * 1024)],
  ])('that is %s is refused, and the money goes back (T-14)', async (_what, body) => {
    await using bench = await taskBench();
    bench.studio.onFile = (response) => response.end(body(Buffer.from('x')));
    const { id, account } = await madeBy(bench);
    const done = await bench.finish(id);
    expect(done).toMatchObject({ state: 'failed', error: { code: 'result_unavailable' } });
    expect(done.assets).toEqual([]);
    await expectMoney(bench, account, 0);
  });

  it('said to have two gigabytes is refused before it is read (T-14)', async () => {
    await using bench = await taskBench();
    bench.studio.onFile = (response) => {
      response.writeHead(200, { 'content-length': String(2 * 1024 ** 3) });
      response.write('a beginning');
    };
    const { id, account } = await madeBy(bench);
    expect((await bench.finish(id)).error?.code).toBe('result_unavailable');
    await expectMoney(bench, account, 0);
  });

  it('of several files is there as a whole or not at all', async () => {
    await using bench = await taskBench();
    bench.studio.usually = { files: ['one.mp4', 'two.mp4'] };
    bench.studio.onFile = (response, name) => {
      if (name === 'two.mp4') response.end('<html>');
      else response.end(Buffer.from('\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41', 'latin1'));
    };
    const { id, account } = await madeBy(bench);
    expect((await bench.finish(id)).state).toBe('failed');
    const rows = await bench.store.ledger.read.selectFrom('media').selectAll().execute();
    expect(rows).toEqual([]);
    await expectMoney(bench, account, 0);
  });
});

describe('a fault of ours', () => {
  function failing(method: 'start' | 'poll'): MediaProvider {
    const provider = studioProvider();
    const fail = () => Promise.reject(new TypeError('undefined is not a function'));
    return { ...provider, [method]: fail };
  }

  it('in a start ends its task, and no other (T-10)', async () => {
    await using bench = await taskBench({ providers: [failing('start')] });
    const { id, account } = await madeBy(bench);
    expect(await bench.finish(id)).toMatchObject({ state: 'failed', error: { code: 'internal' } });
    expect(events(bench)).toContain('task_crashed');
    await expectMoney(bench, account, 0);
  });

  it('in every look parks the task after some of them (T-10)', async () => {
    await using bench = await taskBench({ providers: [failing('poll')] });
    const { id, account } = await madeBy(bench);
    expect(await bench.finish(id)).toMatchObject({ state: 'failed', error: { code: 'internal' } });
    expect(events(bench).filter((event) => event === 'task_crashed')).toHaveLength(10);
    expect(events(bench)).toContain('task_parked');
    await expectMoney(bench, account, 0);
  });

  it('that took the process with it is looked for one task at a time (T-10)', async () => {
    let now = 0;
    let most = 0;
    const provider = studioProvider();
    const watched: MediaProvider = {
      ...provider,
      poll: async (...args) => {
        now += 1;
        most = Math.max(most, now);
        const polled = await provider.poll!(...args);
        now -= 1;
        return polled;
      },
    };
    await using bench = await taskBench({ providers: [watched] });
    bench.studio.usually = { looksToEnd: 2, state: 'processing' };
    const account = await bench.store.wallet('10');
    const ids: string[] = [];
    for (let n = 0; n < 8; n += 1) ids.push((await bench.make({}, account)).id);
    await bench.pass();
    // As after five processes that were killed while they looked at all of them.
    await bench.store.ledger.write(({ db }) =>
      db.updateTable('tasks').set({ crashes: 5 }).execute(),
    );
    await bench.pass(2_000);
    expect(most).toBe(1);
    for (const id of ids) expect((await bench.row(id)).crashes).toBe(0);
    await bench.pass(15_000);
    expect(most).toBeGreaterThan(1);
    await expectMoney(bench, account, ids.length * CLIP);
  });

  it('that a channel was not there at the next start ends its tasks only when their time is over', async () => {
    await using bench = await taskBench();
    const { id, account } = await madeBy(bench);
    await bench.pass();
    const channels = bench.routing.channels();
    bench.routing.replace([]);
    const later = async (ms: number) => {
      bench.store.clock.ms += ms;
      await (await bench.another()).tick();
    };
    await later(MINUTE);
    expect((await bench.row(id)).ended_at).toBeNull();
    bench.routing.replace(channels);
    await later(MINUTE);
    expect((await bench.row(id)).state).toBe('completed');
    await expectMoney(bench, account, CLIP);
    const late = await madeBy(bench);
    await bench.pass();
    bench.routing.replace([]);
    await later(30 * MINUTE);
    expect((await bench.row(late.id)).state).toBe('expired');
    await expectMoney(bench, late.account, 0);
  });
});

it('refuses at once what no channel of the caller’s groups could ever serve', async () => {
  await using bench = await taskBench({
    channels: (studio) => [studioChannel(studio, { group: 'vip' })],
  });
  const account = await bench.store.wallet('10');
  await expect(bench.make({}, account)).rejects.toMatchObject({ code: 'no_channel' });
  const { tasks } = await bench.tasks.list(walletPrincipal(account), { limit: 1 });
  expect(tasks).toEqual([]);
  await expectMoney(bench, account, 0);
});
