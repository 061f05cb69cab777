/**
 * What every provider of text keeps, whatever dialect it speaks to its upstream: the charge is what was used, nothing is charged for
 * what failed, every call ends, and nothing of the operator's comes out.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isServedBy, type Use } from '../../src/providers/index.ts';
import { KEY } from '../support/chat.ts';
import {
  type Behaviour,
  gated,
  hang,
  json,
  raw,
  reset,
  startStream,
  stream,
  write,
} from '../support/upstream.ts';
import { Bench, type Dialect } from './bench.ts';

const SHORT = { firstByteMs: 100, idleMs: 100, totalMs: 400 };
const COST = 70;

export function keepsContract(dialect: Dialect): void {
  const { use, provider } = dialect;
  describe(`${use} over ${provider}`, () => {
    const bench = new Bench(dialect);
    beforeAll(() => bench.open());
    beforeEach(() => bench.begin());
    afterEach(async () => {
      // Whatever happened: nothing stays held.
      await expect.poll(() => bench.rig.held()).toBe(0);
    });
    // And the ledger adds up, which the rig checks.
    afterAll(() => bench.rig[Symbol.asyncDispose]());
    const modes = dialect.stream ? (['whole', 'streamed'] as const) : (['whole'] as const);
    describe.each(modes)('%s', (mode) => keepsInMode(dialect, mode, bench));
    if (dialect.stream) describe('a stream', () => breaksWell(dialect, bench));
  });
}

function keepsInMode(dialect: Dialect, mode: 'whole' | 'streamed', bench: Bench): void {
  const { body, usage, cost = COST } = dialect;
  const asked = mode === 'whole' ? body : { ...body, stream: true };
  const events = dialect.stream!;
  /** A good answer, in the form that was asked for. */
  const good = (used: object | undefined): Behaviour =>
    mode === 'whole'
      ? json(200, dialect.whole(used))
      : stream([...events.begin, ...events.end(used)]);
  const next = (behaviour: Behaviour) => bench.rig.upstream.next(behaviour);
  const post = (more: object = {}) => bench.rig.post({ ...asked, ...more });

  it('is charged by its usage', async () => {
    next(good(usage));
    const answer = await post();
    expect(answer.status).toBe(200);
    if (mode === 'streamed') expect(answer.text).toMatch(events.last);
    expect(await bench.charged()).toBe(cost);
    expect(await bench.rig.lastUsage()).toMatchObject({ channel: 'main' });
    expect(await bench.rig.lastUsage()).not.toHaveProperty('estimated');
    expect(bench.ended()).toEqual({ good: 1, sick: 0, busy: 0, unknown: 0 });
  });

  it('takes its key, its headers and its fields along, and nothing of its caller', async () => {
    await bench.begin({
      headers: { 'X-Team': 'blue' },
      removeHeaders: ['user-agent'],
      params: { set: { safety_identifier: '"us"' }, remove: ['user'] },
    });
    next(good(usage));
    await post({ user: 'somebody', max_credits: 100 });
    const [request] = bench.rig.upstream.requests;
    const { headers } = request!;
    expect(headers[dialect.keyHeader]).toContain(KEY);
    expect(headers['x-team']).toBe('blue');
    expect(headers['user-agent']).toBeUndefined();
    expect(headers['accept-encoding']).toBe('identity');
    expect(request!.json).toMatchObject({ model: 'up-1', safety_identifier: 'us' });
    expect(request!.json).not.toHaveProperty('user');
    expect(request!.json).not.toHaveProperty('max_credits');
  });

  it('that is busy says when to come back, and costs nothing (U-1)', async () => {
    next(json(429, dialect.error(`slow down, ${KEY}`), { 'retry-after': '17' }));
    const answer = await post();
    await bench.expectFree(answer, 'upstream_busy');
    expect(answer.json['retryAfterSeconds']).toBe(17);
    expect(bench.ended().busy).toBe(1);
  });

  it.each([500, 502, 503, 529, 401, 402, 403])(
    'that answers %s failed, and costs nothing (U-2)',
    async (status) => {
      next(json(status, dialect.error(`account org-77 of ${KEY}`)));
      const answer = await post();
      await bench.expectFree(answer, 'upstream_failed');
      expect(answer.text).not.toContain('org-77');
      expect(bench.ended().sick).toBe(1);
    },
  );

  it('that refuses the request says why, and is not sick', async () => {
    next(json(400, dialect.error('the field temperature is wrong')));
    const answer = await post();
    await bench.expectFree(answer, 'upstream_rejected');
    expect(answer.text).toContain('the field temperature is wrong');
    expect(bench.ended()).toMatchObject({ sick: 0, unknown: 1 });
  });

  it('that never answers times out, and costs nothing (U-4)', async () => {
    await bench.begin({ timeout: SHORT });
    next(hang());
    await bench.expectFree(await post(), 'upstream_timeout');
  });

  it('that breaks the connection before any output costs nothing (U-3)', async () => {
    next(reset());
    await bench.expectFree(await post(), 'upstream_failed');
  });

  it.each([
    ['HTML', 'text/html', '<html>Bad gateway</html>'],
    ['JSON that is cut off', 'application/json', '{"id":"x","choices":[{"mess'],
    ['JSON that is something else', 'application/json', '{"hello":"world"}'],
    ['nothing', 'application/json', ''],
  ])('that answers 200 with %s costs nothing', async (_what, type, text) => {
    next(raw(200, type, text));
    await bench.expectFree(await post(), 'upstream_failed');
  });

  it('that has an error inside an answer of status 200 costs nothing (U-13)', async () => {
    const error = 'overloaded';
    next(mode === 'whole' ? json(200, dialect.error(error)) : stream([events.error(error)]));
    await bench.expectFree(await post(), 'upstream_failed');
  });

  it('is estimated where no usage comes, flagged, never free and never above its hold (U-10)', async () => {
    next(good(undefined));
    expect((await post()).status).toBe(200);
    expect(await bench.charged()).toBeGreaterThan(0);
    expect(await bench.rig.lastUsage()).toMatchObject({ estimated: true });
    expect(bench.rig.logged.map(({ event }) => event)).not.toContain('charge_above_hold');
  });

  it.each(dialect.odd.map((odd) => [JSON.stringify(odd), odd] as const))(
    'does not believe a usage of %s (U-11)',
    async (_text, odd) => {
      next(good(odd));
      expect((await post()).status).toBe(200);
      const charged = await bench.charged();
      expect(Number.isSafeInteger(charged)).toBe(true);
      expect(charged).toBeGreaterThan(0);
      expect(charged).toBeLessThanOrEqual((await bench.hold()).amount);
    },
  );

  it('that redirects is not followed (U-16)', async () => {
    next((response) => {
      response.writeHead(307, { location: `${bench.rig.upstream.url}/elsewhere` });
      response.end();
    });
    await bench.expectFree(await post(), 'upstream_failed');
    expect(bench.rig.upstream.requests).toHaveLength(1);
  });

  it('does not give away its key, though its upstream says it (U-17)', async () => {
    next(
      mode === 'whole'
        ? json(200, dialect.whole(usage, `the key is ${KEY}`))
        : stream([...events.begin, `: ${KEY}\n\n`, ...events.end(usage)]),
    );
    const answer = await post();
    expect(answer.text + JSON.stringify([...answer.headers])).not.toContain(KEY);
  });

  it('is charged where its caller leaves after it was sent (C-9)', async () => {
    const gate = gated(mode === 'whole' ? good(usage) : hang());
    next(gate.behaviour);
    const leaving = new AbortController();
    const left = bench.rig.post(asked, { signal: leaving.signal }).catch(() => null);
    await bench.rig.upstream.arrived(1);
    leaving.abort();
    await left;
    if (mode === 'streamed') {
      expect(await bench.rig.upstream.requests[0]!.closed).toBe(false);
      await expect.poll(() => bench.rig.held()).toBe(0);
      // Nothing came of it, but its upstream had it: its input.
      expect(await bench.charged()).toBeGreaterThan(0);
    } else {
      gate.open();
      await expect.poll(() => bench.rig.held()).toBe(0);
      expect(await bench.charged()).toBe(cost);
    }
  });
}

