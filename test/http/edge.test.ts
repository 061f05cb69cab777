import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { chatBody, startApp } from '../support/app.ts';
import { rawRequest, sendRaw } from '../support/raw-http.ts';
import { ROLE, startStream, words, write } from '../support/upstream.ts';

const JSON_TYPE = 'Content-Type: application/json';

describe('the edge', () => {
  it('refuses two Host headers, and none (H-3)', async () => {
    await using shop = await startApp();
    const host = `Host: 127.0.0.1:${shop.port}`;
    for (const path of ['/health', '/v1/models', '/v1/chat/completions']) {
      const two = await sendRaw(shop.port, rawRequest(`GET ${path}`, [host, 'host: evil.example']));
      expect([path, two.status]).toEqual([path, 400]);
    }
    expect((await sendRaw(shop.port, 'GET /health HTTP/1.1\r\n\r\n')).status).toBe(400);
  });

  it('refuses headers above 16 KiB with 431 and serves what is just below (H-4)', async () => {
    await using shop = await startApp();
    const host = `Host: 127.0.0.1:${shop.port}`;
    const filled = (bytes: number) =>
      rawRequest('GET /health', [host, `X-Fill: ${'a'.repeat(bytes)}`]);
    expect((await sendRaw(shop.port, filled(15_000))).status).toBe(200);
    const large = await sendRaw(shop.port, filled(16_500), { untilClosed: true });
    expect(large.status).toBe(431);
    expect(large.body).toContain('"code":"headers_too_large"');
    expect(large.isClosed).toBe(true);
  });

  it.each([
    ['two lengths', ['Content-Length: 4', 'Content-Length: 5']],
    ['a length and chunks', ['Content-Length: 4', 'Transfer-Encoding: chunked']],
    ['a folded header', ['X-Fold: a', ' b']],
    ['a header without a colon', ['Nonsense']],
  ])('refuses %s (H-1)', async (_name, lines) => {
    await using shop = await startApp();
    const bytes = `POST /x402/top-up HTTP/1.1\r\nHost: h\r\n${lines.join('\r\n')}\r\n\r\nbody`;
    const answer = await sendRaw(shop.port, bytes, { untilClosed: true });
    expect(answer.status).toBe(400);
    expect(answer.isClosed).toBe(true);
  });

  it('refuses absolute URIs, other methods and upgrades (H-5, H-10)', async () => {
    await using shop = await startApp();
    const host = `Host: 127.0.0.1:${shop.port}`;
    const absolute = rawRequest('GET http://evil.example/health', [host]);
    expect((await sendRaw(shop.port, absolute)).status).toBe(400);
    expect((await sendRaw(shop.port, rawRequest('TRACE /v1/models', [host]))).status).toBe(405);
    const override = [host, JSON_TYPE, 'X-HTTP-Method-Override: POST'];
    const overridden = rawRequest('GET /v1/chat/completions', override);
    expect((await sendRaw(shop.port, overridden)).status).toBe(405);
    const upgrade = [host, 'Connection: Upgrade', 'Upgrade: websocket'];
    expect((await sendRaw(shop.port, rawRequest('GET /health', upgrade))).status).toBe(200);
  });

  it('closes a connection that sends its headers, or its body, too slowly (C-1)', async () => {
    await using shop = await startApp({
      change: ({ limits }) => {
        limits.headersTimeoutMs = 300;
        limits.requestTimeoutMs = 600;
      },
    });
    const host = `Host: 127.0.0.1:${shop.port}`;
    const half = 'POST /v1/chat/completions HTTP/1.1\r\n';
    const body = rawRequest('POST /v1/chat/completions', [host, 'Content-Length: 100']) + '{';
    const answers = await Promise.all([
      sendRaw(shop.port, half, { untilClosed: true, waitMs: 4_000 }),
      sendRaw(shop.port, body, { untilClosed: true, waitMs: 4_000 }),
    ]);
    for (const { status, isClosed, body: said } of answers) {
      expect([status, isClosed]).toEqual([408, true]);
      expect(said).toContain('request_timeout');
    }
  });

  it('refuses a body over the limit before it is sent, and while it is (C-4)', async () => {
    await using shop = await startApp({
      change: ({ limits }) => {
        limits.bodyBytes = 100_000;
      },
    });
    const { secret } = await shop.key();
    const head = [`Host: 127.0.0.1:${shop.port}`, JSON_TYPE, `X-Api-Key: ${secret}`];
    const declared = rawRequest('POST /v1/chat/completions', [
      ...head,
      'Content-Length: 1000000000',
    ]);
    const early = await sendRaw(shop.port, declared, { untilClosed: true, waitMs: 5_000 });
    expect([early.status, early.isClosed]).toEqual([413, true]);
    expect(early.body).toContain('"code":"body_too_large"');

    const begin = rawRequest('POST /v1/chat/completions', [...head, 'Transfer-Encoding: chunked']);
    async function* endless() {
      yield begin;
      for (;;) {
        yield `10000\r\n${'x'.repeat(65_536)}\r\n`;
        await sleep(1);
      }
    }
    const late = await sendRaw(shop.port, endless(), { untilClosed: true, waitMs: 5_000 });
    expect([late.status, late.isClosed]).toEqual([413, true]);

    const venice = await shop.post('/api/v1/chat/completions', 'x'.repeat(150_000), {
      'x-api-key': secret,
    });
    expect(venice.status).toBe(413);
    expect(venice.json['code']).toBe('PAYLOAD_TOO_LARGE');
    expect((await shop.chat({ 'x-api-key': secret })).status).toBe(200);
  });

  it('writes no refusal into the middle of an answer', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key('1');
    shop.upstream.next(async (response, request) => {
      startStream(response);
      await write(response, ROLE + words(1).join(''));
      await request.closed;
    });
    const head = ['Host: h', JSON_TYPE, `X-Api-Key: ${secret}`];
    const body = JSON.stringify(chatBody({ stream: true }));
    async function* requestThenNoise() {
      yield rawRequest('POST /v1/chat/completions', head, body);
      await shop.upstream.arrived(1);
      await sleep(50);
      yield 'this is no request\r\n\r\n';
    }
    const answer = await sendRaw(shop.port, requestThenNoise(), { untilClosed: true });
    expect([answer.status, answer.isClosed]).toEqual([200, true]);
    expect(answer.body).toContain('word0');
    expect(answer.body).not.toContain('HTTP/1.1');
  });

  it('forgets a caller that leaves while it sends (C-8)', async () => {
    await using shop = await startApp();
    const { secret, accountId } = await shop.key('1');
    const head = [`Host: h`, JSON_TYPE, `X-Api-Key: ${secret}`, 'Content-Length: 5000'];
    const socket = connect(shop.port, '127.0.0.1');
    socket.write(`${rawRequest('POST /v1/chat/completions', head)}{"model":`);
    while (!shop.logged.some(({ event }) => event === 'listening')) await sleep(5);
    await sleep(50);
    socket.destroy();
    while (!shop.logged.some(({ event, status }) => event === 'request' && status === 499)) {
      await sleep(5);
    }
    expect(shop.upstream.requests).toHaveLength(0);
    expect((await shop.app.store.accounts.balance(accountId)).held).toBe(0);
    expect(shop.logged.filter(({ event }) => event === 'request_failed')).toEqual([]);
  });

  it('takes no more connections than it is told to', async () => {
    await using shop = await startApp({
      change: ({ limits }) => {
        limits.connections = 3;
      },
    });
    const idle = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const socket = connect(shop.port, '127.0.0.1');
        await new Promise((resolve) => socket.once('connect', resolve));
        return socket;
      }),
    );
    const host = `Host: 127.0.0.1:${shop.port}`;
    const health = rawRequest('GET /health', [host]);
    const fourth = await sendRaw(shop.port, health, { untilClosed: true });
    expect([fourth.status, fourth.isClosed]).toEqual([0, true]);
    expect(shop.logged.some(({ event }) => event === 'connections_dropped')).toBe(true);
    for (const socket of idle) socket.destroy();
    await sleep(20);
    expect((await sendRaw(shop.port, health)).status).toBe(200);
  });

  it('stands names that mean something to JavaScript (H-6)', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    const names = ['__proto__', 'constructor', 'toString'];
    for (const name of names) {
      expect((await shop.get(`/v1/models/${name}`)).status).toBe(404);
      expect(
        (await shop.post(`/x402/top-up?${name}=1`, `{"${name}":{"amount_usd":"5"}}`)).status,
      ).toBe(402);
      const headers = { 'x-api-key': secret, [name]: 'x' };
      expect((await shop.post('/v1/chat/completions', chatBody(), headers)).status).toBe(200);
    }
  });
});
