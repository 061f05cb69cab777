import { afterEach, describe, expect, it } from 'vitest';
import type { ChannelConfig } from '../../src/config/config.ts';
import { channel, type Rig, startRig } from '../support/chat.ts';
import {
  type Behaviour,
  event,
  goodStream,
  json,
  reset,
  startStream,
  startUpstream,
  type TestUpstream,
  whole,
  write,
} from '../support/upstream.ts';

const BODY = { model: 'm1', messages: [{ role: 'user', content: 'Hello?' }] };
const STREAM = { ...BODY, stream: true };
/** 20 tokens in and 5 out, as the good upstream reports them. */
const COST = 20 * 1 + 5 * 10;

const upstreams: TestUpstream[] = [];
let rig: Rig;

/** One channel for each behaviour, tried in this order. */
async function start(behaviours: Behaviour[], more: Partial<ChannelConfig> = {}): Promise<void> {
  const channels: ChannelConfig[] = [];
  for (const [index, behaviour] of behaviours.entries()) {
    const upstream = await startUpstream(behaviour);
    upstreams.push(upstream);
    channels.push(channel(upstream.url, { id: `c${index}`, priority: -index, ...more }));
  }
  const routes = channels.map(({ id }) => ({ channel: id, model: 'up-1' }));
  rig = await startRig({ channels, model: { routes } });
}

const asked = () => upstreams.map(({ requests }) => requests.length);

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
  await Promise.all(upstreams.splice(0).map((upstream) => upstream.close()));
});

const broken = json(500, { error: { message: 'no' } });
const hanging: Behaviour = () => {};
const quick = { timeout: { firstByteMs: 150, idleMs: 150, totalMs: 5_000 } };

describe('fail-over', () => {
  it.each([
    ['JSON', BODY, whole()],
    ['a stream', STREAM, goodStream()],
  ])(
    'passes a failing and a hanging channel for the good one: %s (U-18)',
    async (_name, body, good) => {
      await start([broken, hanging, good], quick);
      const answer = await rig.post(body);
      expect(answer.status).toBe(200);
      expect(asked()).toEqual([1, 1, 1]);
      expect(await rig.charged()).toBe(COST);
      expect(await rig.held()).toBe(0);
    },
  );

  it('passes a channel that hangs up once it has the whole request, and charges once (U-18)', async () => {
    await start([reset(), whole()]);
    expect((await rig.post(BODY)).status).toBe(200);
    expect(asked()).toEqual([1, 1]);
    const holds = await rig.store.ledger.read.selectFrom('holds').select('state').execute();
    expect(holds).toEqual([{ state: 'captured' }]);
    expect(await rig.charged()).toBe(COST);
    expect(await rig.held()).toBe(0);
  });

  it('never asks a channel twice for one request, and charges nothing when all fail', async () => {
    await start([broken, json(429, {}, { 'retry-after': '3' }), broken]);
    for (const body of [BODY, STREAM]) {
      const answer = await rig.post(body);
      expect(answer.status).toBe(599);
      expect(answer.json['code']).toBe('upstream_failed');
    }
    // The busy one was left alone the second time.
    expect(asked()).toEqual([2, 1, 2]);
    expect(await rig.charged()).toBe(0);
    expect(await rig.held()).toBe(0);
  });

  it('takes an error inside an answer of status 200 for one, while nothing went out', async () => {
    const inside: Behaviour = (response) => {
      startStream(response);
      response.end('data: {"error":{"message":"overloaded"}}\n\n');
    };
    await start([inside, goodStream()]);
    const answer = await rig.post(STREAM);
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('[DONE]');
    expect(asked()).toEqual([1, 1]);
    expect(await rig.charged()).toBe(COST);
  });

  it('does not ask elsewhere what the request itself got wrong', async () => {
    await start([json(400, { error: { message: 'bad temperature' } }), whole()]);
    const answer = await rig.post(BODY);
    expect(answer.json['code']).toBe('upstream_rejected');
    expect(asked()).toEqual([1, 0]);
    expect(await rig.charged()).toBe(0);
  });

  it('does not begin a stream again that broke after its first byte, and charges what was delivered', async () => {
    const breaking: Behaviour = async (response) => {
      startStream(response);
      await write(response, event({ role: 'assistant', content: 'Hel' }));
      response.destroy();
    };
    await start([breaking, goodStream()]);
    const answer = await rig.post(STREAM);
    expect(answer.status).toBe(200);
    expect(answer.text).not.toContain('[DONE]');
    expect(asked()).toEqual([1, 0]);
    expect(await rig.charged()).toBeGreaterThan(0);
    expect(await rig.held()).toBe(0);
  });

  it('asks nobody else once the caller has left', async () => {
    let refuse = () => {};
    const slow: Behaviour = (response) => {
      refuse = () => {
        response.writeHead(500);
        response.end('{}');
      };
    };
    await start([slow, whole()]);
    const leaving = new AbortController();
    const left = rig.post(BODY, { signal: leaving.signal }).catch(() => null);
    await upstreams[0]!.arrived(1);
    leaving.abort();
    await left;
    await new Promise((resolve) => setTimeout(resolve, 50));
    refuse();
    await rig.settled(1);
    expect(asked()).toEqual([1, 0]);
    expect(await rig.charged()).toBe(0);
    expect(await rig.held()).toBe(0);
  });

  it('leaves a sick channel alone, lets one request find out, and comes back', async () => {
    await start([broken, whole()]);
    for (let at = 0; at < 8; at += 1) expect((await rig.post(BODY)).status).toBe(200);
    expect(asked()).toEqual([5, 8]);
    upstreams[0]!.usually(whole());
    rig.store.clock.ms += 15_000;
    for (let at = 0; at < 3; at += 1) expect((await rig.post(BODY)).status).toBe(200);
    expect(asked()).toEqual([8, 8]);
    expect(await rig.charged()).toBe(11 * COST);
  });
});
