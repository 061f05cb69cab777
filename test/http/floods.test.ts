import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type AppOptions, chatBody, startApp, type TestApp } from '../support/app.ts';
import { manualClock } from '../support/store.ts';
import { json } from '../support/upstream.ts';

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const from = (ip: string) => ({ 'x-forwarded-for': ip });
const BAD = bearer(`ck_${'0'.repeat(48)}`);

function small(options: AppOptions = {}): Promise<TestApp> {
  return startApp({
    clock: manualClock(),
    ...options,
    change: (config) => {
      config.server.trustedProxies = ['127.0.0.0/8'];
      config.limits.floods = { unauthorizedPerMinute: 3, paymentRequiredPerMinute: 3 };
      options.change?.(config);
    },
  });
}

describe('a caller whose requests fail', () => {
  it('20 times in 30 seconds waits for 30 seconds', async () => {
    const clock = manualClock();
    await using app = await startApp({ clock });
    const { secret } = await app.key();
    const { secret: other } = await app.key();
    const fail = () => app.chat(bearer(secret), { model: 'none' });
    for (let n = 0; n < 20; n += 1) {
      expect((await fail()).status).toBe(404);
      clock.ms += 1_000;
    }
    const refused = await app.chat(bearer(secret));
    expect(refused.status).toBe(429);
    expect(refused.json['error']).toMatchObject({ code: 'rate_limit_exceeded' });
    expect(refused.text).toContain('Too many failed attempts');
    expect(refused.headers.get('retry-after')).toBe('29');
    expect((await app.chat(bearer(other))).status).toBe(200);
    // Asking meanwhile makes it no longer.
    clock.ms += 28_999;
    expect((await fail()).status).toBe(429);
    clock.ms += 1;
    expect((await app.chat(bearer(secret))).status).toBe(200);
    expect(app.upstream.requests).toHaveLength(2);
    await app.check();
  });

  it('fewer times in 30 seconds does not wait', async () => {
    const clock = manualClock();
    await using app = await startApp({ clock });
    const { secret } = await app.key();
    for (let n = 0; n < 57; n += 1) {
      expect((await app.chat(bearer(secret), { model: 'none' })).status).toBe(404);
      if (n % 19 === 18) clock.ms += 30_000;
    }
    expect((await app.chat(bearer(secret))).status).toBe(200);
  });

  it('does not wait for faults of the upstream, for money or for limits', async () => {
    await using app = await startApp({
      clock: manualClock(),
      change: (config) => {
        config.limits.rates['text']!.requestsPerMinute = 30;
      },
    });
    const keys = [await app.key('0.00000001'), await app.key(), await app.key()];
    const ask = async (n: number, times: number) => {
      const statuses = new Set<number>();
      for (let k = 0; k < times; k += 1) {
        const { status, text } = await app.chat(bearer(keys[n]!.secret));
        expect(text).not.toContain('failed attempts');
        statuses.add(status);
      }
      return [...statuses];
    };
    expect(await ask(0, 25)).toEqual([402]);
    expect(await ask(1, 30)).toEqual([200]);
    expect(await ask(1, 25)).toEqual([429]);
    app.upstream.usually(json(500, { error: { message: 'no' } }));
    expect(await ask(2, 25)).toEqual([502]);
    await app.check();
  });
});

describe('a flood of bad credentials', () => {
  it('ends in 429 after so many a minute, and leaves other addresses alone (K-14, H-11)', async () => {
    const clock = manualClock();
    await using app = await small({ clock });
    const guess = () =>
      app.chat({ ...bearer(`ck_${randomBytes(24).toString('hex')}`), ...from('203.0.113.7') });
    for (let n = 0; n < 3; n += 1) expect((await guess()).status).toBe(401);
    for (let n = 0; n < 5; n += 1) {
      const refused = await guess();
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '60']);
    }
    const page = await app.get('/api/v1/keys', { ...BAD, ...from('203.0.113.7') });
    expect([page.status, page.json['code']]).toEqual([429, 'RATE_LIMIT_EXCEEDED']);
    expect((await app.chat({ ...BAD, ...from('203.0.113.8') })).status).toBe(401);
    clock.ms += 60_000;
    expect((await guess()).status).toBe(401);
  });

  it('does not stop a key that worked before, and a new one for a minute at most', async () => {
    const clock = manualClock();
    await using app = await small({ clock });
    const known = await app.key();
    const fresh = await app.key();
    const wallet = await app.evm('1');
    const at = from('2001:db8:1:2::1');
    expect((await app.chat({ ...bearer(known.secret), ...at })).status).toBe(200);
    for (let n = 0; n < 4; n += 1) await app.chat({ ...BAD, ...from(`2001:db8:1:2::${n}`) });
    expect((await app.chat({ ...bearer(known.secret), ...at })).status).toBe(200);
    const locked = await app.chat({ ...bearer(fresh.secret), ...at });
    expect(locked.status).toBe(429);
    expect((await app.chat({ 'sign-in-with-x': await wallet.signIn(), ...at })).status).toBe(429);
    clock.ms += Number(locked.headers.get('retry-after')) * 1_000;
    expect((await app.chat({ ...bearer(fresh.secret), ...at })).status).toBe(200);
    expect((await app.chat({ 'sign-in-with-x': await wallet.signIn(), ...at })).status).toBe(200);
    expect(app.upstream.requests).toHaveLength(4);
    await app.check();
  });

  it('counts headers that are no credential at all, and not what a proxy’s client says of itself', async () => {
    await using app = await small({
      change: (config) => {
        config.server.trustedProxies = [];
      },
    });
    const statuses = [];
    for (let n = 0; n < 5; n += 1) {
      const headers = { authorization: 'Basic nonsense', ...from(`203.0.113.${n}`) };
      statuses.push((await app.chat(headers)).status);
    }
    expect(statuses).toEqual([401, 401, 401, 429, 429]);
  });
});

describe('a flood of requests without anybody who pays', () => {
  it('ends in 429, but whoever pays or has an account is served', async () => {
    const clock = manualClock();
    await using app = await small({ clock });
    const { secret } = await app.key();
    const wallet = await app.evm('1');
    const payer = await app.evm();
    const poor = await app.evm();
    const at = from('203.0.113.7');
    for (let n = 0; n < 2; n += 1) expect((await app.chat(at)).status).toBe(402);
    // A wallet that never paid is nobody yet.
    const asPoor = async () => app.chat({ 'sign-in-with-x': await poor.signIn(), ...at });
    expect((await asPoor()).status).toBe(402);
    const refused = await app.post('/v1/chat/completions', chatBody(), at);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '60']);
    expect(refused.headers.get('payment-required')).toBeNull();
    expect((await asPoor()).status).toBe(429);
    expect((await app.chat({ ...bearer(secret), ...at })).status).toBe(200);
    expect((await app.chat({ 'sign-in-with-x': await wallet.signIn(), ...at })).status).toBe(200);
    const paid = await app.chat({ 'payment-signature': await payer.pay('0.05'), ...at });
    expect(paid.status).toBe(200);
    expect((await app.chat(from('203.0.113.8'))).status).toBe(402);
    clock.ms += 60_000;
    expect((await app.chat(at)).status).toBe(402);
    await app.check();
  });
});
