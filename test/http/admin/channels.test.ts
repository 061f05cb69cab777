import { describe, expect, it } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { silentLog } from '../../../src/log.ts';
import { RollUp } from '../../../src/usage/roll-up.ts';
import { chatBody, listOf, MODEL_ID, startApp, type TestApp, textOf } from '../../support/app.ts';
import { operator } from '../../support/operator.ts';
import { manualClock } from '../../support/store.ts';
import { json, USAGE, whole } from '../../support/upstream.ts';

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
/** 20 tokens in and 5 out, at a nano-dollar and ten. */
const COST = 20 * 1 + 5 * 10;

/** Two ways to one model: the first one's costs are known, the other one's are not. */
function twoChannels(config: Config): void {
  const [channel] = config.channels;
  config.channels = ['c0', 'c1'].map((id, n) => ({ ...channel!, id, priority: -n }));
  const model = config.models.find(({ id }) => id === MODEL_ID)!;
  const rules = [
    { unit: 'input_token', per: 1_000_000, usd: '0.001' },
    { unit: 'output_token', per: 1_000_000, usd: '0.01' },
  ];
  model.routes = [
    { channel: 'c0', model: 'up', cost: { from: 'rules', prices: { rules } } },
    { channel: 'c1', model: 'up' },
  ];
}

const nano = (usd: unknown) => BigInt(Math.round(Number(textOf(usd as never)) * 1e9));

async function charged(app: TestApp): Promise<bigint> {
  const rows = await app.app.store.ledger.read
    .selectFrom('entries')
    .select('amount')
    .where('kind', '=', 'CHARGE')
    .execute();
  return rows.reduce((sum, { amount }) => sum + BigInt(amount), 0n);
}

