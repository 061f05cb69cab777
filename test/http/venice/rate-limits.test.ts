import { describe, expect, it } from 'vitest';
import { startApp } from '../../support/app.ts';
import { documentedApi } from '../../support/openapi.ts';
import { manualClock } from '../../support/store.ts';

const venice = documentedApi('venice/rate-limits.yaml');
const LIMITS = '/api/v1/api_keys/rate_limits';
const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

describe('/api/v1/api_keys/rate_limits', () => {
  it('says what a key may do and has, in Venice’s shape', async () => {
    const clock = manualClock(Date.UTC(2026, 10, 30, 18, 30));
    await using app = await startApp({
      clock,
      change: (config) => {
        const [model] = config.models;
        config.models.push({ ...model!, id: 'sized', tier: 's' }, { ...model!, id: 'hidden' });
        config.limits.rates['text'] = {
          requestsPerMinute: 30,
          requestsPerDay: 0,
          tokensPerMinute: 5_000,
          tokensPerDay: 9_000,
        };
      },
    });
    const { accountId } = await app.key('2.5');
    const { keys } = app.app.store;
    const key = await keys.create({
      accountId,
      type: 'INFERENCE',
      description: '',
      expiresAtMs: Date.UTC(2027, 0, 1),
      rules: { models: ['demo-ch*', 'sized'], rateLimits: { requestsPerMinute: 40 } },
    });
    const answer = await app.get(LIMITS, bearer(key.secret));
    expect([answer.status, answer.json]).toEqual([
      200,
      {
        data: {
          accessPermitted: true,
          apiTier: { id: 'paid', isCharged: true },
          balances: { USD: 2.5, DIEM: 0 },
          keyExpiration: '2027-01-01T00:00:00.000Z',
          nextEpochBegins: '2026-12-01T00:00:00.000Z',
          rateLimits: [
            {
              apiModelId: 'demo-chat',
              rateLimits: [
                { amount: 30, type: 'RPM' },
                { amount: 5_000, type: 'TPM' },
                { amount: 9_000, type: 'TPD' },
              ],
            },
            {
              apiModelId: 'sized',
              rateLimits: [
                { amount: 40, type: 'RPM' },
                { amount: 54_000, type: 'RPD' },
                { amount: 750_000, type: 'TPM' },
              ],
            },
          ],
        },
      },
    ]);
    venice.expectAnswer('get', '/api_keys/rate_limits', 200, answer.json);
    const wallet = await app.evm();
    const nobody = await app.get(LIMITS, { 'sign-in-with-x': await wallet.signIn() });
    expect(nobody.json['data']).toMatchObject({
      accessPermitted: false,
      balances: { USD: 0 },
      keyExpiration: null,
    });
    const stranger = await app.get(LIMITS);
    expect(stranger.status).toBe(401);
    venice.expectAnswer('get', '/api_keys/rate_limits', 401, stranger.json);
    await app.app.store.ledger.write(({ db }) =>
      db.updateTable('accounts').set({ state: 'frozen' }).where('id', '=', accountId).execute(),
    );
    const frozen = await app.get(LIMITS, bearer(key.secret));
    expect(frozen.json['data']).toMatchObject({ accessPermitted: false });
  });

  it('logs who was over a limit, to its account, and to a key what is its own', async () => {
    const clock = manualClock();
    await using app = await startApp({
      clock,
      change: (config) => {
        config.limits.rates['text']!.requestsPerMinute = 1;
      },
    });
    const { accountId, secret } = await app.key('1', 'ADMIN');
    const { keys } = app.app.store;
    const mine = await keys.create({ accountId, type: 'INFERENCE', description: '' });
    const child = await keys.create({ parentId: mine.id, type: 'INFERENCE', description: '' });
    const other = await keys.create({ accountId, type: 'INFERENCE', description: '' });
    await app.chat(bearer(child.secret));
    await app.chat(bearer(child.secret));
    clock.ms += 1_000;
    await app.chat(bearer(other.secret));
    await app.chat(bearer(other.secret));
    for (let n = 0; n < 20; n += 1) await app.chat(bearer(other.secret), { model: 'none' });
    await app.chat(bearer(other.secret));
    const log = async (of: string) => {
      const answer = await app.get(`${LIMITS}/log`, bearer(of));
      expect(answer.status).toBe(200);
      venice.expectAnswer('get', '/api_keys/rate_limits/log', 200, answer.json);
      return answer.json;
    };
    const line = (apiKeyId: string, modelId: string, rateLimitType: string, atMs: number) => ({
      apiKeyId,
      modelId,
      rateLimitTier: 'paid',
      rateLimitType,
      timestamp: new Date(atMs).toISOString(),
    });
    const ofChild = line(child.id, 'demo-chat', 'RPM', clock.ms - 1_000);
    const ofOther = [
      line(other.id, '', 'FAILED_REQUESTS', clock.ms),
      line(other.id, 'demo-chat', 'RPM', clock.ms),
    ];
    expect(await log(secret)).toEqual({ object: 'list', data: [...ofOther, ofChild] });
    expect(await log(mine.secret)).toEqual({ object: 'list', data: [ofChild] });
    expect(await log(child.secret)).toEqual({ object: 'list', data: [ofChild] });
    expect(await log(other.secret)).toEqual({ object: 'list', data: ofOther });
    const stranger = await app.key();
    expect(await log(stranger.secret)).toEqual({ object: 'list', data: [] });
  });
});
