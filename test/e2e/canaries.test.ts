import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { privateKeyToAccount, generatePrivateKey } from 'viem/accounts';
import { describe, expect, it } from 'vitest';
import { type Answer, chatBody, startApp, type TestApp, textOf } from '../support/app.ts';
import { png } from '../support/media.ts';
import { startReceiver, status } from '../support/receiver.ts';
import { echoKey, goodStream, json, whole } from '../support/upstream.ts';

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const random = () => randomBytes(24).toString('base64url');

/** Secrets that go in, by what they are; nothing of them may come out but where `allowed` says. */
type Canaries = Map<string, string>;

/** The names of the canaries of which twelve characters in a row are in these bytes. */
function found(bytes: Buffer | string, canaries: Canaries): string[] {
  const text = Buffer.isBuffer(bytes) ? bytes.toString('latin1') : bytes;
  const names: string[] = [];
  for (const [name, secret] of canaries) {
    for (let at = 0; at + 12 <= secret.length; at += 1) {
      if (!text.includes(secret.slice(at, at + 12))) continue;
      names.push(name);
      break;
    }
  }
  return names;
}

async function filesOf(directory: string): Promise<[name: string, bytes: Buffer][]> {
  const files: [string, Buffer][] = [];
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.push([path.slice(directory.length + 1), await readFile(path)]);
  }
  return files;
}

interface Planted {
  app: TestApp;
  canaries: Canaries;
  /** Of each request, but for those that answer a new key. */
  answers: Answer[];
}

async function plant(): Promise<Planted> {
  const canaries: Canaries = new Map([
    ['admin key', `ak_${randomBytes(24).toString('hex')}`],
    ['master key', randomBytes(32).toString('base64')],
    ['channel key', `sk-${random()}`],
    ['channel header', random()],
  ]);
  const app = await startApp({
    environment: {
      FAREBOX_ADMIN_KEY: canaries.get('admin key')!,
      FAREBOX_MASTER_KEY: canaries.get('master key')!,
    },
    change: (config) => {
      for (const channel of config.channels) {
        channel.vendor = 'openai';
        channel.apiKey = canaries.get('channel key')!;
        channel.headers = { 'x-team-key': canaries.get('channel header')! };
      }
    },
  });
  return { app, canaries, answers: [] };
}

/** Keys of every kind, made in every way. */
async function useKeys({ app, canaries, answers }: Planted): Promise<void> {
  const { secret: key } = await app.key('5');
  canaries.set('inference key', key);
  canaries.set('mistyped key', `ck_${randomBytes(24).toString('hex')}`);
  const admin = bearer(canaries.get('admin key')!);
  const made = await app.post(
    '/api/v1/api_keys',
    { apiKeyType: 'INFERENCE', description: 'x' },
    admin,
  );
  canaries.set('created key', textOf(made.json['data']?.['apiKey']));
  const child = await app.post('/api/v1/keys', { label: 'child' }, bearer(key));
  canaries.set('child key', textOf(child.json['key']));
  for (const name of ['inference key', 'created key', 'child key', 'mistyped key', 'admin key']) {
    const headers = bearer(canaries.get(name)!);
    answers.push(await app.chat(headers));
    answers.push(await app.post('/v1/chat/completions', '{"model":', headers));
    answers.push(await app.post('/v1/chat/completions', chatBody({ store: true }), headers));
    answers.push(
      await app.post('/v1/chat/completions', chatBody(), {
        'x-api-key': canaries.get(name)!,
        ...headers,
      }),
    );
    answers.push(await app.get('/api/v1/api_keys', headers));
    answers.push(await app.get('/api/v1/keys', headers));
    answers.push(await app.post('/api/v1/keys', { limit: 'x' }, headers));
    answers.push(await app.get(`/v1/models?key=${canaries.get(name)!}`, headers));
    answers.push(await app.get('/nowhere', headers));
  }
}

