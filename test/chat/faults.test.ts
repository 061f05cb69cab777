import { afterEach, describe, expect, it } from 'vitest';
import { KEY, type Rig, type RigOptions, startRig } from '../support/chat.ts';
import {
  bomb,
  drip,
  echoKey,
  event,
  hang,
  json,
  raw,
  redirect,
  reset,
  ROLE,
  startUpstream,
  stream,
  whole,
} from '../support/upstream.ts';

let rig: Rig;
const start = async (options?: RigOptions) => {
  rig = await startRig(options);
  return rig;
};
afterEach(() => rig[Symbol.asyncDispose]());

const BODY = { model: 'm1', messages: [{ role: 'user', content: 'Say hello.' }], max_tokens: 50 };
const BOTH = [
  ['JSON', BODY],
  ['a stream', { ...BODY, stream: true }],
] as const;
const SHORT = { firstByteMs: 150, idleMs: 150, totalMs: 400 };

async function expectNothingCharged(): Promise<void> {
  expect(await rig.charged()).toBe(0);
  expect(await rig.held()).toBe(0);
}

describe.each(BOTH)('an upstream asked for %s', (_name, body) => {
  it.each([
    ['with Retry-After in seconds', { 'retry-after': '17' }, 17],
    ['with Retry-After as a date', { 'retry-after': 'Sat, 21 Nov 2026 12:00:30 GMT' }, 30],
    ['with a silly Retry-After', { 'retry-after': '-3' }, 5],
    ['with an endless Retry-After', { 'retry-after': '999999' }, 3_600],
    ['without Retry-After', {}, 5],
  ])(
    'that is busy, %s, costs nothing and says when to try again (U-1)',
    async (_how, headers, seconds) => {
      await start();
      rig.upstream.next(
        json(429, { error: { message: `slow down, ${KEY}` } }, headers as Record<string, string>),
      );
      expect((await rig.post(body)).json).toMatchObject({
        code: 'upstream_busy',
        retryAfterSeconds: seconds,
      });
      await expectNothingCharged();
    },
  );

  it.each([500, 502, 503, 529, 401, 402, 403])(
    'that answers %s has failed, and nothing is charged (U-2)',
    async (status) => {
      await start();
      rig.upstream.next(
        json(status, { error: { message: `account org-77 is out of credit, ${KEY}` } }),
      );
      const answer = await rig.post(body);
      expect(answer.json).toMatchObject({ code: 'upstream_failed' });
      expect(answer.text).not.toMatch(/org-77|sk-/);
      await expectNothingCharged();
    },
  );

  it.each([400, 404, 413, 422])(
    'that refuses the content with %s is quoted, without our key',
    async (status) => {
      await start();
      rig.upstream.next(
        json(status, { error: { message: `bad thing, ${KEY}, sk-other-1234567890\r\nx` } }),
      );
      const answer = await rig.post(body);
      expect(answer.json).toEqual({
        code: 'upstream_rejected',
        message: 'bad thing, [redacted], [redacted] x',
        details: { status },
      });
      await expectNothingCharged();
    },
  );

  it('that resets the connection costs nothing (U-3)', async () => {
    await start();
    rig.upstream.next(reset());
    expect((await rig.post(body)).json).toMatchObject({ code: 'upstream_failed' });
    await expectNothingCharged();
  });

  it('that is not there costs nothing (U-3)', async () => {
    const gone = await startUpstream();
    await gone.close();
    await start({ baseUrl: gone.url });
    expect((await rig.post(body)).json).toMatchObject({ code: 'upstream_failed' });
    await expectNothingCharged();
  });

  it('that never begins to answer times out (U-4)', async () => {
    await start({ channel: { timeout: SHORT } });
    rig.upstream.next(hang());
    expect((await rig.post(body)).json).toMatchObject({ code: 'upstream_timeout' });
    expect(await rig.upstream.requests[0]!.closed).toBe(false);
    await expectNothingCharged();
  });

  it('that drips bytes is ended by the total time (U-5)', async () => {
    await start({ channel: { timeout: SHORT } });
    rig.upstream.next(drip('text/event-stream', ' ', 20));
    const answer = await rig.post(body);
    expect(answer.json).toMatchObject({ code: 'upstream_timeout' });
    expect(await rig.upstream.requests[0]!.closed).toBe(false);
    await expectNothingCharged();
  });

  it('that sends without end is cut off at the bound (U-6)', async () => {
    await start({ limits: { upstreamBodyBytes: 1_000_000 } });
    rig.upstream.next(drip('application/json', 'x'.repeat(10_000), 0));
    expect((await rig.post(body)).json).toMatchObject({ code: 'upstream_failed' });
    await expectNothingCharged();
  });

  it.each(['gzip', 'br'] as const)(
    'that sends a %s bomb is cut off, packed (U-7)',
    async (encoding) => {
      await start();
      rig.upstream.next(bomb(encoding, 50));
      const before = process.memoryUsage().rss;
      expect((await rig.post(body)).json).toMatchObject({ code: 'upstream_failed' });
      expect(process.memoryUsage().rss - before).toBeLessThan(40 * 1024 * 1024);
      expect(rig.upstream.requests[0]!.headers['accept-encoding']).toBe('identity');
      await expectNothingCharged();
    },
  );

  it.each([
    ['an HTML page', raw(200, 'text/html', '<html><body>Sign in to continue</body></html>')],
    ['truncated JSON', raw(200, 'application/json', '{"choices":[{"message":{"content":"Hel')],
    ['JSON of another kind', json(200, { hello: 'world' })],
    ['a bare string', json(200, 'ok')],
    ['nothing', raw(200, 'application/json', '')],
    ['deep JSON', raw(200, 'application/json', `${'['.repeat(200_000)}${']'.repeat(200_000)}`)],
  ])(
    'that answers 200 with %s has failed, and its body is not passed on (U-8, U-9)',
    async (_what, behaviour) => {
      await start();
      rig.upstream.next(behaviour);
      const answer = await rig.post(body);
      expect(answer.json).toMatchObject({ code: 'upstream_failed' });
      expect(answer.text).not.toMatch(/Sign in|Hel|world/);
      await expectNothingCharged();
    },
  );

  it('that redirects is not followed (U-16)', async () => {
    await start();
    const elsewhere = await startUpstream();
    rig.upstream.next(redirect(`${elsewhere.url}/chat/completions`));
    expect((await rig.post(body)).json).toMatchObject({ code: 'upstream_failed' });
    expect(elsewhere.requests).toHaveLength(0);
    await elsewhere.close();
    await expectNothingCharged();
  });

  it.each([400, 401, 500])(
    'that answers %s with our key does not give it away (U-17)',
    async (status) => {
      await start();
      rig.upstream.next(echoKey(status));
      const answer = await rig.post(body);
      expect(answer.text + JSON.stringify([...answer.headers])).not.toContain(KEY);
    },
  );
});

