import { afterEach, describe, expect, it } from 'vitest';
import type { ChannelConfig } from '../../src/config/config.ts';
import { channel, type Rig, startRig } from '../support/chat.ts';
import {
  type Behaviour,
  json,
  startStream,
  startUpstream,
  type TestUpstream,
  whole,
} from '../support/upstream.ts';

const BODY = { model: 'm1', messages: [{ role: 'user', content: 'Hello?' }] };
const STREAM = { ...BODY, stream: true };

const upstreams: TestUpstream[] = [];
let rig: Rig;

/** A channel that answers so, and a good one after it. */
async function start(first: Behaviour, more: Partial<ChannelConfig> = {}): Promise<void> {
  upstreams.push(await startUpstream(first), await startUpstream(whole()));
  const channels = upstreams.map(({ url }, n) =>
    channel(url, { id: `c${n}`, priority: -n, ...(n === 0 && more) }),
  );
  const routes = channels.map(({ id }) => ({ channel: id, model: 'up-1' }));
  rig = await startRig({ channels, model: { routes } });
}

const asked = () => upstreams.map(({ requests }) => requests.length);
const endedOf = (id: string) => rig.traffic.of(id).ended;

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
  await Promise.all(upstreams.splice(0).map((upstream) => upstream.close()));
});

const status = (code: number, headers = {}) =>
  json(code, { error: { message: 'no such thing' } }, headers);
/** An error inside an answer of status 200. */
const inside =
  (error: object): Behaviour =>
  (response, { json: { stream } }) => {
    if (stream === true) {
      startStream(response);
      response.end(`data: ${JSON.stringify({ error })}\n\n`);
    } else json(200, { error })(response, {} as never);
  };

describe.each([
  ['JSON', BODY],
  ['a stream', STREAM],
])('a status of an upstream, asked for %s', (_name, body) => {
  it('usually ends a request that is itself at fault, and moves any other on', async () => {
    await start(status(404));
    expect((await rig.post(body)).json).toMatchObject({
      code: 'upstream_rejected',
      message: 'no such thing',
    });
    expect(asked()).toEqual([1, 0]);
    upstreams[0]!.usually(status(403));
    expect((await rig.post(body)).status).toBe(200);
    expect(asked()).toEqual([2, 1]);
    expect(endedOf('c0')).toEqual({ good: 0, sick: 1, busy: 0, unknown: 1 });
  });

  it('is asked about elsewhere where its channel says so, and is the channel’s no more', async () => {
    await start(status(404), { retryOn: [404, 500] });
    expect((await rig.post(body)).status).toBe(200);
    expect(asked()).toEqual([1, 1]);
    expect(endedOf('c0')).toMatchObject({ sick: 0, unknown: 1 });
    expect(await rig.held()).toBe(0);
  });

  it('is not asked about elsewhere where its channel leaves it out', async () => {
    await start(status(503), { retryOn: [500] });
    expect((await rig.post(body)).json['code']).toBe('upstream_failed');
    expect(asked()).toEqual([1, 0]);
    expect(await rig.charged()).toBe(0);
    expect(await rig.held()).toBe(0);
  });

  it('is what its channel takes it for: busy', async () => {
    await start(status(529, { 'retry-after': '7' }), { statusMap: { 529: 'busy' } });
    for (let at = 0; at < 6; at += 1) expect((await rig.post(body)).status).toBe(200);
    // Paused, not sick.
    expect(asked()).toEqual([1, 6]);
    expect(endedOf('c0')).toMatchObject({ busy: 1, sick: 0 });
    rig.store.clock.ms += 7_000;
    await rig.post(body);
    expect(asked()).toEqual([2, 7]);
  });

  it('of a failure that says when to come back is left alone for so long', async () => {
    await start(status(503, { 'retry-after': '9' }));
    for (let at = 0; at < 4; at += 1) expect((await rig.post(body)).status).toBe(200);
    expect(asked()).toEqual([1, 4]);
    expect(endedOf('c0')).toMatchObject({ sick: 1, busy: 0 });
    rig.store.clock.ms += 9_000;
    await rig.post(body);
    expect(asked()).toEqual([2, 5]);
  });

  it('is what its channel takes it for: sick', async () => {
    await start(status(400), { statusMap: { 400: 'sick' } });
    expect((await rig.post(body)).status).toBe(200);
    expect(asked()).toEqual([1, 1]);
    expect(endedOf('c0')).toMatchObject({ sick: 1 });
  });

  it('is what its channel takes it for: refused', async () => {
    await start(status(451), { statusMap: { 451: 'refused' } });
    expect((await rig.post(body)).json['code']).toBe('upstream_rejected');
    expect(asked()).toEqual([1, 0]);
    expect(endedOf('c0')).toMatchObject({ unknown: 1, sick: 0 });
  });

  it.each([
    ['a number of OpenRouter’s', { code: 429, message: 'slow down' }, [1, 1], 'busy'],
    ['a word', { code: 'rate_limit_exceeded', message: 'slow down' }, [1, 1], 'busy'],
    ['the request’s fault', { code: 400, message: 'bad tool' }, [1, 0], 'unknown'],
    ['a failure', { code: 502, message: 'provider down' }, [1, 1], 'sick'],
    ['no number at all', { message: 'overloaded' }, [1, 1], 'sick'],
  ] as const)('inside an answer of status 200 counts: %s', async (_how, error, calls, outcome) => {
    await start(inside(error));
    const answer = await rig.post(body);
    expect(answer.status).toBe(calls[1] ? 200 : 599);
    expect(asked()).toEqual(calls);
    expect(endedOf('c0')[outcome]).toBe(1);
    expect(await rig.held()).toBe(0);
  });

  it('inside an answer says nothing of the operator’s own account', async () => {
    await start(inside({ code: 402, message: 'org-77 is out of credit' }), { retryOn: [] });
    const answer = await rig.post(body);
    expect(answer.json['code']).toBe('upstream_failed');
    expect(answer.text).not.toContain('org-77');
  });
});
