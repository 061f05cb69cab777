import { createPrivateKey, sign } from 'node:crypto';
import bs58 from 'bs58';
import nacl from 'tweetnacl';
import { privateKeyToAccount, generatePrivateKey } from 'viem/accounts';
import { describe, expect, it } from 'vitest';
import { chatBody, listOf, textOf, type Json, startApp, type TestApp } from '../../support/app.ts';
import { manualClock } from '../../support/store.ts';

const KEYS = '/api/v1/keys';
const WEB3 = '/api/v1/api_keys/generate_web3_key';
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

async function send(app: TestApp, method: string, path: string, headers: object, body?: unknown) {
  const response = await fetch(app.url + path, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, text, json: (text ? JSON.parse(text) : {}) as Json };
}

/** A key of a wallet that has money, with these fields. */
async function mint(app: TestApp, by: object, fields: object = {}) {
  const made = await send(app, 'POST', KEYS, by, fields);
  expect([made.status, made.text]).toEqual([201, made.text]);
  return { id: textOf(made.json['id']), secret: textOf(made.json['key']), json: made.json };
}

async function walletKey(app: TestApp, fields: object = {}, usd = '5') {
  const wallet = await app.evm(usd);
  return mint(app, { 'sign-in-with-x': await wallet.signIn() }, fields);
}