/** Ends that only a stream can have. */
function breaksWell({ body, usage, cost = COST, ...dialect }: Dialect, bench: Bench): void {
  const asked = { ...body, stream: true };
  const { begin, end, error, last } = dialect.stream!;
  const next = (behaviour: Behaviour) => bench.rig.upstream.next(behaviour);
  const post = () => bench.rig.post(asked);

  it('that breaks after some output is charged for that, ends in an error, and is not tried again', async () => {
    next(stream(begin, 'cut'));
    const answer = await post();
    expect(answer.status).toBe(200);
    expect(answer.text).not.toMatch(last);
    expect(answer.text).toContain('error');
    expect(bench.rig.upstream.requests).toHaveLength(1);
    await bench.expectPart();
    expect(bench.ended().sick).toBe(1);
  });

  it('that ends without its end is no whole answer', async () => {
    next(stream(begin));
    expect((await post()).text).not.toMatch(last);
    await bench.expectPart();
  });

  it('that falls silent is cut off, and charged for what came (U-4)', async () => {
    await bench.begin({ timeout: SHORT });
    next(stream(begin, 'hang'));
    expect((await post()).text).not.toMatch(last);
    await bench.expectPart();
  });

  it('with an error in its middle hands it on, and is charged for what came', async () => {
    next(stream([...begin, error('overloaded')]));
    const answer = await post();
    expect(answer.text).toContain('overloaded');
    expect(answer.text).not.toMatch(last);
    await bench.expectPart();
  });

  it('whose caller leaves in its middle ends its upstream, and is charged for what came (C-10)', async () => {
    next(stream(begin, 'hang'));
    const leaving = new AbortController();
    const response = await bench.rig.open(asked, { signal: leaving.signal });
    await response.body!.getReader().read();
    leaving.abort();
    expect(await bench.rig.upstream.requests[0]!.closed).toBe(false);
    await expect.poll(() => bench.rig.held()).toBe(0);
    await bench.expectPart();
  });

  it('is the same in pieces of any size', async () => {
    const bytes = Buffer.from([...begin, ...end(usage)].join(''));
    const texts: string[] = [];
    for (const size of [1, 7, 64, bytes.length]) {
      next(async (response) => {
        startStream(response);
        for (let at = 0; at < bytes.length; at += size) {
          await write(response, bytes.subarray(at, at + size));
        }
        response.end();
      });
      const { text } = await post();
      // What we make up ourselves: figures, times and ids.
      texts.push(
        text
          .replaceAll(/^: farebox .*$/gm, '')
          .replaceAll(/"created":\d+/g, '')
          .replaceAll(/(chatcmpl|msg)[-_]\w+/g, ''),
      );
    }
    expect(new Set(texts).size).toBe(1);
    expect(await bench.charged()).toBe(4 * cost);
  });
}

/** Which uses a provider's name stands for. */
export function usesOf(provider: string): Use[] {
  return (['chat', 'embeddings', 'responses', 'messages'] as const).filter((use) =>
    isServedBy(provider, use),
  );
}
