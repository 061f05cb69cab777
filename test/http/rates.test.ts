import { describe, expect, it } from 'vitest';
import type { RateTier } from '../../src/config/config.ts';
import { type AppOptions, type Answer, chatBody, startApp, type TestApp } from '../support/app.ts';
import { manualClock } from '../support/store.ts';
import { gated, goodStream, hang, json, whole } from '../support/upstream.ts';

const OFF: RateTier = {
  requestsPerMinute: 0,
  requestsPerDay: 0,
  tokensPerMinute: 0,
  tokensPerDay: 0,
};
const NAMES = ['limit', 'remaining', 'reset'];
const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

/** A server on a clock that stands still, with these limits for its one model. */
function limited(tier: Partial<RateTier>, options: AppOptions = {}): Promise<TestApp> {
  return startApp({
    clock: manualClock(),
    ...options,
    change: (config) => {
      config.limits.rates['text'] = { ...OFF, ...tier };
      options.change?.(config);
    },
  });
}

function ratesOf({ headers }: Answer, of: 'requests' | 'tokens'): (number | null)[] {
  return NAMES.map((name) => {
    const value = headers.get(`x-ratelimit-${name}-${of}`);
    return value === null ? null : Number(value);
  });
}

/** A key of the same account as the key `of`, or a child of it. */
async function another(app: TestApp, fields: object): Promise<{ id: string; secret: string }> {
  return app.app.store.keys.create({ type: 'INFERENCE', description: '', ...fields });
}

async function statuses(count: number, ask: () => Promise<Answer>): Promise<number[]> {
  const found: number[] = [];
  for (let n = 0; n < count; n += 1) found.push((await ask()).status);
  return found;
}

describe('requests a minute', () => {
  it('serve exactly so many, say how many are left, and begin again a minute after the first', async () => {
    const clock = manualClock();
    await using app = await limited({ requestsPerMinute: 3 }, { clock });
    const { secret } = await app.key();
    const resetsAt = Math.ceil(clock.ms / 1_000) + 60;
    for (const left of [2, 1, 0]) {
      const answer = await app.chat(bearer(secret));
      expect(answer.status).toBe(200);
      expect(ratesOf(answer, 'requests')).toEqual([3, left, resetsAt]);
      expect(ratesOf(answer, 'tokens')).toEqual([null, null, null]);
      clock.ms += 10_000;
    }
    const refused = await app.chat(bearer(secret));
    expect(refused.status).toBe(429);
    expect(refused.json['error']).toMatchObject({ code: 'rate_limit_exceeded' });
    expect(refused.headers.get('retry-after')).toBe('30');
    expect(ratesOf(refused, 'requests')).toEqual([3, 0, resetsAt]);
    expect(refused.headers.get('x-request-cost')).toBeNull();
    clock.ms += 29_999;
    const venice = await app.post('/api/v1/chat/completions', '{}', bearer(secret));
    expect(venice.status).toBe(400);
    expect((await app.chat(bearer(secret))).status).toBe(429);
    clock.ms += 1;
    expect(await statuses(4, () => app.chat(bearer(secret)))).toEqual([200, 200, 200, 429]);
    expect(app.upstream.requests).toHaveLength(6);
    await app.check();
  });

  it('hold for requests that come at once, streams among them', async () => {
    await using app = await limited({ requestsPerMinute: 10 });
    const { secret } = await app.key();
    app.upstream.usually((response, request) =>
      (request.json['stream'] === true ? goodStream() : whole())(response, request),
    );
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) => app.chat(bearer(secret), { stream: n % 2 === 0 })),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(30);
    await app.check();
  });

  it('are counted by caller: keys and wallets apart', async () => {
    await using app = await limited({ requestsPerMinute: 1 });
    const { secret } = await app.key();
    const wallets = [await app.evm('1'), await app.solana('1')];
    expect(await statuses(2, () => app.chat(bearer(secret)))).toEqual([200, 429]);
    const { secret: second } = await app.key();
    expect(await statuses(2, () => app.chat(bearer(second)))).toEqual([200, 429]);
    for (const wallet of wallets) {
      const ask = async () => app.chat({ 'sign-in-with-x': await wallet.signIn() });
      expect(await statuses(2, ask)).toEqual([200, 429]);
    }
    await app.check();
  });

  it('are counted by tier of models', async () => {
    await using app = await limited(
      { requestsPerMinute: 1 },
      {
        change: (config) => {
          const [model] = config.models;
          config.models.push({ ...model!, id: 'large', tier: 'l' });
          config.models.push({ ...model!, id: 'also-large', tier: 'l' });
          config.limits.rates['l'] = { ...OFF, requestsPerMinute: 2 };
        },
      },
    );
    const { secret } = await app.key();
    const ask = async (model: string) => (await app.chat(bearer(secret), { model })).status;
    expect(await ask('demo-chat')).toBe(200);
    expect(await ask('demo-chat')).toBe(429);
    expect(await ask('large')).toBe(200);
    expect(await ask('also-large')).toBe(200);
    expect(await ask('large')).toBe(429);
  });

  it('are not there where they are off', async () => {
    await using app = await limited({});
    const { secret } = await app.key();
    const answer = await app.chat(bearer(secret));
    expect(answer.status).toBe(200);
    expect([...ratesOf(answer, 'requests'), ...ratesOf(answer, 'tokens')]).toEqual(
      Array(6).fill(null),
    );
  });

  it('are all six headers by default', async () => {
    await using app = await startApp();
    const { secret } = await app.key();
    const answer = await app.chat(bearer(secret));
    expect(answer.status).toBe(200);
    expect([...ratesOf(answer, 'requests'), ...ratesOf(answer, 'tokens')]).not.toContain(null);
  });
});