describe('/api/v1/keys', () => {
  it('makes, lists masked, changes and revokes keys of whoever is signed in', async () => {
    await using app = await startApp();
    const wallet = await app.evm('5');
    const as = async () => ({ 'sign-in-with-x': await wallet.signIn() });
    const made = await mint(app, await as(), {
      label: 'agent',
      limit: { usd: 2, period: 'MONTH' },
      models: ['demo-*'],
      budgetMode: 'refuse',
    });
    expect(made.json).toMatchObject({
      label: 'agent',
      type: 'INFERENCE',
      status: 'active',
      limit: { usd: 2, period: 'MONTH', remaining: '2.00' },
      models: ['demo-*'],
      budgetMode: 'refuse',
      parentId: null,
    });
    expect((await app.chat(bearer(made.secret))).status).toBe(200);
    const listed = await send(app, 'GET', KEYS, await as());
    expect(listed.status).toBe(200);
    expect(listed.text).not.toContain(made.secret);
    expect(listOf(listed.json['data'])).toHaveLength(1);
    const changed = await send(app, 'PATCH', `${KEYS}/${made.id}`, await as(), {
      limit: null,
      models: null,
      label: 'other',
    });
    expect(changed.status).toBe(200);
    expect(changed.json).toMatchObject({ label: 'other', limit: null, budgetMode: 'refuse' });
    expect(changed.json).not.toHaveProperty('models');
    expect((await send(app, 'DELETE', `${KEYS}/${made.id}`, await as())).status).toBe(204);
    expect((await app.chat(bearer(made.secret))).status).toBe(401);
    await app.check();
  });

  it('holds a key to its models, modalities, addresses and ceiling of one request', async () => {
    await using app = await startApp({
      change: (config) => {
        config.server.trustedProxies = ['127.0.0.0/8'];
      },
    });
    const chat = async (fields: object, more: object = {}, headers: object = {}) => {
      const { secret } = await walletKey(app, fields);
      const answer = await app.post('/v1/chat/completions', chatBody(more), {
        ...bearer(secret),
        ...headers,
      });
      return answer.status;
    };
    expect(await chat({ models: ['demo-chat'] })).toBe(200);
    expect(await chat({ models: ['gpt-*', '*-chat'] })).toBe(200);
    expect(await chat({ models: ['gpt-*'] })).toBe(403);
    expect(await chat({ models: [] })).toBe(403);
    expect(await chat({ modalities: ['image'] })).toBe(403);
    expect(await chat({ modalities: ['text', 'image'] })).toBe(200);
    const from = (ip: string) => ({ 'x-forwarded-for': ip });
    expect(await chat({ ips: ['10.1.0.0/16'] }, {}, from('10.1.2.3'))).toBe(200);
    expect(await chat({ ips: ['10.1.0.0/16'] }, {}, from('::ffff:10.1.2.3'))).toBe(200);
    expect(await chat({ ips: ['10.1.0.0/16'] }, {}, from('10.2.2.3'))).toBe(403);
    expect(await chat({ ips: ['2001:db8::/32'] }, {}, from('2001:db8::1'))).toBe(200);
    expect(await chat({ ips: ['2001:db8::/32'] }, {}, from('10.1.2.3, 2001:db9::1'))).toBe(403);
    expect(await chat({ maxRequestUsd: '0.000001' })).toBe(400);
    expect(await chat({ maxRequestUsd: '1' })).toBe(200);
    expect(await chat({ groups: ['vip'] })).toBe(503);
    await app.check();
  });

  it('believes nobody about an address without trusted proxies', async () => {
    await using app = await startApp();
    const { secret } = await walletKey(app, { ips: ['10.1.0.0/16'] });
    const answer = await app.post('/v1/chat/completions', chatBody(), {
      ...bearer(secret),
      'x-forwarded-for': '10.1.2.3',
    });
    expect(answer.status).toBe(403);
  });

  it('says the default budget mode of a key where the request says none', async () => {
    await using app = await startApp();
    const wallet = await app.evm('0.005');
    const as = { 'sign-in-with-x': await wallet.signIn() };
    const { secret } = await mint(app, as, { budgetMode: 'refuse' });
    // More than the balance covers, by less than half.
    const body = { max_tokens: 4_096 };
    expect((await app.chat(bearer(secret), body)).status).toBe(402);
    const clamped = await app.chat({ ...bearer(secret), 'x-budget-mode': 'clamp' }, body);
    expect(clamped.status).toBe(200);
    await app.check();
  });

  it('names the field that is wrong', async () => {
    await using app = await startApp();
    const wallet = await app.evm('5');
    const wrong: [object, string][] = [
      [{ ips: ['10.0.0.0/33'] }, 'ips'],
      [{ ips: ['::ffff:10.0.0.0/104'] }, 'ips'],
      [{ ips: ['example.com'] }, 'ips'],
      [{ modalities: ['smell'] }, 'modalities'],
      [{ models: [5] }, 'models'],
      [{ callbackUrl: 'javascript:alert(1)' }, 'callbackUrl'],
      [{ maxRequestUsd: '1e3' }, 'maxRequestUsd'],
      [{ maxRequestUsd: 1 }, 'maxRequestUsd'],
      [{ limit: { usd: -1 } }, 'limit'],
      [{ limit: { usd: 1, period: 'WEEK' } }, 'limit'],
      [{ rateLimits: { requestsPerMinute: 1.5 } }, 'rateLimits'],
      [{ budgetMode: 'hope' }, 'budgetMode'],
      [{ parentId: 'key_x' }, 'parentId'],
      [{ accountId: 'acc_house' }, 'accountId'],
      [{ is_admin: true }, 'is_admin'],
    ];
    for (const [body, field] of wrong) {
      const answer = await send(
        app,
        'POST',
        KEYS,
        { 'sign-in-with-x': await wallet.signIn() },
        body,
      );
      expect([answer.status, field]).toEqual([400, field]);
      expect(answer.text).toContain(field);
    }
  });
});

