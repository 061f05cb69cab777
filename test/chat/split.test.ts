/** The acceptance of routing: shares, fail-over and the breaker, seen from the upstreams. */
import { afterEach, describe, expect, it } from 'vitest';
import type { ChannelConfig } from '../../src/config/config.ts';
import { channel, type Rig, type RigOptions, startRig } from '../support/chat.ts';
import { seeded } from '../support/seeded.ts';
import {
  type Behaviour,
  goodStream,
  hang,
  json,
  startUpstream,
  type TestUpstream,
  whole,
} from '../support/upstream.ts';

const BODY = { model: 'm1', messages: [{ role: 'user', content: 'Hello?' }] };
const COST = 70;
const CALLS = 4_000;
const AT_ONCE = 50;

const upstreams: TestUpstream[] = [];
let rig: Rig;
afterEach(async () => {
  await rig[Symbol.asyncDispose]();
  await Promise.all(upstreams.splice(0).map((upstream) => upstream.close()));
});

async function start(ways: [Behaviour, Partial<ChannelConfig>][], options: RigOptions = {}) {
  const channels: ChannelConfig[] = [];
  for (const [n, [behaviour, more]] of ways.entries()) {
    upstreams.push(await startUpstream(behaviour));
    channels.push(channel(upstreams[n]!.url, { id: `c${n}`, ...more }));
  }
  const routes = channels.map(({ id }) => ({ channel: id, model: 'up-1' }));
  rig = await startRig({ channels, model: { routes }, ...options });
}

/** Requests of each upstream so far. */
const asked = () => upstreams.map(({ requests }) => requests.length);

describe('four thousand calls over channels of weights 1 and 3', () => {
  it('go where the generator says, each once, and every one is charged', async () => {
    const seed = 42;
    const ways: [Behaviour, object][] = [1, 3].map((weight) => [whole(), { weight }]);
    await start(ways, { random: seeded(seed) });
    // What the generator says, worked out by itself: a quarter of its tickets are the first channel's.
    const random = seeded(seed);
    const firsts = Array.from({ length: CALLS }, random).filter((ticket) => ticket < 0.25).length;
    let left = CALLS;
    const worker = async () => {
      while (left-- > 0) expect((await rig.post(BODY)).status).toBe(200);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    expect(asked()).toEqual([firsts, CALLS - firsts]);
    // Within three deviations of a quarter.
    expect(Math.abs(firsts - CALLS / 4)).toBeLessThan(3 * Math.sqrt((CALLS * 3) / 16));
    expect(await rig.charged()).toBe(CALLS * COST);
    expect(await rig.held()).toBe(0);
  });
});

describe.each([
  ['JSON', BODY, whole()],
  ['streams', { ...BODY, stream: true }, goodStream()],
])(
  'one channel that fails, one that hangs and one that is good, asked for %s',
  (_name, body, good) => {
    it('serve everything, none of them twice for one call, and only the good one is charged for', async () => {
      const quick = { timeout: { firstByteMs: 60, idleMs: 60, totalMs: 5_000 } };
      const failing = json(500, { error: { message: 'no' } });
      await start(
        [
          [failing, {}],
          [hang(), quick],
          [good, {}],
        ],
        { random: seeded(7) },
      );
      let number = 0;
      const call = async (): Promise<void> => {
        const answer = await rig.post({ ...body, user: `call ${number++}` });
        expect(answer.status).toBe(200);
      };
      for (let at = 0; at < 40; at += 1) await call();
      for (const { requests } of upstreams) {
        const calls = requests.map(({ json: { user } }) => user);
        expect(new Set(calls).size).toBe(calls.length);
      }
      // Five failures say enough: the breakers are open, and nobody waits for them any more.
      expect(asked()).toEqual([5, 5, 40]);
      expect(rig.routing.health().map(({ state }) => state)).toEqual(['open', 'open', 'closed']);
      expect(await rig.charged()).toBe(40 * COST);

      // Half-open: one call finds out for each, and both stay out for twice as long.
      rig.store.clock.ms += 15_000;
      expect(rig.routing.health().map(({ state }) => state)).toEqual([
        'half-open',
        'half-open',
        'closed',
      ]);
      for (let at = 0; at < 20; at += 1) await call();
      expect(asked()).toEqual([6, 6, 60]);
      rig.store.clock.ms += 29_999;
      for (let at = 0; at < 10; at += 1) await call();
      expect(asked()).toEqual([6, 6, 70]);

      // Mended: the call that finds out is served, and the breakers close.
      upstreams[0]!.usually(good);
      upstreams[1]!.usually(good);
      rig.store.clock.ms += 1;
      for (let at = 0; at < 30; at += 1) await call();
      expect(rig.routing.health().map(({ state }) => state)).toEqual([
        'closed',
        'closed',
        'closed',
      ]);
      const [first = 0, second = 0, third = 0] = asked();
      expect(Math.min(first - 6, second - 6, third - 70)).toBeGreaterThan(2);
      expect(first + second + third).toBe(6 + 6 + 70 + 30);
      expect(await rig.charged()).toBe(100 * COST);
      expect(await rig.held()).toBe(0);
      expect(rig.traffic.of('c0').ended.sick).toBe(6);
    });
  },
);
