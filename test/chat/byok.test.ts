import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseUsd } from '../../src/money.ts';
import { listOf, startApp, textOf } from '../support/app.ts';
import {
  bearer,
  type ByokApp,
  newKey,
  ownerOf,
  PATH,
  platformKey,
  startByok,
  stored,
} from '../support/byok.ts';
import { echoKey, goodStream, json, redirect, startUpstream, whole } from '../support/upstream.ts';

/** 20 tokens in at 1 nano-dollar, 5 out at 10. */
const PRICE = 70;
const DOLLAR = 1_000_000_000;
const CHANNELS = [{ vendor: 'acme' }, { vendor: 'other' }, { vendor: null }];

async function lastUsage(app: ByokApp): Promise<Record<string, unknown>> {
  const { usage } = await app.app.store.ledger.read
    .selectFrom('holds')
    .select('usage')
    .where('state', '=', 'captured')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow();
  return JSON.parse(usage ?? '{}') as Record<string, unknown>;
}

describe('a request over a key of its owner', () => {
  it('carries that key to its vendor alone, and costs nothing where there is no fee', async () => {
    await using app = await startByok({ channels: CHANNELS });
    const [mine, others] = [await app.owner(), await app.owner()];
    const key = newKey();
    await stored(mine, 'acme', key);
    const answer = await mine.chat();
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-byok')).toBe('used');
    expect(answer.headers.get('x-request-cost')).toBe('0.00');
    expect(await mine.left()).toBe(DOLLAR);
    expect(await lastUsage(app)).toMatchObject({
      input_tokens: 20,
      output_tokens: 5,
      byok: 'acme',
    });
    for (const model of ['only-c1', 'only-c2']) {
      const elsewhere = await mine.chat({ model });
      expect(elsewhere.status).toBe(200);
      expect(elsewhere.headers.get('x-byok')).toBeNull();
    }
    expect(await mine.left()).toBe(DOLLAR - 2 * PRICE);
    expect((await others.chat()).headers.get('x-byok')).toBeNull();
    expect(app.saw(0)).toEqual([`Bearer ${key}`, `Bearer ${platformKey(0)}`]);
    expect(app.saw(1)).toEqual([`Bearer ${platformKey(1)}`]);
    expect(app.saw(2)).toEqual([`Bearer ${platformKey(2)}`]);
    await app.check();
  });

  it('takes nothing along that stands for the operator', async () => {
    const headers = {
      'x-gateway-token': 'operator-token-1',
      'openai-organization': 'org-operator',
      authorization: 'Bearer operator-header-key',
      'x-feature': 'on',
    };
    await using app = await startByok({ channels: [{ vendor: 'acme', apiKey: null, headers }] });
    const owner = await app.owner();
    const key = newKey();
    await stored(owner, 'acme', key);
    expect((await owner.chat()).status).toBe(200);
    const [request] = app.upstreams[0]!.requests;
    expect(request?.headers).toMatchObject({ authorization: `Bearer ${key}`, 'x-feature': 'on' });
    expect(JSON.stringify(request?.headers)).not.toMatch(/operator/);
  });

  it('is written as its vendor wants it', async () => {
    const headers = { 'X-Api-Key': 'sk-operator-header', 'anthropic-beta': 'feature' };
    await using app = await startByok({
      channels: [{ vendor: 'anthropic', provider: 'anthropic', headers }],
    });
    const owner = await app.owner();
    const key = newKey();
    await stored(owner, 'anthropic', key);
    app.upstreams[0]!.next(
      json(200, {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model: 'up-1',
        content: [{ type: 'text', text: 'Hello.' }],
        stop_reason: 'end_turn',
        usage: { input_tokens: 20, output_tokens: 5 },
      }),
    );
    expect((await owner.chat()).headers.get('x-byok')).toBe('used');
    const [request] = app.upstreams[0]!.requests;
    expect(request?.headers).toMatchObject({ 'x-api-key': key, 'anthropic-beta': 'feature' });
    expect(request?.headers.authorization).toBeUndefined();
    expect(await owner.left()).toBe(DOLLAR);
  });

  it.each([
    ['JSON', false],
    ['a stream', true],
  ])('is charged the fee exactly: %s', async (_name, isStream) => {
    const fee = { percent: '12.5', perRequest: parseUsd('0.000001') };
    await using app = await startByok({ fee });
    const owner = await app.owner();
    await stored(owner, 'acme', newKey());
    app.upstreams[0]!.usually(isStream ? goodStream() : whole());
    const answer = await owner.chat({ stream: isStream, max_tokens: 10 });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-byok')).toBe('used');
    // 70 nano-dollars by 12.5 %, rounded up once, and a flat 1,000.
    expect(await owner.left()).toBe(DOLLAR - 1_009);
    const hold = await app.app.store.ledger.read
      .selectFrom('holds')
      .select(['amount', 'captured', 'price_version'])
      .executeTakeFirstOrThrow();
    expect(hold.captured).toBe(1_009);
    expect(hold.amount).toBeLessThan(1_200);
    expect(hold.price_version).toBe('v1 byok 12.5% 1000');
    await app.check();
  });

  it('follows a reload of the fee', async () => {
    await using app = await startByok({ fee: { percent: '100', perRequest: parseUsd('0') } });
    const owner = await app.owner();
    await stored(owner, 'acme', newKey());
    await owner.chat();
    expect(await owner.left()).toBe(DOLLAR - PRICE);
    await app.app.reload({ ...app.app.config, byok: { percent: '0', perRequest: parseUsd('0') } });
    await owner.chat();
    expect(await owner.left()).toBe(DOLLAR - PRICE);
  });

  it('is refused where the vendor refuses the key, names the vendor, and goes nowhere else', async () => {
    await using app = await startByok({ channels: CHANNELS });
    const owner = await app.owner();
    const key = newKey();
    await stored(owner, 'acme', key);
    const refusals = [401, 402, 403].map((status) => json(status, { error: { message: 'no' } }));
    refusals.push(json(400, [{ error: { message: 'API key not valid. Pass a valid API key.' } }]));
    for (const refusal of [...refusals, ...refusals]) app.upstreams[0]!.next(refusal);
    for (const body of [{}, { stream: true }]) {
      for (const status of [401, 402, 403, 400]) {
        const answer = await owner.chat(body);
        expect(answer.status).toBe(403);
        expect(answer.headers.get('x-byok')).toBe('failed');
        expect(answer.json['error']).toMatchObject({
          code: 'provider_key_refused',
          message: expect.stringContaining('acme refused your stored key') as string,
          details: { vendor: 'acme', status },
        });
      }
    }
    expect(app.saw(0)).toEqual(Array(8).fill(`Bearer ${key}`));
    expect([...app.saw(1), ...app.saw(2)]).toEqual([]);
    expect(await owner.left()).toBe(DOLLAR);
    // What one owner's key is worth says nothing of the channel.
    expect((await (await app.owner()).chat()).status).toBe(200);
    await app.check();
  });

  it('says a refusal in both dialects', async () => {
    await using app = await startByok();
    const owner = await app.owner();
    await stored(owner, 'acme', newKey());
    app.upstreams[0]!.next(json(401, {}));
    const body = { model: 'm1', messages: [{ role: 'user', content: 'Hello?' }] };
    const answer = await app.post('/api/v1/chat/completions', body, bearer(owner.secret));
    expect(answer).toMatchObject({ status: 403, json: { code: 'PROVIDER_KEY_REFUSED' } });
  });

  it('never goes over the operator’s key instead: failing vendor, channel turned off', async () => {
    await using app = await startByok({ channels: CHANNELS });
    const owner = await app.owner();
    await stored(owner, 'acme', newKey());
    app.upstreams[0]!.next(json(500, {}), json(429, {}, { 'retry-after': '60' }));
    expect((await owner.chat()).status).toBe(502);
    expect((await owner.chat()).status).toBe(429);
    const stranger = await (await app.owner()).chat();
    expect([stranger.status, app.saw(0).at(-1)]).toEqual([200, `Bearer ${platformKey(0)}`]);
    const { secret } = await app.app.store.keys.create({ type: 'ADMIN', description: '' });
    const off = await fetch(`${app.url}/admin/api/channels/c0`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json', ...bearer(secret) },
      body: JSON.stringify({ isOn: false, reason: 'test' }),
    });
    expect([off.status, await off.text()]).toEqual([200, expect.any(String)]);
    expect((await owner.chat()).status).toBe(503);
    expect(app.saw(1)).toEqual([]);
    expect((await (await app.owner()).chat()).status).toBe(200);
    expect(app.saw(1)).toEqual([`Bearer ${platformKey(1)}`]);
    expect(await owner.left()).toBe(DOLLAR);
  });

  it('follows no redirect', async () => {
    await using app = await startByok();
    await using elsewhere = await startUpstream();
    const owner = await app.owner();
    await stored(owner, 'acme', newKey());
    app.upstreams[0]!.next(redirect(`${elsewhere.url}/chat/completions`));
    expect((await owner.chat()).status).toBe(502);
    expect(elsewhere.requests).toEqual([]);
    expect(await owner.left()).toBe(DOLLAR);
  });

  it('is its own owner’s: many owners at once, each over his own key', async () => {
    await using app = await startByok();
    const owners = await Promise.all(Array.from({ length: 12 }, () => app.owner()));
    const keys = owners.map(newKey);
    await Promise.all(owners.flatMap((owner, n) => (n % 3 ? stored(owner, 'acme', keys[n]!) : [])));
    const rounds = Array.from({ length: 5 }, () =>
      owners.map((owner, n) => owner.chat({ user: `owner-${n}` })),
    );
    const answers = await Promise.all(rounds.flat());
    expect(answers.map(({ status }) => status)).toEqual(Array(60).fill(200));
    for (const { headers, json: body } of app.upstreams[0]!.requests) {
      const n = Number(String(body['user']).slice('owner-'.length));
      expect(headers.authorization).toBe(`Bearer ${n % 3 ? keys[n] : platformKey(0)}`);
    }
    await app.check();
  });

  it('goes over the new key once it is replaced, and over none once it is removed', async () => {
    await using app = await startByok();
    const owner = await app.owner();
    const [first, second] = [newKey(), newKey()];
    const firstId = await stored(owner, 'acme', first);
    await owner.chat();
    const answer = await owner.store('acme', second);
    expect(answer.json).toMatchObject({ replaces: firstId, last4: second.slice(-4) });
    await owner.chat();
    expect((await owner.remove(firstId)).status).toBe(404);
    expect((await owner.remove(textOf(answer.json['id']))).status).toBe(204);
    expect((await owner.chat()).headers.get('x-byok')).toBeNull();
    expect(app.saw(0)).toEqual([first, second, platformKey(0)].map((key) => `Bearer ${key}`));
  });

  it('needs no balance where it costs nothing', async () => {
    await using app = await startApp();
    const wallet = await app.evm();
    const as = async () => ({ 'sign-in-with-x': await wallet.signIn() });
    expect((await app.chat(await as())).status).toBe(402);
    const key = newKey();
    const answer = await app.post(PATH, { provider: 'demo', apiKey: key }, await as());
    expect([answer.status, answer.json['inUse']]).toEqual([201, true]);
    const chat = await app.chat(await as());
    expect([chat.status, chat.headers.get('x-byok')]).toEqual([200, 'used']);
    expect(app.upstream.requests[0]?.headers.authorization).toBe(`Bearer ${key}`);
    await app.check();
  });

  it('asks the database for nobody’s keys twice, and at all only for those who stored some', async () => {
    await using app = await startByok();
    const [none, one] = [await app.owner(), await app.owner()];
    const key = newKey();
    await stored(one, 'acme', key);
    await one.chat();
    // Behind the vault's back: whoever still read the table would see it.
    await app.app.store.ledger.write(({ db }) => db.deleteFrom('provider_keys').execute());
    await one.chat();
    await none.chat();
    expect(app.saw(0)).toEqual([key, key, platformKey(0)].map((each) => `Bearer ${each}`));
  });
});