describe('requests a day', () => {
  it('end with the UTC day, whenever they began (L-5)', async () => {
    const clock = manualClock(Date.UTC(2026, 10, 30, 23, 59, 50, 500));
    await using app = await limited({ requestsPerDay: 2 }, { clock });
    const { secret } = await app.key();
    expect(await statuses(2, () => app.chat(bearer(secret)))).toEqual([200, 200]);
    const refused = await app.chat(bearer(secret));
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '10']);
    expect(ratesOf(refused, 'requests')).toEqual([2, 0, Date.UTC(2026, 11, 1) / 1_000]);
    clock.ms = Date.UTC(2026, 11, 1) - 1;
    expect((await app.chat(bearer(secret))).status).toBe(429);
    clock.ms += 1;
    expect(await statuses(3, () => app.chat(bearer(secret)))).toEqual([200, 200, 429]);
    clock.ms += 23 * 3_600_000;
    expect((await app.chat(bearer(secret))).status).toBe(429);
    await app.check();
  });
});

describe('tokens', () => {
  it('are set aside by the ceiling and corrected to what was used', async () => {
    const clock = manualClock();
    await using app = await limited({ tokensPerMinute: 1_000 }, { clock });
    const { secret } = await app.key();
    const answer = await app.chat(bearer(secret), { max_tokens: 600 });
    expect(answer.status).toBe(200);
    // The upstream used 20 + 5.
    expect(ratesOf(answer, 'tokens')).toEqual([1_000, 975, 60]);
    app.upstream.next(goodStream());
    clock.ms += 15_000;
    const streamed = await app.chat(bearer(secret), { max_tokens: 600, stream: true });
    const [, left] = ratesOf(streamed, 'tokens');
    expect(left).toBeLessThan(375);
    expect(ratesOf(await app.chat(bearer(secret)), 'tokens')).toEqual([1_000, 925, 45]);
    await app.check();
  });

  it('refuse what would not fit beside requests under way', async () => {
    await using app = await limited({ tokensPerMinute: 1_000 });
    const { secret } = await app.key();
    const slow = gated(whole());
    app.upstream.next(slow.behaviour);
    const first = app.chat(bearer(secret), { max_tokens: 600 });
    await app.upstream.arrived(1);
    const second = await app.chat(bearer(secret), { max_tokens: 600 });
    expect(second.status).toBe(429);
    expect(second.headers.get('retry-after')).toBe('60');
    expect((await app.chat(bearer(secret), { max_tokens: 100 })).status).toBe(200);
    slow.open();
    expect((await first).status).toBe(200);
    expect((await app.chat(bearer(secret), { max_tokens: 600 })).status).toBe(200);
    expect(app.upstream.requests).toHaveLength(3);
    await app.check();
  });

  it('say so where a request alone is too large', async () => {
    await using app = await limited({ tokensPerMinute: 100 });
    const { secret } = await app.key();
    const answer = await app.chat(bearer(secret), { max_tokens: 101 });
    expect(answer.status).toBe(429);
    expect(answer.text).toContain('max_tokens');
    expect(ratesOf(answer, 'tokens').slice(0, 2)).toEqual([100, 100]);
  });

  it('are given back by what fails or is refused for money', async () => {
    await using app = await limited({ tokensPerMinute: 1_000 });
    const { secret } = await app.key();
    const poor = await app.key('0.00000001');
    app.upstream.next(json(500, { error: { message: 'no' } }));
    const most = { max_tokens: 900 };
    expect((await app.chat(bearer(secret), most)).status).toBe(502);
    expect((await app.chat(bearer(secret), most)).status).toBe(200);
    expect(await statuses(2, () => app.chat(bearer(poor.secret), most))).toEqual([402, 402]);
    await app.check();
  });

  it('of an answer whose caller left are given back but for its input, as it is charged', async () => {
    await using app = await limited({ tokensPerMinute: 1_000 });
    const { secret } = await app.key();
    app.upstream.next(hang());
    const controller = new AbortController();
    const gone = fetch(`${app.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...bearer(secret) },
      body: JSON.stringify(chatBody({ stream: true, max_tokens: 900 })),
      signal: controller.signal,
    });
    await app.upstream.arrived(1);
    expect((await app.chat(bearer(secret), { max_tokens: 900 })).status).toBe(429);
    const { closed } = app.upstream.requests[0]!;
    controller.abort();
    await expect(gone).rejects.toThrow();
    await closed;
    const after = await app.chat(bearer(secret), { max_tokens: 800 });
    expect(after.status).toBe(200);
    await app.check();
  });

  it('of a request that outlasts its minute are not given back to the next one', async () => {
    const clock = manualClock();
    await using app = await limited({ tokensPerMinute: 1_000 }, { clock });
    const { secret } = await app.key();
    const slow = gated(whole());
    app.upstream.next(slow.behaviour);
    const first = app.chat(bearer(secret), { max_tokens: 600 });
    await app.upstream.arrived(1);
    clock.ms += 60_000;
    const fresh = await app.chat(bearer(secret), { max_tokens: 600 });
    expect(ratesOf(fresh, 'tokens')).toEqual([1_000, 975, 60]);
    slow.open();
    expect((await first).status).toBe(200);
    expect(ratesOf(await app.chat(bearer(secret)), 'tokens')).toEqual([1_000, 950, 60]);
    await app.check();
  });

  it('a day are counted until midnight', async () => {
    const clock = manualClock(Date.UTC(2028, 1, 28, 23));
    await using app = await limited({ tokensPerDay: 600 }, { clock });
    const { secret } = await app.key();
    expect(await statuses(3, () => app.chat(bearer(secret)))).toEqual([200, 200, 429]);
    clock.ms = Date.UTC(2028, 1, 29);
    expect((await app.chat(bearer(secret))).status).toBe(200);
  });
});

describe('the rules of a key', () => {
  it('lower its limits, over all tiers together, and raise none', async () => {
    await using app = await limited(
      { requestsPerMinute: 4 },
      {
        change: (config) => {
          config.models.push({ ...config.models[0]!, id: 'large', tier: 'l' });
        },
      },
    );
    const { accountId } = await app.key();
    const low = await another(app, { accountId, rules: { rateLimits: { requestsPerMinute: 2 } } });
    const first = await app.chat(bearer(low.secret));
    expect(ratesOf(first, 'requests').slice(0, 2)).toEqual([2, 1]);
    expect((await app.chat(bearer(low.secret), { model: 'large' })).status).toBe(200);
    expect(await statuses(1, () => app.chat(bearer(low.secret)))).toEqual([429]);
    const high = await another(app, { accountId, rules: { rateLimits: { requestsPerMinute: 9 } } });
    expect(await statuses(5, () => app.chat(bearer(high.secret)))).toEqual([
      200, 200, 200, 200, 429,
    ]);
    const none = await another(app, { accountId, rules: { rateLimits: { tokensPerDay: 0 } } });
    expect((await app.chat(bearer(none.secret))).status).toBe(429);
    await app.check();
  });

  it('hold for the keys that come from it, and a child counts against its parents (L-3)', async () => {
    await using app = await limited({ requestsPerMinute: 5 });
    const { accountId } = await app.key();
    const top = await another(app, { accountId });
    const mid = await another(app, {
      parentId: top.id,
      rules: { rateLimits: { requestsPerMinute: 3 } },
    });
    const left = await another(app, { parentId: mid.id });
    const right = await another(app, { parentId: mid.id });
    const ask = (key: { secret: string }) => async () => app.chat(bearer(key.secret));
    expect(await statuses(2, ask(left))).toEqual([200, 200]);
    expect(await statuses(2, ask(right))).toEqual([200, 429]);
    expect(await statuses(1, ask(mid))).toEqual([429]);
    // What was refused counts nowhere: the parent has its two left.
    expect(await statuses(3, ask(top))).toEqual([200, 200, 429]);
    await app.check();
  });
});