describe('keys that come from keys', () => {
  it('narrows: what a child may do is within what its parent may (K-12)', async () => {
    await using app = await startApp();
    const parent = await walletKey(app, {
      limit: { usd: 2 },
      models: ['demo-*'],
      ips: ['127.0.0.0/8'],
      modalities: ['text'],
      groups: ['default'],
      maxRequestUsd: '0.5',
      rateLimits: { requestsPerMinute: 100 },
      expiresAt: '2027-06-01',
    });
    const by = bearer(parent.secret);
    const wider: [object, string][] = [
      [{ limit: { usd: 2.000000001 } }, 'consumptionLimit'],
      [{ models: ['*'] }, 'models'],
      [{ models: ['demo-chat', 'gpt'] }, 'models'],
      [{ ips: ['127.0.0.0/7'] }, 'ips'],
      [{ ips: ['::1'] }, 'ips'],
      [{ modalities: ['text', 'image'] }, 'modalities'],
      [{ groups: ['default', 'vip'] }, 'groups'],
      [{ maxRequestUsd: '0.51' }, 'maxRequestUsd'],
      [{ rateLimits: { requestsPerMinute: 101 } }, 'rateLimits'],
      [{ expiresAt: '2027-06-02' }, 'expiresAt'],
      [{ expiresAt: '2027-06-01T00:00:00.001Z' }, 'expiresAt'],
    ];
    for (const [body, field] of wider) {
      const answer = await send(app, 'POST', KEYS, by, body);
      expect([answer.status, field]).toEqual([400, field]);
      expect(answer.text).toContain(field);
    }
    expect((await send(app, 'POST', KEYS, by, { type: 'ADMIN' })).status).toBe(403);
    const child = await mint(app, by, {
      limit: { usd: 2 },
      models: ['demo-c*'],
      ips: ['127.0.0.0/16'],
      expiresAt: '2027-05-31',
    });
    expect(child.json).toMatchObject({ parentId: parent.id, type: 'INFERENCE' });
    const plain = await mint(app, by);
    expect(plain.json).toMatchObject({ expiresAt: '2027-06-01T00:00:00.000Z' });
    expect((await app.chat(bearer(child.secret))).status).toBe(200);
    // A rule taken on above binds below at once.
    const wallet = parent.json['accountId'];
    const { keys } = app.app.store;
    const scope = { accountId: textOf(wallet), under: null };
    await keys.update(parent.id, { rules: { models: ['gpt'] } }, scope, { actor: 'test' });
    expect((await app.chat(bearer(child.secret))).status).toBe(403);
    await app.check();
  });

  it('never raises its own limit, and reaches no key but its own children', async () => {
    await using app = await startApp();
    const parent = await walletKey(app, { limit: { usd: 1 } });
    const child = await mint(app, bearer(parent.secret), { limit: { usd: 0.5 } });
    const sibling = await mint(app, bearer(parent.secret), {});
    const grandchild = await mint(app, bearer(child.secret), {});
    const stranger = await walletKey(app);
    const as = bearer(child.secret);
    const raise = { limit: { usd: 100 } };
    for (const { id } of [child, parent, sibling, stranger]) {
      expect((await send(app, 'PATCH', `${KEYS}/${id}`, as, raise)).status).toBe(404);
    }
    expect((await send(app, 'PATCH', `${KEYS}/${grandchild.id}`, as, raise)).status).toBe(400);
    for (const { id } of [parent, sibling, stranger]) {
      expect((await send(app, 'GET', `${KEYS}/${id}`, as)).status).toBe(404);
      expect((await send(app, 'DELETE', `${KEYS}/${id}`, as)).status).toBe(404);
    }
    const seen = listOf((await send(app, 'GET', KEYS, as)).json['data']).map(({ id }) =>
      textOf(id),
    );
    expect(seen.toSorted()).toEqual([child.id, grandchild.id].toSorted());
    expect(
      (await send(app, 'PATCH', `${KEYS}/${grandchild.id}`, as, { limit: { usd: 0.1 } })).status,
    ).toBe(200);
  });

  it('spends of every key above it, and ends with any of them', async () => {
    await using app = await startApp();
    const root = await walletKey(app, { limit: { usd: 1 } });
    const middle = await mint(app, bearer(root.secret), {
      limit: { usd: 0.8, period: 'LIFETIME' },
    });
    const leaf = await mint(app, bearer(middle.secret));
    const answer = await app.chat(bearer(leaf.secret));
    expect(answer.status).toBe(200);
    const cost = String(answer.headers.get('x-request-cost'));
    expect(Number(answer.headers.get('x-limit-remaining'))).toBeCloseTo(0.8 - Number(cost), 6);
    for (const { id, secret } of [leaf, middle, root]) {
      const one = await send(app, 'GET', `${KEYS}/${id}`, bearer(secret));
      expect(one.json['spent']).toEqual({ today: cost, month: cost, total: cost });
    }
    await app.check();
    expect((await send(app, 'DELETE', `${KEYS}/${middle.id}`, bearer(root.secret))).status).toBe(
      204,
    );
    expect((await app.chat(bearer(leaf.secret))).status).toBe(401);
    expect((await app.chat(bearer(middle.secret))).status).toBe(401);
    expect((await app.chat(bearer(root.secret))).status).toBe(200);
    await app.check();
  });

  it('refuses over the limit of any of them with 402 and nothing to pay', async () => {
    await using app = await startApp();
    const root = await walletKey(app, { limit: { usd: 0.003 } });
    const leaf = await mint(app, bearer(root.secret));
    const answer = await app.chat(bearer(leaf.secret), { max_tokens: 4_096 });
    expect(answer.status).toBe(402);
    expect(answer.json['error']).toMatchObject({ code: 'spend_limit_exceeded' });
    expect(answer.text).not.toContain('accepts');
    const venice = await app.post(
      '/api/v1/chat/completions',
      chatBody({ max_tokens: 4_096 }),
      bearer(leaf.secret),
    );
    expect(venice.json['code']).toBe('API_KEY_USD_SPEND_LIMIT_EXCEEDED');
  });

  it('ends by its own time and by that of a key above it', async () => {
    const clock = manualClock();
    await using app = await startApp({ clock });
    const end = new Date(clock.ms + 60_000).toISOString();
    const root = await walletKey(app, { expiresAt: end });
    const leaf = await mint(app, bearer(root.secret));
    expect((await app.chat(bearer(leaf.secret))).status).toBe(200);
    clock.ms += 60_000;
    expect((await app.chat(bearer(leaf.secret))).status).toBe(401);
    expect((await send(app, 'POST', KEYS, bearer(root.secret), {})).status).toBe(401);
    await app.check();
  });

  it('goes five deep at most', async () => {
    await using app = await startApp();
    let { secret } = await walletKey(app);
    for (let depth = 1; depth < 5; depth += 1) ({ secret } = await mint(app, bearer(secret)));
    expect((await send(app, 'POST', KEYS, bearer(secret), {})).status).toBe(403);
  });

  it('lets an ADMIN key with a limit make keys within it, and not change itself', async () => {
    await using app = await startApp();
    const admin = await walletKey(app, { type: 'ADMIN', limit: { usd: 1 } });
    const as = bearer(admin.secret);
    expect((await send(app, 'PATCH', `${KEYS}/${admin.id}`, as, { limit: null })).status).toBe(404);
    expect((await send(app, 'POST', KEYS, as, { limit: { usd: 2 } })).status).toBe(400);
    const child = await mint(app, as, { type: 'ADMIN' });
    expect(child.json).toMatchObject({ parentId: admin.id });
    expect(
      (await send(app, 'POST', KEYS, bearer(child.secret), { limit: { usd: 2 } })).status,
    ).toBe(400);
  });
});

