import { rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { utcDay } from '../../../src/clock.ts';
import { SYSTEM } from '../../../src/ledger/ledger.ts';
import { silentLog } from '../../../src/log.ts';
import { nanoUsd } from '../../../src/money.ts';
import { RollUp } from '../../../src/usage/roll-up.ts';
import { listOf, MODEL_ID, startApp, type TestApp, textOf } from '../../support/app.ts';
import {
  bearer,
  charges,
  chat,
  type Customer,
  customer,
  nano,
  signedChat,
  sum,
} from '../../support/billing.ts';
import { documentedApi } from '../../support/openapi.ts';
import { manualClock } from '../../support/store.ts';

const API = '/api/v1';
const venice = documentedApi('venice/billing.yaml');
const START = Date.UTC(2026, 1, 27, 12);
const DAY_MS = 86_400_000;

/** As Venice's document has it, and nothing that our own, stricter one has not. */
function expectAsDescribed(app: TestApp, path: string, status: number, body: unknown): void {
  venice.expectAnswer('get', path, status, body);
  if (status !== 200) return;
  const route = app.app.routes.find((each) => each.path === API + path);
  const described = route!.operation!.answer as z.ZodType;
  expect(described.safeParse(body).error?.issues ?? []).toEqual([]);
}

const rollUp = (app: TestApp) => new RollUp({ ledger: app.app.store.ledger, log: silentLog });

/** Chats of every kind of caller, on days around a month's end. */
async function threeDays(app: TestApp, clock: { ms: number }): Promise<Customer> {
  const owner = await customer(app);
  for (let day = 0; day < 3; day += 1) {
    const usage = (tokens: number) => ({
      prompt_tokens: tokens + day,
      completion_tokens: tokens + 1,
      prompt_tokens_details: { cached_tokens: tokens },
    });
    await chat(app, bearer(owner.parent.secret), usage(10));
    await chat(app, bearer(owner.child.secret), usage(200));
    await chat(app, bearer(owner.other.secret), usage(3_000));
    await signedChat(app, owner.wallet);
    if (day === 0) await rollUp(app).run();
    if (day === 1) await rollUp(app).step(3);
    if (day < 2) clock.ms += DAY_MS;
  }
  return owner;
}

describe('/api/v1/usage', () => {
  it('tells requests, tokens and cost by model, exact to the ledger over a month’s end', async () => {
    const clock = manualClock(START);
    await using app = await startApp({ clock });
    const owner = await threeDays(app, clock);
    const admin = bearer(owner.admin.secret);
    const all = await charges(app, owner.accountId);
    expect(all).toHaveLength(12);
    const { status, json } = await app.get(`${API}/usage?from=2026-02-27&to=2026-03-01`, admin);
    expect(status).toBe(200);
    expect(json).toMatchObject({
      object: 'usage',
      from: '2026-02-27',
      to: '2026-03-01',
      currency: 'USD',
      total: {
        requests: 12,
        inputTokens: 3 * 3_217 + 9,
        outputTokens: 3 * 3_216,
        cachedInputTokens: 3 * 3_210,
        totalTokens: 3 * 6_433 + 9,
        estimatedRequests: 0,
      },
      data: [{ model: MODEL_ID, requests: 12 }],
    });
    expect(nano(json['total']?.['cost'])).toBe(sum(all.map(({ amount }) => amount)));
    for (const date of ['2026-02-27', '2026-02-28', '2026-03-01']) {
      const one = await app.get(`${API}/usage?from=${date}&to=${date}`, admin);
      const ofDay = all.filter(({ at }) => utcDay(at) === date).map(({ amount }) => amount);
      expect(ofDay).toHaveLength(4);
      expect(nano(one.json['total']?.['cost'])).toBe(sum(ofDay));
    }
    const march = await app.get(`${API}/usage?from=2026-03-02&to=2026-03-21`, admin);
    expect(march.json).toMatchObject({ total: { requests: 0, cost: '0.00' }, data: [] });
    await app.check();
  });

  it('has an INFERENCE key see itself and its children, an ADMIN key and the wallet the account', async () => {
    const clock = manualClock(START);
    await using app = await startApp({ clock });
    const owner = await threeDays(app, clock);
    const stranger = await customer(app);
    await chat(app, bearer(stranger.parent.secret));
    const requests = async (headers: Record<string, string>) => {
      const { status, json } = await app.get(`${API}/usage`, headers);
      expect(status).toBe(200);
      return json['total']?.['requests'];
    };
    const siwx = async (who: Customer['wallet']) => ({ 'sign-in-with-x': await who.signIn() });
    for (const isRolled of [false, true]) {
      if (isRolled) await rollUp(app).run();
      expect(await requests(bearer(owner.parent.secret))).toBe(6);
      expect(await requests(bearer(owner.child.secret))).toBe(3);
      expect(await requests(bearer(owner.other.secret))).toBe(3);
      expect(await requests(bearer(owner.admin.secret))).toBe(12);
      expect(await requests(await siwx(owner.wallet))).toBe(12);
      expect(await requests(bearer(stranger.parent.secret))).toBe(1);
      expect(await requests(bearer(stranger.other.secret))).toBe(0);
      expect(await requests(await siwx(await app.evm()))).toBe(0);
    }
    await app.check();
  });

  it('says what is wrong with its dates', async () => {
    await using app = await startApp({ clock: manualClock(START) });
    const { secret } = await app.key();
    const wrong: [string, string][] = [
      ['from=2026-02-30', 'from'],
      ['from=yesterday', 'from'],
      ['to=2026-2-1', 'to'],
      ['from=2026-03-01&to=2026-02-01', 'from'],
      ['from=2024-01-01&to=2026-01-01', 'from'],
      ['from=2026-01-01&from=2026-01-02', 'from'],
    ];
    for (const [query, field] of wrong) {
      const { status, json } = await app.get(`${API}/usage?${query}`, bearer(secret));
      expect([query, status]).toEqual([query, 400]);
      expect(json['details']).toHaveProperty(field);
      expect(textOf(json['error'])).toContain(field);
    }
    expect((await app.get(`${API}/usage?until=x`, bearer(secret))).status).toBe(400);
  });
});

describe('/api/v1/billing', () => {
  it('tells the balance as Venice does', async () => {
    await using app = await startApp({ clock: manualClock(START) });
    const owner = await customer(app, '5');
    const { json } = await app.get(`${API}/billing/balance`, bearer(owner.admin.secret));
    expectAsDescribed(app, '/billing/balance', 200, json);
    expect(json).toEqual({
      canConsume: true,
      consumptionCurrency: 'USD',
      balances: { diem: null, usd: 5 },
      diemEpochAllocation: 0,
    });
    const nobody = await app.evm();
    const poor = await app.get(`${API}/billing/balance`, {
      'sign-in-with-x': await nobody.signIn(),
    });
    expectAsDescribed(app, '/billing/balance', 200, poor.json);
    expect(poor.json).toMatchObject({ canConsume: false, consumptionCurrency: null });
    for (const [headers, status] of [
      [{}, 401],
      [bearer('ck_wrong'), 401],
      [bearer(owner.parent.secret), 403],
    ] as const) {
      for (const page of ['balance', 'usage-history', 'usage-analytics']) {
        const refused = await app.get(`${API}/billing/${page}`, headers);
        expect(refused.status).toBe(status);
        venice.expectAnswer('get', `/billing/${page}`, 401, refused.json);
      }
    }
  });

  it('answers the old list of entries with 410 and its successor, to anybody', async () => {
    await using app = await startApp();
    const gone = await app.get(`${API}/billing/usage?limit=200&page=2`);
    expect(gone.status).toBe(410);
    expectAsDescribed(app, '/billing/usage', 410, gone.json);
    expect(textOf(gone.json['error'])).toMatch(
      /usage-history.*pageSize.*nextCursor.*startTimestamp/,
    );
    expect(gone.headers.get('deprecation')).toBe('@1783555200');
    expect(gone.headers.get('sunset')).toBe('Wed, 16 Sep 2026 00:00:00 GMT');
    expect(gone.headers.get('link')).toBe(
      '</api/v1/billing/usage-history>; rel="successor-version"',
    );
  });

  it('breaks usage down by day, model and key, exact to the ledger', async () => {
    const clock = manualClock(START);
    await using app = await startApp({ clock });
    const owner = await threeDays(app, clock);
    const admin = bearer(owner.admin.secret);
    const all = await charges(app, owner.accountId);
    const total = sum(all.map(({ amount }) => amount));
    const { json } = await app.get(`${API}/billing/usage-analytics`, admin);
    expectAsDescribed(app, '/billing/usage-analytics', 200, json);
    expect(textOf(json['lookback'])).toBe('7d');
    const byDate = listOf(json['byDate']);
    expect(byDate.map(({ date }) => date)).toEqual(
      Array.from({ length: 7 }, (_each, at) => utcDay(clock.ms - at * DAY_MS)),
    );
    for (const { date, USD } of byDate) {
      const ofDay = all.filter(({ at }) => utcDay(at) === textOf(date));
      expect(nano(USD)).toBe(sum(ofDay.map(({ amount }) => amount)));
    }
    expect(listOf(json['byModel'])).toMatchObject([
      { modelName: MODEL_ID, unitType: 'tokens', modelType: 'LLM', totalDiem: 0 },
    ]);
    expect(nano(listOf(json['byModel'])[0]!['totalUsd'])).toBe(total);
    const byKey = listOf(json['byKey']);
    expect(byKey.map(({ apiKeyId }) => apiKeyId)).toEqual([
      owner.other.id,
      owner.child.id,
      owner.parent.id,
      null,
    ]);
    expect(sum(byKey.map(({ totalUsd }) => nano(totalUsd)))).toBe(total);
    expect(sum(byKey.map(({ totalUnits }) => Number(totalUnits)))).toBe(3 * 6_433 + 9);
    // Two keys have one description, and one is called as the charts' own member.
    const names = ['date', 'agent', `agent (${owner.parent.id})`, 'Wallet'];
    names[0] = `date (${owner.other.id})`;
    expect(json['topKeyNames']).toEqual(names);
    const charts = listOf(json['byKeyDaily']);
    expect(charts).toHaveLength(7);
    for (const day of charts) {
      expect(Object.keys(day).toSorted()).toEqual(['date', ...names].toSorted());
      const own = byDate.find(({ date }) => textOf(date) === utcDay(Number(day['date'])))!;
      expect(sum(names.map((name) => nano(day[name])))).toBe(nano(own['USD']));
    }
    expect(listOf(json['byModelDaily']).map((day) => nano(day[MODEL_ID]))).toEqual(
      byDate.map(({ USD }) => nano(USD)),
    );
    await app.check();
  });

  it('takes a lookback or two dates, and says which of them is wrong', async () => {
    const clock = manualClock(START);
    await using app = await startApp({ clock });
    const owner = await threeDays(app, clock);
    const admin = bearer(owner.admin.secret);
    const ask = (query: string) => app.get(`${API}/billing/usage-analytics?${query}`, admin);
    const one = await ask('startDate=2026-02-27&endDate=2026-02-27');
    expectAsDescribed(app, '/billing/usage-analytics', 200, one.json);
    expect(textOf(one.json['lookback'])).toBe('2026-02-27:2026-02-27');
    expect(listOf(one.json['byDate'])).toHaveLength(1);
    const longest = await ask('lookback=90d');
    expectAsDescribed(app, '/billing/usage-analytics', 200, longest.json);
    expect(listOf(longest.json['byDate'])).toHaveLength(90);
    const nobody = await app.evm();
    const empty = await app.get(`${API}/billing/usage-analytics`, {
      'sign-in-with-x': await nobody.signIn(),
    });
    expectAsDescribed(app, '/billing/usage-analytics', 200, empty.json);
    const wrong: [string, string][] = [
      ['lookback=91d', 'lookback'],
      ['lookback=0d', 'lookback'],
      ['lookback=7', 'lookback'],
      ['startDate=2026-02-27', 'endDate'],
      ['endDate=2026-02-27', 'startDate'],
      ['startDate=2026-02-28&endDate=2026-02-27', 'startDate'],
      ['startDate=2025-02-28&endDate=2026-02-27', 'startDate'],
      ['startDate=2026-02-29&endDate=2026-03-01', 'startDate'],
      ['lookback=7d&startDate=2026-02-27&endDate=2026-02-27', 'lookback'],
    ];
    for (const [query, field] of wrong) {
      const { status, json } = await ask(query);
      expect([query, status]).toEqual([query, 400]);
      expectAsDescribed(app, '/billing/usage-analytics', 400, json);
      expect(json['details']).toHaveProperty(field);
    }
  });

  it('forgets nothing when the server stops between a charge and its roll-up', async () => {
    const clock = manualClock(START);
    const first = await startApp({ clock });
    const owner = await threeDays(first, clock);
    const before = await charges(first, owner.accountId);
    await first.stop();
    const rolled = before.length;
    const again = await startApp({ clock, dataDir: first.dataDir });
    const admin = bearer(owner.admin.secret);
    const cost = async () => nano((await again.get(`${API}/usage`, admin)).json['total']?.['cost']);
    const total = sum(before.map(({ amount }) => amount));
    expect(await cost()).toBe(total);
    await chat(again, bearer(owner.child.secret));
    await rollUp(again).step(1);
    const after = await charges(again, owner.accountId);
    expect(after).toHaveLength(rolled + 1);
    expect(await cost()).toBe(sum(after.map(({ amount }) => amount)));
    await rollUp(again).run();
    expect(await cost()).toBe(sum(after.map(({ amount }) => amount)));
    await again.check();
    await again.stop();
    await rm(first.dataDir, { recursive: true, force: true });
  });

  it('takes refunds off what was used, and lists them', async () => {
    await using app = await startApp({ clock: manualClock(START) });
    const owner = await customer(app);
    const admin = bearer(owner.admin.secret);
    await chat(app, bearer(owner.parent.secret), { prompt_tokens: 900, completion_tokens: 900 });
    const [charge] = await charges(app, owner.accountId);
    const back = nanoUsd(charge!.amount - 1);
    await app.app.store.ledger.write(({ post }) =>
      post({
        kind: 'REFUND',
        ref: 'refund-1',
        debit: SYSTEM.revenue,
        credit: owner.accountId,
        amount: back,
        model: MODEL_ID,
      }),
    );
    for (const isRolled of [false, true]) {
      if (isRolled) await rollUp(app).run();
      const used = await app.get(`${API}/usage`, admin);
      expect(used.json['total']).toMatchObject({ requests: 1, cost: '0.000000001' });
      const { json } = await app.get(`${API}/billing/usage-history`, admin);
      expectAsDescribed(app, '/billing/usage-history', 200, json);
      const rows = listOf(json['data']);
      expect(rows.map(({ amount }) => nano(amount))).toEqual([-charge!.amount, back]);
      expect(rows[1]).toMatchObject({ notes: 'Refund', inferenceDetails: null });
    }
    await app.check();
  });
});
