import { execFile } from 'node:child_process';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ExactEvmScheme } from '@x402/evm';
import { wrapFetchWithPaymentFromConfig } from '@x402/fetch';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readChatStream } from '../../scripts/wallet/chat-stream.ts';
import { Gateway } from '../../scripts/wallet/gateway.ts';
import { type AgentWallet, randomWallet } from '../../scripts/wallet/wallet-file.ts';
import { Place, run, type Running, serve, subject } from './subject.ts';

/** Base Sepolia, of which the sandbox plays a part. */
const NETWORK = 'eip155:84532';
const CHAT = { model: 'demo-chat', messages: [{ role: 'user', content: 'hello' }] };
const ASSETS = ['admin.css', 'admin.js', 'htmx.js', 'uplot.js', 'uplot.css'];
const PUBLIC = ['/health', '/ready', '/v1/models', '/openapi.json', '/', '/admin/login'];

let place: Place;
let server: Running;
let wallet: AgentWallet;
let agent: Gateway;
/** In dollars. */
let balance = 0;

beforeAll(async () => {
  place = await Place.make();
  server = await serve(place, { SANDBOX: '1', SANDBOX_DELAY_MS: '200' });
  wallet = randomWallet();
  agent = new Gateway({ url: server.url, wallet, chain: 'evm' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

function ask(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(server.url + path, { ...init, headers: { 'content-type': 'application/json' } });
}

/** Exact to the nano-dollar. */
function spend(dollars: number): number {
  balance = Math.round((balance - dollars) * 1e9) / 1e9;
  return balance;
}

it.each([...PUBLIC, ...ASSETS.map((name) => `/admin/assets/${name}`)])(
  'serves %s',
  async (path) => {
    const answer = await ask(path);
    expect(answer.status).toBe(200);
    expect((await answer.text()).length).toBeGreaterThan(2);
  },
);

it('asks whoever has no credential to pay', async () => {
  const answer = await ask('/v1/chat/completions', { method: 'POST', body: JSON.stringify(CHAT) });
  expect(answer.status).toBe(402);
  const { accepts } = (await answer.json()) as { accepts: { network: string }[] };
  expect(accepts.map(({ network }) => network)).toContain(NETWORK);
});

it('is paid by stock @x402/fetch, and credits it', async () => {
  const paidFetch = wrapFetchWithPaymentFromConfig(fetch, {
    schemes: [
      { network: NETWORK, client: new ExactEvmScheme(privateKeyToAccount(wallet.evm.privateKey)) },
    ],
  });
  const answer = await paidFetch(`${server.url}/v1/x402/top-up?amount_usd=1`, { method: 'POST' });
  expect(await answer.json()).toMatchObject({
    success: true,
    data: { amountCredited: 1, newBalance: 1 },
  });
  balance = 1;
});

it('answers a chat, and a streamed one, for what they cost', async () => {
  const answer = await agent.chat(CHAT);
  expect(await answer.json()).toMatchObject({ choices: [{ message: { role: 'assistant' } }] });
  const left = spend(Number(answer.headers.get('x-request-cost')));
  expect((await agent.balance()).balanceUsd).toBe(left);
  expect(left).toBeLessThan(1);

  const streamed = await readChatStream(await agent.chat({ ...CHAT, stream: true }), () => {});
  expect(streamed.isComplete).toBe(true);
  expect((await agent.balance()).balanceUsd).toBe(spend(Number(streamed.closing?.cost)));
});

it('makes a picture and keeps it', async () => {
  const asked = { model: 'demo-image', prompt: 'A paper boat', size: '512x512' };
  const { task_id: id } = await agent.ask<{ task_id: string }>(
    'POST',
    '/v1/images/generations',
    asked,
  );
  const done = await agent.ask<{
    status: string;
    result: { data: { url: string; bytes: number }[] };
  }>('GET', `/v1/tasks/${id}?wait=30`);
  expect(done.status).toBe('completed');
  const [picture] = done.result.data;
  const file = await fetch(picture?.url ?? '');
  expect(file.headers.get('content-type')).toBe('image/png');
  expect((await file.arrayBuffer()).byteLength).toBe(picture?.bytes);
  expect((await agent.balance()).balanceUsd).toBe(spend(0.01));
});

it('finds nothing broken in itself', async () => {
  const { port } = new URL(server.url);
  const told = { PORT: port, PUBLIC_URL: server.url };
  const { code, json } = await run(place, ['doctor', '--json'], told);
  expect(json).toMatchObject({ ok: true });
  expect(code).toBe(0);
});

it('is backed up while it runs, and restored into an empty directory', async () => {
  const file = `${place.inside}/backup.tgz`;
  const made = await run(place, ['backup', file, '--json'], {
    FAREBOX_BACKUP_PASSPHRASE: PASSPHRASE,
  });
  expect(made).toMatchObject({ code: 0, err: '' });
  expect((await run(place, ['verify', '--json'])).json).toMatchObject({ ok: true, openHolds: 0 });

  const other = await place.beside();
  const restored = await run(other, ['restore', file, '--json'], {
    FAREBOX_BACKUP_PASSPHRASE: PASSPHRASE,
  });
  expect(restored).toMatchObject({ code: 0, err: '', json: { hasMasterKey: true, results: 1 } });
  // Results are files of their own.
  expect((await run(other, ['verify', '--json'])).json).toMatchObject({ ok: false });
  await cp(join(place.dataDir, 'media'), join(other.dataDir, 'media'), {
    recursive: true,
    preserveTimestamps: true,
  });
  if (subject.kind === 'image')
    await promisify(execFile)('chown', ['-R', '1000:1000', other.dataDir]);
  expect((await run(other, ['verify', '--json'])).json).toMatchObject({ ok: true, openHolds: 0 });
  await using again = await serve(other, { SANDBOX: '1' });
  const same = new Gateway({ url: again.url, wallet, chain: 'evm' });
  expect((await same.balance()).balanceUsd).toBe(balance);
});

it('ends with 0 at SIGTERM and says so', async () => {
  await server.send('SIGTERM');
  expect(await server.ended).toBe(0);
  expect(server.err()).toContain('"stopped"');
});

const PASSPHRASE = 'three paper boats at the pier';
