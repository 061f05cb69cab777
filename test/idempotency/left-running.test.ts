import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Run } from '../../src/idempotency/run.ts';
import { nanoUsd } from '../../src/money.ts';
import { chatBody, startApp, type TestApp } from '../support/app.ts';
import { expectOneCharge, holdsOf, isReplay, keyed } from '../support/idempotency.ts';
import { testStore } from '../support/store.ts';
import { serve } from '../support/cli.ts';
import { verifyStore } from '../../src/verify.ts';

const directories: string[] = [];
afterEach(async () => {
  for (const path of directories.splice(0)) await rm(path, { recursive: true, force: true });
});

async function newDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'farebox-left-'));
  directories.push(path);
  return path;
}

/** As somebody who works on a request with this key and then does not go on. */
async function claim(shop: TestApp, secret: string) {
  const { idempotency, keys, ledger } = shop.app.store;
  const key = (await keys.authenticate(secret))!;
  const run = await idempotency.begin({
    principal: key.keyId,
    key: 'k-1',
    method: 'POST',
    path: '/v1/chat/completions',
    body: Buffer.from(JSON.stringify(chatBody())),
    requestId: 'req_before',
    isPaid: true,
    headers: () => ({}),
    signal: new AbortController().signal,
  });
  if (!(run instanceof Run)) throw new Error('the key was not free');
  const hold = () =>
    ledger.reserve({
      holdId: run.holdId,
      accountId: key.accountId,
      keyId: key.keyId,
      amount: nanoUsd(5_000),
      purpose: 'chat',
      model: 'demo-chat',
      requestId: 'req_before',
      priceVersion: 'p',
      ttlMs: 60_000,
    });
  return { run, hold, ledger };
}

describe('a key that was left running', () => {
  /** A process that stops in the middle of a request. */
  async function leaveRunning(dataDir: string, end: 'before its hold' | 'held' | 'captured') {
    await using shop = await startApp({ dataDir });
    const { secret } = await shop.key();
    const { hold, ledger } = await claim(shop, secret);
    const held = end === 'before its hold' ? null : await hold();
    if (held && end === 'captured') await ledger.capture(held, nanoUsd(1_234), null);
    await shop.stop();
    return secret;
  }

  it.each(['before its hold', 'held'] as const)(
    '%s is free after a restart (C-11)',
    async (end) => {
      const dataDir = await newDirectory();
      const secret = await leaveRunning(dataDir, end);
      await using shop = await startApp({ dataDir });
      // Also for another request: nothing came of the first one.
      const next = await shop.chat(keyed(secret), { temperature: 1 });
      expect([next.status, isReplay(next)]).toEqual([200, false]);
      expect(isReplay(await shop.chat(keyed(secret), { temperature: 1 }))).toBe(true);
      await expectOneCharge(shop);
    },
  );

  it('after its capture is not done again: it says what it was and what it cost (C-11)', async () => {
    const dataDir = await newDirectory();
    const secret = await leaveRunning(dataDir, 'captured');
    await using shop = await startApp({ dataDir });
    expect((await shop.chat(keyed(secret), { temperature: 1 })).status).toBe(422);
    for (let turn = 0; turn < 2; turn += 1) {
      const answer = await shop.chat(keyed(secret));
      expect([answer.status, answer.json['error']]).toMatchObject([
        409,
        {
          code: 'idempotency_answer_gone',
          details: { requestId: 'req_before', costUsd: '0.000001234' },
        },
      ]);
    }
    expect(shop.upstream.requests).toHaveLength(0);
    expect(await holdsOf(shop, 'captured')).toHaveLength(1);
    await shop.check();
  });

  it('while its hold is open is told to come again', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    const { run, hold, ledger } = await claim(shop, secret);
    const held = await hold();
    // As when the storage failed to capture: the request is over, its hold is not.
    await run.during(() => Promise.resolve());
    const early = await shop.chat(keyed(secret));
    expect([early.status, early.headers.get('retry-after')]).toEqual([409, '5']);
    await ledger.expire(held);
    expect((await shop.chat(keyed(secret))).status).toBe(200);
    await expectOneCharge(shop);
  });

  it('is charged for also where its answer cannot be stored', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    const { run, hold, ledger } = await claim(shop, secret);
    await run.during(async () => {
      const held = await hold();
      await ledger.write(({ db }) => db.deleteFrom('idempotency_keys').execute());
      const resolution = await run.capture(held, nanoUsd(1_234), null, () => ({
        head: { status: 200, headers: {} },
        bytes: Buffer.from('{}'),
      }));
      expect(resolution).toMatchObject({ charged: 1_234, wasResolvedBefore: false });
    });
    expect(shop.logged.map((line) => line.event)).toContain('idempotency_not_kept');
    await shop.check();
  });
});

describe('a process that is killed', () => {
  /** A key with a dollar, in a directory that no process has open. */
  async function seeded(dataDir: string): Promise<string> {
    const store = await testStore({ dataDir });
    const accountId = await store.wallet('1');
    const { secret } = await store.keys.create({ accountId, type: 'INFERENCE', description: '' });
    await store.close();
    return secret;
  }

  const ask = (url: string, secret: string) =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { ...keyed(secret), 'content-type': 'application/json' },
      body: JSON.stringify(chatBody({ stream: true })),
    });

  /** Reads until the text holds `mark`, then kills. */
  async function killAt(dataDir: string, secret: string, mark: string): Promise<string> {
    await using server = await serve({ SANDBOX: '1', PORT: '0', DATA_DIR: dataDir });
    const response = await ask(server.url, secret);
    const reader = response.body!.getReader();
    let text = '';
    while (!text.includes(mark)) text += Buffer.from((await reader.read()).value!).toString();
    await server.end('SIGKILL');
    return text;
  }

  async function charges(dataDir: string): Promise<number> {
    const { faults, liabilities } = await verifyStore({ dataDir, nowMs: Date.now() });
    expect(faults).toEqual([]);
    return 1_000_000_000 - liabilities;
  }

  it('in the middle of a stream frees the key: the retry is served, and charged once (C-11)', async () => {
    const dataDir = await newDirectory();
    const secret = await seeded(dataDir);
    await killAt(dataDir, secret, 'data:');
    await using server = await serve({ SANDBOX: '1', PORT: '0', DATA_DIR: dataDir });
    const retry = await ask(server.url, secret);
    const text = await retry.text();
    expect([retry.status, retry.headers.get('idempotency-replayed')]).toEqual([200, null]);
    expect(text).toContain('[DONE]');
    const cost = await charges(dataDir);
    const again = await ask(server.url, secret);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await again.text()).toBe(text);
    expect(await charges(dataDir)).toBe(cost);
    expect(cost).toBeGreaterThan(0);
  });

  it('once its caller has read the cost answers the whole of it again (C-11)', async () => {
    const dataDir = await newDirectory();
    const secret = await seeded(dataDir);
    const text = await killAt(dataDir, secret, '[DONE]');
    const cost = await charges(dataDir);
    expect(cost).toBeGreaterThan(0);
    await using server = await serve({ SANDBOX: '1', PORT: '0', DATA_DIR: dataDir });
    const again = await ask(server.url, secret);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.headers.get('content-type')).toContain('text/event-stream');
    expect(await again.text()).toBe(text);
    expect(await charges(dataDir)).toBe(cost);
  });
});