describe('what a channel took and cost', () => {
  it('is told to the nano-dollar, before and after it is summed up, and after a restart', async () => {
    await using first = await startApp({ change: twoChannels });
    const boss = await operator(first);
    const { secret } = await first.key('1');
    const broken = json(500, { error: { message: 'no' } });
    first.upstream.next(whole(), broken, whole(), json(429, {}), whole());
    for (let at = 0; at < 3; at += 1) {
      expect((await first.chat(bearer(secret))).status).toBe(200);
    }
    const look = async () => {
      const [c0, c1] = await boss.list('/channels');
      expect(nano(c0!['served']!['revenueUsd']) + nano(c1!['served']!['revenueUsd'])).toBe(
        await charged(first),
      );
      return [c0, c1];
    };
    const before = await look();
    expect(before).toMatchObject([
      {
        served: { requests: 1, uncosted: 0 },
        attempts: { attempts: 3, good: 1, failed: 1, busy: 1 },
      },
      {
        served: { requests: 2, upstreamUsd: '0.00', marginUsd: null, uncosted: 2 },
        attempts: { attempts: 2, good: 2, failed: 0, busy: 0 },
      },
    ]);
    const { revenueUsd, upstreamUsd, marginUsd } = before[0]!['served']!;
    expect(nano(upstreamUsd)).toBe(BigInt(COST));
    expect(nano(marginUsd)).toBe(nano(revenueUsd) - BigInt(COST));
    const { p50, p95 } = before[0]!['latency']!['answerMs']! as unknown as Record<string, number>;
    expect(p50).toBeGreaterThanOrEqual(0);
    expect(p95).toBeGreaterThanOrEqual(p50!);

    await new RollUp({ ledger: first.app.store.ledger, log: silentLog }).run();
    expect(await look()).toEqual(before);
    await first.check();
    await first.stop();
    await using again = await startApp({ dataDir: first.dataDir, change: twoChannels });
    const list = await again.get('/admin/api/channels', bearer(boss.secret));
    const after = listOf(list.json['data']);
    for (const index of [0, 1]) {
      expect(after[index]).toMatchObject({
        served: before[index]!['served'],
        attempts: before[index]!['attempts'],
        latency: { answerMs: { p50: null } },
      });
    }
  });

  it('is what the upstream says, where it says so, and an alarm when that is more than the rules say', async () => {
    await using app = await startApp({
      change: (config) => {
        twoChannels(config);
        config.channels[0]!.reportedCost = 'usage.cost';
      },
    });
    const boss = await operator(app);
    const { secret } = await app.key('1');
    // Eight nano-dollars more than the seventy that the rules come to.
    app.upstream.usually(whole({ usage: { ...USAGE, cost: 7.8e-8 } }));
    for (let at = 0; at < 10; at += 1) await app.chat(bearer(secret));
    const [c0] = await boss.list('/channels');
    expect(c0).toMatchObject({ served: { requests: 10, upstreamUsd: '0.00000078' } });
    expect(c0!['costDrift']).toBeCloseTo(8 / 70);
    expect(app.logged).toContainEqual({
      event: 'cost_drift',
      channel: 'c0',
      model: MODEL_ID,
      percent: 11.4,
    });
    await app.check();
  });

  it('is nothing over a key of the caller’s own', async () => {
    await using app = await startApp({
      change: (config) => {
        twoChannels(config);
        for (const channel of config.channels) channel.vendor = 'openai';
      },
    });
    const boss = await operator(app);
    const { secret } = await app.key('1', 'ADMIN');
    const stored = { provider: 'openai', key: 'sk-0123456789abcdef0123' };
    const headers = bearer(secret);
    expect((await app.post('/api/v1/provider-keys', stored, headers)).status).toBe(201);
    expect((await app.chat(headers)).headers.get('x-byok')).toBe('used');
    const [c0] = await boss.list('/channels');
    expect(c0).toMatchObject({
      served: { requests: 1, revenueUsd: '0.00', upstreamUsd: '0.00', marginUsd: '0.00' },
      attempts: { attempts: 0 },
    });
    await app.check();
  });

  it('is told by day and model beside an invoice, which must be explained (U-19)', async () => {
    const clock = manualClock(Date.UTC(2026, 10, 20, 12));
    await using app = await startApp({ change: twoChannels, clock });
    const boss = await operator(app);
    const { secret } = await app.key('1');
    await app.chat(bearer(secret));
    clock.ms += 86_400_000;
    await app.chat(bearer(secret));
    await app.chat(bearer(secret), { stream: true });
    const path = '/channels/c0/costs?from=2026-11-20&to=2026-11-21';
    const costs = await boss.get(path);
    expect(costs.json).toMatchObject({
      channel: 'c0',
      span: { from: '2026-11-20', to: '2026-11-21' },
      total: { requests: 3, upstreamUsd: '0.00000021' },
      invoice: null,
      data: [
        { date: '2026-11-20', model: MODEL_ID, requests: 1, upstreamUsd: '0.00000007' },
        { date: '2026-11-21', model: MODEL_ID, requests: 2, upstreamUsd: '0.00000014' },
      ],
    });
    // An upstream that charges more than everything that is on record.
    const fake = await boss.get(`${path}&invoiceUsd=0.0000003`);
    expect(fake.json['invoice']).toEqual({
      usd: '0.0000003',
      differenceUsd: '0.00000009',
      differencePercent: 42.85,
      isExplained: false,
    });
    const fair = await boss.get(`${path}&invoiceUsd=0.00000022`);
    expect(fair.json['invoice']).toMatchObject({ isExplained: true, differencePercent: 4.76 });
    expect((await boss.get('/channels/c0/costs?from=2026-11-20&to=2026-11-20')).json).toMatchObject(
      { total: { requests: 1 } },
    );
    await app.check();
  });

  it('is asked for in days that there are, of channels that there are', async () => {
    await using app = await startApp({ change: twoChannels });
    const boss = await operator(app);
    expect((await boss.get('/channels/c9/costs')).status).toBe(404);
    expect((await boss.get('/channels/c0/costs')).json).toMatchObject({ total: { requests: 0 } });
    for (const query of ['from=yesterday', 'from=2026-11-21&to=2026-11-20', 'invoiceUsd=-1']) {
      expect((await boss.get(`/channels/c0/costs?${query}`)).status).toBe(400);
    }
    expect((await boss.get('/channels?from=2020-01-01&to=2026-01-01')).status).toBe(400);
    const { secret } = await app.key('1', 'ADMIN');
    expect((await app.get('/admin/api/channels/c0/costs', bearer(secret))).status).toBe(403);
    expect((await app.post('/v1/chat/completions', chatBody())).status).toBe(402);
  });
});
