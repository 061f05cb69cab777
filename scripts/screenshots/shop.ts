/** A sandbox that has been selling for two weeks: its clock is moved forward while it works. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type App, createApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { parseUsd } from '../../src/money.ts';
import { Gateway } from '../wallet/gateway.ts';
import { randomWallet } from '../wallet/wallet-file.ts';

export interface Shop {
  url: string;
  app: App;
  /** The cookie of an operator who is signed in. */
  token: string;
  close(): Promise<void>;
}

const DAYS = 14;
const DAY_MS = 86_400_000;
const MODELS = ['demo-image', 'demo-chat', 'demo-voice', 'demo-image', 'demo-embed'] as const;
/** Calls of a day, around and around: a shop that grows, and sleeps on Sundays. */
const CALLS = [4, 6, 8, 9, 7, 3, 2, 9, 14, 12, 16, 18, 9, 11];
const BECAUSE = { reason: 'welcome to the beta' };

/** `days`: how long it has been selling; fewer are sooner ready. */
export async function startShop(dataDir: string, days = DAYS): Promise<Shop> {
  const time = { backMs: (days - 1) * DAY_MS };
  const clock = { nowMs: () => Date.now() - time.backMs };
  const config = loadConfig(
    {
      SANDBOX: '1',
      PORT: '0',
      HOST: '127.0.0.1',
      DATA_DIR: dataDir,
      LOG_LEVEL: 'error',
      SANDBOX_DELAY_MS: '60',
    },
    { cwd: dataDir },
  );
  for (const { routes, price } of config.models) {
    // What is sold is bought for four fifths.
    for (const route of routes)
      route.cost = { from: 'rules', prices: { rules: price.rules, markup: '0.8' } };
  }
  const app = await createApp(config, { clock });
  const port = await app.listen();
  const url = `http://127.0.0.1:${port}`;
  const { id, secret } = await app.store.keys.create({ type: 'ADMIN', description: 'owner' });
  const agent = await customer(url, secret);
  for (let day = 0; day < days; day += 1) {
    for (let call = 0; call < CALLS[day % CALLS.length]!; call += 1) await buy(url, agent, call);
    if (time.backMs > 0) time.backMs -= DAY_MS;
  }
  const receiver = await startReceiver();
  await wallets(url, receiver.url);
  receiver.close();
  await settle(app);
  return { url, app, token: await app.sessions.begin(id), close: () => app.close() };
}

/** Nothing is set up, nothing was sold. */
export async function startEmptyShop(dataDir: string): Promise<Shop> {
  const environment = { PORT: '0', HOST: '127.0.0.1', DATA_DIR: dataDir, LOG_LEVEL: 'error' };
  const app = await createApp(loadConfig(environment, { cwd: dataDir }));
  const url = `http://127.0.0.1:${await app.listen()}`;
  const { id } = await app.store.keys.create({ type: 'ADMIN', description: 'owner' });
  return { url, app, token: await app.sessions.begin(id), close: () => app.close() };
}

async function ask(url: string, key: string, path: string, body: object): Promise<unknown> {
  const answer = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path} answers ${answer.status}: ${text}`);
  return answer.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text;
}

/** An account of the house with credit, and a key of it. */
async function customer(url: string, operatorKey: string): Promise<string> {
  const account = { label: 'Harbour Robotics', ...BECAUSE };
  const { id } = (await ask(url, operatorKey, '/admin/api/accounts', account)) as { id: string };
  const grant = { amountUsd: '40', confirm: '40', ...BECAUSE };
  await ask(url, operatorKey, `/admin/api/accounts/${id}/grants`, grant);
  const wanted = { accountId: id, label: 'dispatch agent', limit: { usd: 25, period: 'MONTH' } };
  const made = await ask(url, operatorKey, '/admin/api/keys', { ...wanted, ...BECAUSE });
  return (made as { key: string }).key;
}

async function buy(url: string, key: string, call: number): Promise<void> {
  const model = MODELS[call % MODELS.length]!;
  const text = 'Which berth is free tonight, and what does the tide do until six?';
  switch (model) {
    case 'demo-chat':
      await ask(url, key, '/v1/chat/completions', {
        model,
        messages: [{ role: 'user', content: text }],
      });
      return;
    case 'demo-image':
      await made(url, key, await ask(url, key, '/v1/images/generations', { model, prompt: text }));
      return;
    case 'demo-voice':
      await ask(url, key, '/v1/audio/speech', { model, input: text, voice: 'alloy' });
      return;
    case 'demo-embed':
      await ask(url, key, '/v1/embeddings', { model, input: text.repeat(40) });
  }
}

/** Before the clock is moved on, which would end a task that is under way. */
async function made(url: string, key: string, answer: unknown): Promise<void> {
  const { task_id: id } = answer as { task_id?: string };
  if (id === undefined) return;
  const headers = { authorization: `Bearer ${key}` };
  await fetch(`${url}/v1/tasks/${id}?wait=30`, { headers });
}

/** Two agents that pay by x402; one has a video made, the other wants its money back. */
async function wallets(url: string, callback: string): Promise<void> {
  const wallet = randomWallet();
  const evm = new Gateway({ url, wallet, chain: 'evm' });
  const solana = new Gateway({ url, wallet, chain: 'solana' });
  await evm.topUp(parseUsd('5'));
  await solana.topUp(parseUsd('2'));
  const video = { model: 'demo-video', prompt: 'A paper boat leaves the harbour.', duration: 2 };
  const made = await evm.ask<{ id: string }>('POST', '/v1/videos', {
    ...video,
    resolution: '720p',
    callback_url: callback,
  });
  await evm.ask('GET', `/v1/tasks/${made.id}?wait=30`);
  await solana.ask('POST', '/x402/payouts', { amount_usd: '1' });
}

async function startReceiver(): Promise<{ url: string; close(): void }> {
  const server = createServer((request, response) => {
    request.resume();
    response.end();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/hook`, close: () => server.close() };
}

/** Until the webhook went out. */
async function settle(app: App): Promise<void> {
  await app.webhooks.deliverDue();
}
