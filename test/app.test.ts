import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createApp } from '../src/app.ts';
import { chatBody, startApp } from './support/app.ts';
import { rawRequest, sendRaw } from './support/raw-http.ts';
import { gated, goodStream, whole } from './support/upstream.ts';

describe('a server', () => {
  it('without PUBLIC_URL and off loopback is alive and sells nothing', async () => {
    await using shop = await startApp({ environment: { HOST: '0.0.0.0' } });
    for (const path of ['/health', '/api/health']) expect((await shop.get(path)).status).toBe(200);
    const { secret } = await shop.key();
    for (const path of ['/ready', '/v1/models', '/x402/balance/x', '/auth.md']) {
      const answer = await shop.get(path, { 'x-api-key': secret });
      expect([path, answer.status]).toEqual([path, 503]);
      expect(answer.text).toMatch(/not_configured|NOT_CONFIGURED/);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect((await shop.chat({ 'x-api-key': secret })).status).toBe(503);
    expect((await shop.post('/x402/top-up', '')).status).toBe(503);
    expect(shop.app.url).toBe('');
  });

  it('on loopback answers to all of its names, each with its own origin', async () => {
    await using shop = await startApp();
    expect((await shop.get('/ready')).status).toBe(200);
    expect(shop.app.url).toBe(shop.url);
    for (const name of ['127.0.0.1', 'localhost', '[::1]']) {
      const host = `${name}:${shop.port}`;
      const body = JSON.stringify(chatBody());
      const bytes = rawRequest('POST /v1/chat/completions', [`Host: ${host}`], body);
      const answer = await sendRaw(shop.port, bytes);
      expect(answer.status).toBe(402);
      expect(answer.body).toContain(`"url":"http://${host}/v1/chat/completions"`);
      const wallet = await shop.evm('1');
      const domain = { domain: host, uri: `http://${host}/` };
      const signIn = await wallet.signIn(domain);
      expect((await shop.chat({ 'sign-in-with-x': signIn })).status).toBe(200);
    }
  });

  it('ends what is under way before it ends, and takes nothing new', async () => {
    await using shop = await startApp();
    const { secret, accountId } = await shop.key('1');
    const headers = { 'x-api-key': secret };
    const [late, slow] = [gated(whole()), gated(goodStream())];
    shop.upstream.next(late.behaviour, slow.behaviour);
    const first = shop.chat(headers);
    await shop.upstream.arrived(1);
    const second = shop.chat(headers, { stream: true });
    await shop.upstream.arrived(2);
    const closing = shop.app.close();
    await sleep(20);
    await expect(fetch(`${shop.url}/health`)).rejects.toThrow();
    late.open();
    slow.open();
    expect((await first).status).toBe(200);
    expect((await second).text).toContain('[DONE]');
    const begun = performance.now();
    await closing;
    expect(performance.now() - begun).toBeLessThan(1_000);
    await using again = await startApp({ dataDir: shop.dataDir });
    const { posted, held } = await again.app.store.accounts.balance(accountId);
    expect([posted, held]).toEqual([999_970_000, 0]);
    await again.check();
  });

  it('charges an answer whose caller left, though it is about to end', async () => {
    await using shop = await startApp();
    const { secret, accountId } = await shop.key('1');
    const late = gated(whole());
    shop.upstream.next(late.behaviour);
    const body = JSON.stringify(chatBody());
    const socket = connect(shop.port, '127.0.0.1');
    socket.write(
      rawRequest('POST /v1/chat/completions', ['Host: h', `X-Api-Key: ${secret}`], body),
    );
    await shop.upstream.arrived(1);
    socket.destroy();
    const closing = shop.app.close();
    await sleep(50);
    late.open();
    await closing;
    await using again = await startApp({ dataDir: shop.dataDir });
    expect((await again.app.store.accounts.balance(accountId)).posted).toBe(999_985_000);
    await again.check();
  });

  it('does not wait for ever: what hangs is ended, and nothing of it is charged', async () => {
    await using shop = await startApp({
      change: ({ limits }) => {
        limits.drainMs = 200;
      },
    });
    const { secret, accountId } = await shop.key('1');
    const never = gated(whole());
    shop.upstream.next(never.behaviour);
    const hanging = shop.chat({ 'x-api-key': secret });
    const failed = expect(hanging).rejects.toThrow();
    await shop.upstream.arrived(1);
    const begun = performance.now();
    await shop.app.close();
    expect(performance.now() - begun).toBeLessThan(2_000);
    await failed;
    never.open();
    await using again = await startApp({ dataDir: shop.dataDir });
    const { posted, held } = await again.app.store.accounts.balance(accountId);
    expect([posted, held]).toEqual([1_000_000_000, 0]);
    await again.check();
  });

  it('is unavailable to connections that stay while it ends', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key('1');
    const late = gated(whole());
    shop.upstream.next(late.behaviour);
    const pending = shop.chat({ 'x-api-key': secret });
    await shop.upstream.arrived(1);
    // A connection in the middle of a request is not idle.
    const socket = connect(shop.port, '127.0.0.1');
    socket.write('GET /ready HTTP/1.1\r\nHost: h\r\n');
    await sleep(20);
    const closing = shop.app.close();
    await sleep(20);
    let said = '';
    socket.on('data', (chunk: Buffer) => (said += chunk.toString()));
    socket.write('\r\n');
    while (!said.includes('}')) await sleep(5);
    expect(said).toContain('503 Service Unavailable');
    expect(said.toLowerCase()).toContain('retry-after');
    late.open();
    await pending;
    await closing;
    socket.destroy();
  });

  it('is not built on a directory that another one uses, and leaves nothing behind', async () => {
    await using shop = await startApp();
    await expect(createApp(shop.app.config)).rejects.toThrow(/in use/);
    expect((await shop.get('/ready')).status).toBe(200);
  });

  it('says at start which engine recovers signers, and what the settings leave out', async () => {
    await using shop = await startApp({ change: (config) => void (config.origin!.notes = ['so']) });
    const started = shop.logged.find(({ event }) => event === 'listening');
    expect(started).toMatchObject({ mode: 'sandbox', port: shop.port, url: shop.url });
    expect(['native', 'viem']).toContain(started?.['secp256k1']);
    expect(shop.logged).toContainEqual({ event: 'config_note', note: 'so' });
  });
});