async function useWallets({ app, canaries, answers }: Planted): Promise<void> {
  const wallet = await app.evm('5');
  const solana = await app.solana('5');
  for (const [name, signIn] of [
    ['EVM sign-in', await wallet.signIn()],
    ['Solana sign-in', await solana.signIn()],
  ] as const) {
    const fields = JSON.parse(Buffer.from(signIn, 'base64').toString()) as { signature: string };
    canaries.set(name, signIn.slice(-200));
    canaries.set(`${name}, its signature`, fields.signature);
    const headers = { 'sign-in-with-x': signIn };
    answers.push(await app.chat(headers), await app.chat(headers));
    answers.push(await app.get('/api/v1/keys', { 'sign-in-with-x': `${signIn}x` }));
  }
  const payer = await app.evm();
  for (const [index, usd] of ['1', '0.01'].entries()) {
    const payment = await payer.pay(usd);
    const decoded = JSON.parse(Buffer.from(payment, 'base64').toString()) as {
      payload: { signature: string };
    };
    canaries.set(`payment ${index}`, payment.slice(-200));
    canaries.set(`payment ${index}, its signature`, decoded.payload.signature);
    answers.push(await app.post('/x402/top-up', '', { 'payment-signature': payment }));
    answers.push(
      await app.chat({ 'x-payment': payment, ...bearer(canaries.get('inference key')!) }),
    );
    answers.push(await app.chat({ 'x-payment': `${payment.slice(0, -40)}AAAA` }));
  }
  const account = privateKeyToAccount(generatePrivateKey());
  const path = '/api/v1/api_keys/generate_web3_key';
  const token = textOf((await app.get(path)).json['data']?.['token']);
  const signature = await account.signMessage({ message: token });
  canaries.set('web3 signature', signature);
  const body = { apiKeyType: 'INFERENCE', address: account.address, signature, token };
  const made = await app.post(path, body);
  canaries.set('web3 key', textOf(made.json['data']?.['apiKey']));
  answers.push(await app.post(path, body));
  answers.push(await app.post(path, { ...body, address: `0x${'1'.repeat(40)}` }));
}

/** Provider keys of an owner, in use where the upstream is one's own vendor, and answers kept for idempotency keys. */
async function useVault({ app, canaries, answers }: Planted): Promise<void> {
  const { secret } = await app.key('5', 'ADMIN');
  canaries.set('account admin key', secret);
  const admin = bearer(secret);
  for (const provider of ['openai', 'anthropic', 'google', 'x-ai', 'openrouter', 'minimax']) {
    const key = `sk-${random()}`;
    canaries.set(`provider key of ${provider}`, key);
    answers.push(await app.post('/api/v1/provider-keys', { provider, key }, admin));
    answers.push(await app.post('/api/v1/provider-keys', { provider, key: `${key} ` }, admin));
    answers.push(await app.post('/api/v1/provider-keys', { provider: 'nobody', key }, admin));
  }
  answers.push(await app.get('/api/v1/provider-keys', admin));
  app.upstream.next(echoKey(200), echoKey(401), echoKey(200));
  for (let at = 0; at < 3; at += 1) answers.push(await app.chat(admin));
  const used = app.upstream.requests.at(-1)!.headers.authorization;
  expect(used).toBe(`Bearer ${canaries.get('provider key of openai')!}`);
  const idempotency = { ...admin, 'idempotency-key': `key-${random()}` };
  answers.push(await app.chat(idempotency), await app.chat(idempotency));
  const mint = { ...admin, 'idempotency-key': `key-${random()}` };
  const made = await app.post('/api/v1/keys', { label: 'once' }, mint);
  canaries.set('key made once', textOf(made.json['key']));
  answers.push(await app.post('/api/v1/keys', { label: 'once' }, mint));
  for (const path of [
    '/admin/api/accounts',
    '/admin/api/keys',
    '/admin/api/audit',
    '/admin/api/channels',
    '/admin/api/channels/demo/costs',
    '/metrics',
    '/admin/api/payments',
    '/openapi.json',
    '/api/v1/usage',
    '/api/v1/billing/usage-history',
  ]) {
    answers.push(await app.get(path, bearer(canaries.get('admin key')!)));
  }
}