describe('generate_web3_key', () => {
  const account = privateKeyToAccount(generatePrivateKey());
  const tokenOf = async (app: TestApp) => textOf((await app.get(WEB3)).json['data']?.['token']);

  it('gives an EVM wallet a key of its own account', async () => {
    await using app = await startApp();
    const token = await tokenOf(app);
    expect(token.split('.')).toHaveLength(3);
    const body = {
      apiKeyType: 'INFERENCE',
      address: account.address,
      signature: await account.signMessage({ message: token }),
      token,
      consumptionLimit: { usd: 1 },
      limitPeriod: 'LIFETIME',
    };
    const made = await app.post(WEB3, body);
    expect(made.status).toBe(200);
    expect(made.json['data']).toMatchObject({
      apiKeyType: 'INFERENCE',
      description: 'Web3 API Key',
      consumptionLimit: { usd: 1, diem: null, vcu: null },
      limitPeriod: 'LIFETIME',
      expiresAt: null,
    });
    const poor = await app.chat(bearer(textOf(made.json['data']?.['apiKey'])));
    expect(poor.status).toBe(402);
    const again = await app.post(WEB3, body);
    expect(again.status).toBe(400);
    expect(again.text).toContain('used already');
  });

  it('gives a Solana wallet one, signed in base58 or base64', async () => {
    await using app = await startApp();
    const keys = nacl.sign.keyPair();
    for (const form of ['base58', 'base64']) {
      const token = await tokenOf(app);
      const bytes = nacl.sign.detached(Buffer.from(token), keys.secretKey);
      const signature =
        form === 'base58' ? bs58.encode(bytes) : Buffer.from(bytes).toString('base64');
      const address = bs58.encode(keys.publicKey);
      const made = await app.post(WEB3, { apiKeyType: 'ADMIN', address, signature, token });
      expect([made.status, form]).toEqual([200, form]);
    }
  });

  it('tells a malformed, foreign, changed or expired token, a bad address and a bad signature apart', async () => {
    const clock = manualClock();
    await using app = await startApp({ clock });
    const token = await tokenOf(app);
    const signature = await account.signMessage({ message: token });
    const good = { apiKeyType: 'INFERENCE', address: account.address, signature, token };
    const [head, claims, mac] = token.split('.') as [string, string, string];
    const fields = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { exp: number };
    const longer = Buffer.from(JSON.stringify({ ...fields, exp: fields.exp + 1 }));
    const { privateKey } = await import('node:crypto').then(({ generateKeyPairSync }) =>
      generateKeyPairSync('ed25519'),
    );
    const other = sign(
      null,
      Buffer.from(token),
      createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    );
    const wrong: [object, string][] = [
      [{ token: 'x' }, 'malformed'],
      [{ token: `${head}.${longer.toString('base64url')}.${mac}` }, 'was not made by this server'],
      [{ token: `${head}.${claims}.${'A'.repeat(43)}` }, 'was not made by this server'],
      [{ address: '0x123' }, 'address: must be'],
      [{ address: 'O0Il' }, 'address: must be'],
      [{ address: `0x${'1'.repeat(40)}` }, 'is not of this token by this address'],
      [{ signature: '0x12' }, 'signature: must be'],
      [{ signature: `0x${'1'.repeat(130)}` }, 'is not of this token by this address'],
      [
        { address: bs58.encode(nacl.sign.keyPair().publicKey), signature: bs58.encode(other) },
        'is not of this token by this address',
      ],
    ];
    for (const [change, said] of wrong) {
      const answer = await app.post(WEB3, { ...good, ...change });
      expect([answer.status, said]).toEqual([400, said]);
      expect(answer.text).toContain(said);
      const field = said.startsWith('is not of') ? 'signature' : Object.keys(change)[0];
      expect(Object.keys(answer.json['details'] ?? {})).toContain(field);
    }
    clock.ms += 15 * 60_000;
    expect((await app.post(WEB3, good)).text).toContain('expired');
    clock.ms -= 15 * 60_000;
    expect((await app.post(WEB3, good)).status).toBe(200);
  });
});

describe('X-Channel', () => {
  it('is told to operators only', async () => {
    await using app = await startApp();
    const operator = await app.app.store.keys.create({ type: 'ADMIN', description: '' });
    expect((await app.chat(bearer(operator.secret))).headers.get('x-channel')).toBe('demo');
    const { secret } = await app.key('1', 'ADMIN');
    expect((await app.chat(bearer(secret))).headers.has('x-channel')).toBe(false);
  });
});