describe('an upstream', () => {
  it('that echoes our key in a whole answer does not give it away (U-17)', async () => {
    await start();
    rig.upstream.next(echoKey(200));
    const answer = await rig.post(BODY);
    expect(answer.json).toMatchObject({
      choices: [{ message: { content: 'your key is [redacted]' } }],
    });
    expect(JSON.stringify([...answer.headers])).not.toMatch(/sk-|x-echo|set-cookie/);
  });

  it('that echoes our key in a stream, even in pieces, does not give it away (U-17)', async () => {
    await start();
    const echo = event({ content: `key ${KEY}` });
    rig.upstream.next(stream([ROLE, echo.slice(0, 110), echo.slice(110)]));
    const answer = await rig.post({ ...BODY, stream: true });
    expect(answer.text).toContain('key [redacted]');
    expect(answer.text).not.toContain(KEY);
  });

  it('that falls silent in the middle of a stream is cut off, and what came is charged (U-4)', async () => {
    await start({ channel: { timeout: { ...SHORT, totalMs: 5_000 } } });
    rig.upstream.next(stream([ROLE, event({ content: 'x'.repeat(32) })], 'hang'));
    const answer = await rig.post({ ...BODY, stream: true });
    expect(JSON.parse(answer.events.at(-1)!)).toMatchObject({
      error: { code: 'upstream_timeout' },
    });
    expect(await rig.lastUsage()).toMatchObject({ output_tokens: 10, estimated: true });
  });

  it('that talks for ever is ended by the total time, and what came is charged (U-5)', async () => {
    await start({ channel: { timeout: SHORT } });
    rig.upstream.next(drip('text/event-stream', event({ content: 'xxxx' }), 5));
    const answer = await rig.post({ ...BODY, stream: true });
    expect(JSON.parse(answer.events.at(-1)!)).toMatchObject({
      error: { code: 'upstream_timeout' },
    });
    expect(await rig.charged()).toBeGreaterThan(0);
  });

  it('that sends a line without end is cut off at the line bound (U-6)', async () => {
    await start({ limits: { sseLineBytes: 100_000 } });
    const endless = `data: {"choices":[{"delta":{"content":"${'x'.repeat(300_000)}`;
    rig.upstream.next(stream([ROLE, event({ content: 'x'.repeat(32) }), endless], 'hang'));
    const answer = await rig.post({ ...BODY, stream: true });
    expect(answer.text).not.toContain('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx');
    expect(JSON.parse(answer.events.at(-1)!)).toMatchObject({ error: { code: 'upstream_failed' } });
    expect(await rig.lastUsage()).toMatchObject({ output_tokens: 10 });
    expect(await rig.upstream.requests[0]!.closed).toBe(false);
  });

  it('that keeps the connection open after [DONE] does not keep the caller waiting', async () => {
    await start();
    rig.upstream.next(stream([ROLE, event({ content: 'Hi' }), 'data: [DONE]\n\n'], 'hang'));
    const answer = await rig.post({ ...BODY, stream: true });
    expect(answer.events.at(-1)).toBe('[DONE]');
    rig.upstream.requests[0]!.closed.catch(() => {});
  });

  it('that answers a stream request with a whole answer is taken at its word', async () => {
    await start();
    rig.upstream.next(whole());
    const answer = await rig.post({ ...BODY, stream: true });
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(await rig.charged()).toBe(70);
  });

  it('is sent no credential but its own', async () => {
    await start({ channel: { headers: { 'X-Org': 'org-1' } } });
    await rig.post(BODY);
    const { headers } = rig.upstream.requests[0]!;
    expect(headers).toMatchObject({ authorization: `Bearer ${KEY}`, 'x-org': 'org-1' });
    expect(Object.keys(headers).sort()).toEqual([
      'accept',
      'accept-encoding',
      'authorization',
      'connection',
      'content-length',
      'content-type',
      'host',
      'user-agent',
      'x-org',
    ]);
  });
});

describe('a caller that does not read', () => {
  it('pauses the upstream, and is given up after the idle time', async () => {
    await start({
      channel: { timeout: { firstByteMs: 5_000, idleMs: 300, totalMs: 20_000 } },
      limits: { upstreamBodyBytes: 1e9 },
    });
    let sent = 0;
    rig.upstream.next(async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const piece = event({ content: 'x'.repeat(60_000) });
      while (!response.destroyed) {
        sent += piece.length;
        if (response.write(piece)) await new Promise(setImmediate);
        else
          await new Promise<void>((resolve) => {
            response.once('drain', resolve);
            response.once('close', resolve);
          });
      }
    });
    const response = await rig.open({ ...BODY, stream: true });
    expect(await rig.upstream.requests[0]!.closed).toBe(false);
    expect(sent).toBeLessThan(50e6);
    await rig.settled(1);
    expect(await rig.charged()).toBeGreaterThan(0);
    await response.body!.cancel();
  });
});
