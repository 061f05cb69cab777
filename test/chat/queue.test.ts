import { afterEach, describe, expect, it } from 'vitest';
import type { ChannelConfig } from '../../src/config/config.ts';
import { channel, type Rig, startRig } from '../support/chat.ts';
import { type Behaviour, startUpstream, type TestUpstream, whole } from '../support/upstream.ts';

const BODY = { model: 'm1', messages: [{ role: 'user', content: 'Hello?' }] };

const upstreams: TestUpstream[] = [];
let rig: Rig;

/** Channels that answer only when they are told to; the first is the best one. */
async function start(settings: Partial<ChannelConfig>[]) {
  const held: (() => void)[] = [];
  const slow: Behaviour = (response, request) => {
    held.push(() => void whole()(response, request));
  };
  for (const _each of settings) upstreams.push(await startUpstream(slow));
  const channels = settings.map((more, n) =>
    channel(upstreams[n]!.url, { id: `c${n}`, priority: -n, concurrency: 1, ...more }),
  );
  const routes = channels.map(({ id }) => ({ channel: id, model: 'up-1' }));
  rig = await startRig({ channels, model: { routes } });
  return { release: () => held.shift()?.() };
}

const asked = () => upstreams.map(({ requests }) => requests.length);
const arrived = (index: number, count: number) => upstreams[index]!.arrived(count);

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
  await Promise.all(upstreams.splice(0).map((upstream) => upstream.close()));
});

describe('a channel whose connections are all in use', () => {
  it('is passed over for one that is free', async () => {
    const { release } = await start([{}, {}]);
    const first = rig.post(BODY);
    await arrived(0, 1);
    const second = rig.post(BODY);
    await arrived(1, 1);
    expect(asked()).toEqual([1, 1]);
    release();
    release();
    expect((await first).status).toBe(200);
    expect((await second).status).toBe(200);
    const third = rig.post(BODY);
    await arrived(0, 2);
    release();
    expect((await third).status).toBe(200);
    expect(asked()).toEqual([2, 1]);
  });

  it('has requests wait in the order that they came in, where none is free', async () => {
    const { release } = await start([{}]);
    const order: number[] = [];
    const post = (n: number) =>
      rig.post({ ...BODY, user: `n${n}` }).then((answer) => {
        order.push(n);
        return answer.status;
      });
    const first = post(0);
    await arrived(0, 1);
    const others: Promise<number>[] = [];
    for (const n of [1, 2, 3]) {
      others.push(post(n));
      // One hold after the other, so that they come in this order.
      await expect.poll(() => rig.held()).toBeGreaterThan(0);
      await expect.poll(async () => (await holdsOpen()).length).toBe(n + 1);
    }
    expect(asked()).toEqual([1]);
    for (let n = 1; n <= 4; n += 1) {
      release();
      if (n < 4) await arrived(0, n + 1);
    }
    expect(await Promise.all([first, ...others])).toEqual([200, 200, 200, 200]);
    expect(upstreams[0]!.requests.map(({ json }) => json['user'])).toEqual([
      'n0',
      'n1',
      'n2',
      'n3',
    ]);
  });

  it('has nobody wait longer than it says, nor for the next one as well', async () => {
    const queue = { size: 10, waitMs: 60 };
    const { release } = await start([{ queue }, { queue }]);
    const running = [rig.post(BODY), rig.post(BODY)];
    await arrived(0, 1);
    await arrived(1, 1);
    const startedMs = performance.now();
    const late = await rig.post(BODY);
    expect(late.json).toMatchObject({ code: 'no_channel', retryAfterSeconds: 1 });
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(asked()).toEqual([1, 1]);
    // Being busy is no sickness.
    expect(rig.traffic.of('c0').ended.sick).toBe(0);
    release();
    release();
    await Promise.all(running);
    expect(await rig.held()).toBe(0);
    expect(await rig.charged()).toBe(2 * 70);
  });

  it('turns away at once whoever finds its queue full', async () => {
    const { release } = await start([{ queue: { size: 0, waitMs: 60_000 } }]);
    const running = rig.post(BODY);
    await arrived(0, 1);
    expect((await rig.post(BODY)).json['code']).toBe('no_channel');
    release();
    expect((await running).status).toBe(200);
  });

  it('forgets a caller that leaves while it waits, and charges nothing', async () => {
    const { release } = await start([{}]);
    const running = rig.post(BODY);
    await arrived(0, 1);
    const leaving = new AbortController();
    const left = rig.post({ ...BODY, stream: true }, { signal: leaving.signal }).catch(() => null);
    await expect.poll(async () => (await holdsOpen()).length).toBe(2);
    leaving.abort();
    await left;
    await rig.settled(1);
    expect((await holdsOpen()).length).toBe(1);
    release();
    expect((await running).status).toBe(200);
    expect(asked()).toEqual([1]);
    expect(await rig.charged()).toBe(70);
  });
});

function holdsOpen() {
  return rig.store.ledger.read
    .selectFrom('holds')
    .select('id')
    .where('state', '=', 'open')
    .execute();
}