describe('a stored key', () => {
  it('is in no answer, log line or file, whatever an upstream echoes (O-6)', async () => {
    await using app = await startByok();
    const owner = await app.owner();
    const key = newKey();
    const said: string[] = [];
    const answer = await owner.store('acme', key);
    said.push(answer.text);
    for (const status of [200, 400, 401, 404, 422, 429, 500]) {
      app.upstreams[0]!.next(echoKey(status), echoKey(status));
      for (const stream of [false, true]) {
        const chat = await owner.chat({ stream });
        said.push(chat.text, JSON.stringify([...chat.headers]));
      }
    }
    said.push((await app.get(PATH, bearer(owner.secret))).text);
    said.push((await owner.store('acme', `${key}\n`)).text, (await owner.store('no', key)).text);
    said.push(
      JSON.stringify(app.logged, (_name, value: unknown) =>
        value instanceof Error ? `${value.stack} ${String(value.cause)}` : value,
      ),
    );
    expect(app.saw(0)).toEqual(Array(14).fill(`Bearer ${key}`));
    for (const text of said) expect(text).not.toContain(key);
    for (const name of await readdir(app.dataDir)) {
      const bytes = await readFile(join(app.dataDir, name)).catch(() => Buffer.alloc(0));
      expect([name, bytes.includes(key)]).toEqual([name, false]);
    }
  });

  it('opens in its own row, for its own account and vendor alone (O-5)', async () => {
    await using app = await startByok({ channels: CHANNELS });
    const [a, b] = [await app.owner(), await app.owner()];
    await stored(a, 'acme', newKey());
    await stored(b, 'acme', newKey());
    await stored(b, 'other', newKey());
    await app.app.store.ledger.write(async ({ db }) => {
      const rows = await db.selectFrom('provider_keys').selectAll().orderBy('id').execute();
      const sealed = rows.map((row) => row.sealed);
      for (const [n, row] of rows.entries()) {
        const moved = { sealed: sealed[(n + 1) % sealed.length]! };
        await db.updateTable('provider_keys').set(moved).where('id', '=', row.id).execute();
      }
    });
    await app.stop();
    await using again = await startByok({ channels: CHANNELS, dataDir: app.dataDir });
    for (const { secret, accountId } of [a, b]) {
      const answer = await ownerOf(again, secret, accountId).chat();
      expect([answer.status, answer.headers.get('x-byok')]).toEqual([403, 'failed']);
      expect(answer.text).toContain('cannot be opened');
    }
    expect(again.upstreams.flatMap(({ requests }) => requests)).toEqual([]);
  });

  it('is there after a restart', async () => {
    await using app = await startByok();
    const owner = await app.owner();
    const key = newKey();
    await stored(owner, 'acme', key);
    await app.stop();
    await using again = await startByok({ dataDir: app.dataDir });
    const same = ownerOf(again, owner.secret, owner.accountId);
    expect((await same.chat()).headers.get('x-byok')).toBe('used');
    expect(again.saw(0)).toEqual([`Bearer ${key}`]);
    const listed = await again.get(PATH, bearer(owner.secret));
    expect(listOf(listed.json['data'])).toHaveLength(1);
  });
});
