import { describe, expect, it } from 'vitest';
import { listOf, textOf, startApp, type TestApp } from '../../support/app.ts';
import { documentedApi } from '../../support/openapi.ts';
import { manualClock } from '../../support/store.ts';

const PATH = '/api/v1/api_keys';
const listing = documentedApi('venice/list-api-keys.yaml');
const creating = documentedApi('venice/create-api-key.yaml');

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

async function withAdmin(options: Parameters<typeof startApp>[0] = {}) {
  const app = await startApp(options);
  const { secret, accountId } = await app.key('5', 'ADMIN');
  return { app, admin: bearer(secret), accountId };
}

async function ask(app: TestApp, method: string, path: string, body: unknown, headers: object) {
  const response = await fetch(app.url + path, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, json: (await response.json()) as Record<string, never> };
}

const FULL = {
  apiKeyType: 'INFERENCE',
  description: 'Example API Key',
  consumptionLimit: { usd: 50, diem: 10, vcu: 30 },
  limitPeriod: 'MONTH',
  expiresAt: '2027-10-01T12:00:00.000Z',
};

describe('/api/v1/api_keys', () => {
  it('answers as the documents of Venice have it, created and listed', async () => {
    const { app, admin } = await withAdmin({ clock: manualClock() });
    await using _app = app;
    for (const body of [
      FULL,
      { apiKeyType: 'ADMIN', description: '' },
      { apiKeyType: 'INFERENCE', description: 'no end', expiresAt: '' },
      { apiKeyType: 'INFERENCE', description: 'a day', expiresAt: '2027-02-28' },
      {
        apiKeyType: 'INFERENCE',
        description: 'nulls',
        consumptionLimit: { usd: null, diem: null },
      },
    ]) {
      expect(creating.allowsBody('post', '/api_keys', body)).toBe(true);
      const made = await app.post(PATH, body, admin);
      expect(made.status).toBe(200);
      creating.expectAnswer('post', '/api_keys', 200, made.json);
    }
    const listed = await app.get(PATH, admin);
    listing.expectAnswer('get', '/api_keys', 200, listed.json);
    const keys = listOf(listed.json['data']);
    expect(keys).toHaveLength(6);
    const full = keys.find((key) => textOf(key['description']) === FULL.description)!;
    expect(full).toMatchObject({
      apiKeyType: 'INFERENCE',
      consumptionLimits: { usd: 50, diem: 10, vcu: 30 },
      limitPeriod: 'MONTH',
      expiresAt: FULL.expiresAt,
      currentPeriodUsage: { usd: '0.00', diem: '0' },
      usage: { trailingSevenDays: { usd: '0.00', diem: '0', vcu: '0' } },
      lastUsedAt: null,
    });
    const unlimited = keys.find((key) => textOf(key['description']) === 'no end')!;
    expect(unlimited).not.toHaveProperty('currentPeriodUsage');
    expect(unlimited).toMatchObject({
      consumptionLimits: { usd: null, diem: null, vcu: null },
      limitPeriod: 'EPOCH',
      expiresAt: null,
    });
  });

  it('shows a key once, and its last six characters after that', async () => {
    const { app, admin } = await withAdmin();
    await using _app = app;
    const made = await app.post(PATH, FULL, admin);
    const secret = textOf(made.json['data']?.['apiKey']);
    expect(secret).toMatch(/^ck_/);
    const listed = await app.get(PATH, admin);
    expect(listed.text).not.toContain(secret);
    expect(listed.text).toContain(`"last6Chars":"${secret.slice(-6)}"`);
    const one = await app.get(`${PATH}/${textOf(made.json['data']?.['id'])}`, admin);
    expect(one.text).not.toContain(secret);
    expect(one.json['data']).toMatchObject({ last6Chars: secret.slice(-6) });
  });

  it('refuses what the documents refuse, naming the field in a tree of _errors', async () => {
    const { app, admin } = await withAdmin();
    await using _app = app;
    const wrong: [object, string][] = [
      [{ description: 'x' }, 'apiKeyType'],
      [{ apiKeyType: 'INFERENCE' }, 'description'],
      [{ ...FULL, apiKeyType: 'ROOT' }, 'apiKeyType'],
      [{ ...FULL, description: 'x'.repeat(65) }, 'description'],
      [{ ...FULL, description: 5 }, 'description'],
      [{ ...FULL, limitPeriod: 'WEEK' }, 'limitPeriod'],
      [{ ...FULL, expiresAt: 'tomorrow' }, 'expiresAt'],
      [{ ...FULL, expiresAt: '2027-1-1' }, 'expiresAt'],
      [{ ...FULL, expiresAt: '2027-10-01T12:00:00+02:00' }, 'expiresAt'],
      [{ ...FULL, consumptionLimit: { usd: -1 } }, 'consumptionLimit'],
      [{ ...FULL, consumptionLimit: { usd: '5' } }, 'consumptionLimit'],
      [{ ...FULL, consumptionLimit: { usd: 1e10 } }, 'consumptionLimit'],
      [{ ...FULL, consumptionLimit: null }, 'consumptionLimit'],
    ];
    for (const [body, field] of wrong) {
      expect(creating.allowsBody('post', '/api_keys', body)).toBe(false);
      const answer = await app.post(PATH, body, admin);
      expect([answer.status, field]).toEqual([400, field]);
      creating.expectAnswer('post', '/api_keys', 400, answer.json);
      expect(answer.json['details']).toHaveProperty(field);
      expect(answer.text).toContain(field);
    }
    for (const extra of ['models', 'isAdmin', 'accountId', 'parentId', 'balance', 'modelPrivacy']) {
      const answer = await app.post(PATH, { ...FULL, [extra]: 'x' }, admin);
      expect([answer.status, extra]).toEqual([400, extra]);
      expect(answer.text).toContain(extra);
      creating.expectAnswer('post', '/api_keys', 400, answer.json);
    }
    const past = await app.post(PATH, { ...FULL, expiresAt: '2020-01-01' }, admin);
    expect(past.status).toBe(400);
    expect(past.json['details']).toHaveProperty('expiresAt');
    const noDate = await app.post(PATH, { ...FULL, expiresAt: '2027-02-30' }, admin);
    expect(noDate.status).toBe(400);
    expect((await app.get(PATH, admin)).json['data']).toHaveLength(1);
  });

  it('is for those who are signed in: 401 without, as the documents have it', async () => {
    await using app = await startApp();
    for (const headers of [{}, bearer('ck_nonsense'), { 'x-api-key': 'x' }]) {
      const listed = await app.get(PATH, headers);
      expect(listed.status).toBe(401);
      listing.expectAnswer('get', '/api_keys', 401, listed.json);
      const made = await app.post(PATH, FULL, headers);
      expect(made.status).toBe(401);
      creating.expectAnswer('post', '/api_keys', 401, made.json);
    }
  });

  it('makes 20 keys a minute and owner at most, and 500 in all', async () => {
    const clock = manualClock();
    const { app, admin } = await withAdmin({ clock });
    await using _app = app;
    clock.ms += 61_000;
    for (let at = 0; at < 20; at += 1) {
      expect((await app.post(PATH, FULL, admin)).status).toBe(200);
    }
    const over = await app.post(PATH, FULL, admin);
    expect(over.status).toBe(429);
    expect(over.headers.get('retry-after')).toBe('60');
    creating.expectAnswer('post', '/api_keys', 429, over.json);
    for (let at = 0; at < 24; at += 1) {
      clock.ms += 61_000;
      const made = await Promise.all(Array.from({ length: 20 }, () => app.post(PATH, FULL, admin)));
      const good = made.filter(({ status }) => status === 200).length;
      // One is there already: the ADMIN key itself.
      expect(good).toBe(at === 23 ? 19 : 20);
    }
    expect(listOf((await app.get(PATH, admin)).json['data'])).toHaveLength(500);
  });

  it('changes and revokes', async () => {
    const { app, admin } = await withAdmin();
    await using _app = app;
    const made = await app.post(PATH, FULL, admin);
    const { id, apiKey } = made.json['data'] as unknown as { id: string; apiKey: string };
    const changed = await ask(
      app,
      'PATCH',
      PATH,
      {
        id,
        description: 'other',
        consumptionLimit: { usd: 7 },
        limitPeriod: 'EPOCH',
        expiresAt: '',
      },
      admin,
    );
    expect(changed.status).toBe(200);
    expect(changed.json).toMatchObject({
      success: true,
      data: {
        id,
        description: 'other',
        consumptionLimits: { usd: 7, diem: 10, vcu: 30 },
        limitPeriod: 'EPOCH',
        expiresAt: null,
      },
    });
    expect((await app.chat(bearer(apiKey))).status).toBe(200);
    expect((await ask(app, 'DELETE', `${PATH}?id=${id}`, undefined, admin)).json).toEqual({
      success: true,
    });
    expect((await app.chat(bearer(apiKey))).status).toBe(401);
    const listed = await app.get(PATH, admin);
    expect(listed.text).not.toContain(id);
    expect((await ask(app, 'DELETE', PATH, undefined, admin)).status).toBe(400);
    expect((await ask(app, 'DELETE', `${PATH}?id=key_none`, undefined, admin)).status).toBe(404);
    expect((await ask(app, 'PATCH', PATH, { id, description: 'x' }, admin)).status).toBe(404);
    expect((await ask(app, 'PATCH', PATH, { description: 'x' }, admin)).status).toBe(400);
  });

  it('tells what a key has spent, in its period and in seven days, and when it was last used', async () => {
    const clock = manualClock(Date.UTC(2026, 1, 27, 12));
    const { app, admin } = await withAdmin({ clock });
    await using _app = app;
    const made = await app.post(PATH, { ...FULL, limitPeriod: 'EPOCH' }, admin);
    const { id, apiKey } = made.json['data'] as unknown as { id: string; apiKey: string };
    const costs: number[] = [];
    for (let day = 0; day < 9; day += 1) {
      const answer = await app.chat(bearer(apiKey));
      costs.push(Number(answer.headers.get('x-request-cost')));
      if (day < 8) clock.ms += 86_400_000;
    }
    const { data } = (await app.get(`${PATH}/${id}`, admin)).json;
    const sum = (list: number[]) => Number(list.reduce((a, b) => a + b, 0).toFixed(9));
    expect(Number(data?.['usage']?.['trailingSevenDays']?.['usd'])).toBe(sum(costs.slice(-7)));
    expect(Number(data?.['currentPeriodUsage']?.['usd'])).toBe(costs.at(-1));
    const lastUsed = Date.parse(textOf(data?.['lastUsedAt']));
    expect(clock.ms - lastUsed).toBeLessThan(60_000);
    await app.check();
  });
});