/** An upstream that says its key in every way it can. */
async function useUpstream({ app, canaries, answers }: Planted): Promise<void> {
  const key = bearer(canaries.get('inference key')!);
  const header = canaries.get('channel header')!;
  app.upstream.next(
    echoKey(200),
    echoKey(401),
    echoKey(400),
    json(500, { error: { message: `header ${header} is wrong` } }),
    json(400, { error: { message: `header ${header} is wrong` } }),
    whole({ text: header }),
    goodStream(),
    (response) => response.destroy(),
  );
  for (let at = 0; at < 6; at += 1) answers.push(await app.chat(key));
  answers.push(await app.chat(key, { stream: true }), await app.chat(key));
}

/** Callbacks with secrets of their owners in them, to a receiver that fails, and links to results. */
async function useWebhooks({ app, canaries, answers }: Planted): Promise<void> {
  const { secret, accountId } = await app.key('5', 'ADMIN');
  canaries.set('webhook owner key', secret);
  const admin = bearer(secret);
  const first = await app.get('/v1/webhooks/secret', admin);
  canaries.set('webhook secret', textOf(first.json['secret']));
  const once = { ...admin, 'idempotency-key': `key-${random()}` };
  const rotated = await app.post('/v1/webhooks/secret/rotate', '', once);
  canaries.set('new webhook secret', textOf(rotated.json['secret']));
  answers.push(await app.post('/v1/webhooks/secret/rotate', '', once));
  answers.push(await app.get('/v1/webhooks/secret', bearer(canaries.get('inference key')!)));
  const { media, webhooks, store } = app.app;
  const taskId = 'task_canary';
  const about = { taskId, accountId, index: 0, type: 'image' as const };
  const stored = await media.put(png(), about);
  await store.ledger.write((tx) => media.insertRows(tx, [stored]));
  const { url } = media.view((await media.find(stored.id))!);
  canaries.set('link to a result', new URL(url).pathname.split('/')[3]!);
  await using receiver = await startReceiver(status(500));
  const token = random();
  canaries.set('secret of a callback', token);
  const callback = `${receiver.origin}/${token}`;
  const payload = { id: taskId, result: { url } };
  await store.ledger.write((tx) =>
    webhooks.enqueue(tx, { accountId, taskId, url: callback, event: 'task.completed', payload }),
  );
  await webhooks.deliverDue();
  const [got] = receiver.requests;
  canaries.set('webhook signature', String(got!.headers['webhook-signature']));
  await receiver.close();
  await webhooks.redeliver(accountId, { taskId });
  await webhooks.deliverDue();
  for (const path of ['/admin/api/webhooks', '/admin/api/audit', '/openapi.json']) {
    answers.push(await app.get(path, bearer(canaries.get('admin key')!)));
  }
  answers.push(await app.get('/v1/webhooks/deliveries', bearer(canaries.get('inference key')!)));
  answers.push(await app.get(`/media/${stored.id}/1.${'A'.repeat(22)}/image.png`));
}

describe('canaries', () => {
  it('are found where they are', () => {
    const secret = random();
    expect(found(`xx${secret.slice(5, 20)}`, new Map([['it', secret]]))).toEqual(['it']);
    expect(found('nothing', new Map([['it', secret]]))).toEqual([]);
  });

  it('never come out: not in answers, not in the log, not in any file (O-6)', async () => {
    const planted = await plant();
    await using app = planted.app;
    await useKeys(planted);
    await useWallets(planted);
    await useVault(planted);
    await useUpstream(planted);
    await useWebhooks(planted);
    const { canaries, answers } = planted;
    expect(canaries.size).toBeGreaterThan(25);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(20);
    expect(answers.filter(({ status }) => status >= 400).length).toBeGreaterThan(20);
    const leaks: string[] = [];
    for (const { status, text, headers } of answers) {
      const said = `${text} ${JSON.stringify([...headers])}`;
      for (const name of found(said, canaries))
        leaks.push(`${name} in an answer ${status}: ${text.slice(0, 200)}`);
    }
    for (const line of app.logged) {
      for (const name of found(JSON.stringify(line), canaries))
        leaks.push(`${name} in ${JSON.stringify(line)}`);
    }
    await app.app.store.sweep();
    await app.check();
    await app.stop();
    for (const [file, bytes] of await filesOf(app.dataDir)) {
      for (const name of found(bytes, canaries)) leaks.push(`${name} in ${file}`);
    }
    expect(leaks).toEqual([]);
  });
});
