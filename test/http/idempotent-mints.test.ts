import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { describe, expect, it } from 'vitest';
import { startApp, textOf, type TestApp } from '../support/app.ts';
import { isReplay, rowsOf } from '../support/idempotency.ts';
import { because, operator } from '../support/operator.ts';

const WEB3 = '/api/v1/api_keys/generate_web3_key';

async function signedIn(shop: TestApp) {
  const wallet = await shop.evm('1');
  return {
    as: async (key = 'k-1') => ({
      'sign-in-with-x': await wallet.signIn(),
      'idempotency-key': key,
    }),
  };
}

function keysOf({ app }: TestApp) {
  const keys = app.store.ledger.read.selectFrom('api_keys').selectAll();
  return keys.where('description', '=', 'mine').execute();
}

describe('a request that makes something, with an Idempotency-Key', () => {
  it.each([
    ['/api/v1/keys', { label: 'mine' }, 201],
    ['/api/v1/api_keys', { apiKeyType: 'INFERENCE', description: 'mine' }, 200],
  ])('makes one key at %s, and shows it once (C-11)', async (path, body, status) => {
    await using shop = await startApp();
    const { as } = await signedIn(shop);
    const first = await shop.post(path, body, await as());
    expect([first.status, isReplay(first)]).toEqual([status, false]);
    const secret = /ck_[0-9a-f]{48}/.exec(first.text)![0];
    expect((await shop.chat({ authorization: `Bearer ${secret}` })).status).toBe(200);
    const again = await shop.post(path, body, await as());
    expect([again.status, isReplay(again)]).toEqual([status, true]);
    expect(again.text).not.toContain(secret);
    // All the rest of it is there.
    const member = path === '/api/v1/keys' ? 'key' : 'apiKey';
    expect(first.text.replace(new RegExp(`,?"${member}":"${secret}"`), '')).toBe(again.text);
    expect(again.headers.get('x-request-id')).toBe(first.headers.get('x-request-id'));
    expect((await shop.post(path, { ...body, expiresAt: '2030-01-01' }, await as())).status).toBe(
      422,
    );
    expect(await keysOf(shop)).toHaveLength(1);
    await shop.check();
  });

  it('sent 30 times at once makes one key, shown to one', async () => {
    await using shop = await startApp();
    const { as } = await signedIn(shop);
    const headers = await Promise.all(Array.from({ length: 30 }, () => as()));
    const answers = await Promise.all(
      headers.map((one) => shop.post('/api/v1/keys', { label: 'mine' }, one)),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(30).fill(201));
    expect(answers.filter(({ text }) => text.includes('"key"'))).toHaveLength(1);
    expect(answers.filter(isReplay)).toHaveLength(29);
    expect(await keysOf(shop)).toHaveLength(1);
  });

  it('that was refused frees its key', async () => {
    await using shop = await startApp();
    const { as } = await signedIn(shop);
    const parent = { label: 'mine', type: 'ADMIN', limit: { usd: 1 } };
    const made = await shop.post('/api/v1/keys', parent, await as());
    const admin = {
      authorization: `Bearer ${textOf(made.json['key'])}`,
      'idempotency-key': 'k-2',
    };
    // Refused by what was asked for, after the key was claimed.
    const wide = await shop.post('/api/v1/keys', { limit: { usd: 2 } }, admin);
    expect([wide.status, isReplay(wide)]).toEqual([400, false]);
    const narrow = await shop.post('/api/v1/keys', { limit: { usd: 0.5 } }, admin);
    expect([narrow.status, isReplay(narrow)]).toEqual([201, false]);
    const rows = await rowsOf(shop);
    expect(rows.map(({ state }) => state)).toEqual(['done', 'done']);
  });

  it('credits an account once, however often an operator asks', async () => {
    await using shop = await startApp();
    const boss = await operator(shop);
    const { accountId } = await shop.key('1');
    const path = `/admin/api/accounts/${accountId}/grants`;
    const headers = { authorization: `Bearer ${boss.secret}`, 'idempotency-key': 'k-1' };
    const body = { amountUsd: '3', ...because };
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => shop.post(path, body, headers)),
    );
    for (const { status } of answers) expect(status).toBe(201);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect((await shop.post(path, { ...body, amountUsd: '4' }, headers)).status).toBe(422);
    const { posted } = await shop.app.store.accounts.balance(accountId);
    expect(posted).toBe(4_000_000_000);
    await shop.check();
  });

  it('by a signature alone is answered to the same signature, without the key', async () => {
    await using shop = await startApp();
    const account = privateKeyToAccount(generatePrivateKey());
    const token = textOf((await shop.get(WEB3)).json['data']?.['token']);
    const body = {
      apiKeyType: 'INFERENCE',
      description: 'mine',
      address: account.address,
      signature: await account.signMessage({ message: token }),
      token,
    };
    const key = { 'idempotency-key': 'k-1' };
    const first = await shop.post(WEB3, body, key);
    expect([first.status, isReplay(first)]).toEqual([200, false]);
    const again = await shop.post(WEB3, body, key);
    expect([again.status, isReplay(again)]).toEqual([200, true]);
    expect(again.text).not.toMatch(/ck_[0-9a-f]{48}/);
    // Nobody has a key of nobody: with another body the same one is new.
    const other = await shop.post(WEB3, { ...body, description: 'other' }, key);
    expect([other.status, isReplay(other)]).toEqual([400, false]);
    expect(await keysOf(shop)).toHaveLength(1);
  });

  it('that a process left half done is not done again (C-11)', async () => {
    await using shop = await startApp();
    const boss = await operator(shop);
    const body = JSON.stringify({ label: 'mine', ...because });
    await shop.app.store.idempotency.begin({
      principal: boss.keyId,
      key: 'k-1',
      method: 'POST',
      path: '/admin/api/keys',
      body: Buffer.from(body),
      requestId: 'req_before',
      isPaid: false,
      headers: () => ({}),
      signal: new AbortController().signal,
    });
    await shop.stop();
    await using next = await startApp({ dataDir: shop.dataDir });
    const headers = { authorization: `Bearer ${boss.secret}`, 'idempotency-key': 'k-1' };
    const answer = await next.post('/admin/api/keys', body, headers);
    expect([answer.status, answer.text]).toEqual([409, expect.stringContaining('req_before')]);
    expect(answer.text).toContain('may have been done');
    expect(await keysOf(next)).toEqual([]);
    const anew = await next.post('/admin/api/keys', body, { ...headers, 'idempotency-key': 'k-2' });
    expect(anew.status).toBe(201);
    await next.check();
  });
});
