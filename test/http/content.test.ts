import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { chatBody, startApp, type TestApp } from '../support/app.ts';
import { startAudioApp } from '../support/audio.ts';
import { operator } from '../support/operator.ts';
import { rawRequest, sendRaw } from '../support/raw-http.ts';
import { json } from '../support/upstream.ts';

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const BODY = JSON.stringify(chatBody());

const OTHER_TYPES = [
  'text/plain;charset=UTF-8',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/jsonp',
  'application/json, text/html',
  'application/xml',
  'image/png',
  'json',
  'application/+json/x',
];

async function post(app: TestApp, path: string, body: string | Uint8Array, headers: object) {
  const response = await fetch(app.url + path, {
    method: 'POST',
    body: typeof body === 'string' ? Buffer.from(body) : new Uint8Array(body),
    headers: { ...headers } as Record<string, string>,
  });
  return { status: response.status, text: await response.text() };
}

describe('a body', () => {
  it('of another type is no JSON, and is refused by name (C-7)', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const { secret } = await app.key('1');
    for (const type of OTHER_TYPES) {
      const as = (key: string) => ({ ...bearer(key), 'content-type': type });
      const refused = await post(app, '/v1/chat/completions', BODY, as(secret));
      expect([type, refused.status]).toEqual([type, 415]);
      expect(JSON.parse(refused.text)).toMatchObject({
        error: { code: 'unsupported_media_type', message: expect.stringContaining('Content-Type') },
      });
      const keys = await post(app, '/admin/api/keys', '{"type":"ADMIN"}', as(boss.secret));
      expect([type, keys.status]).toEqual([type, 415]);
    }
    expect(app.upstream.requests).toEqual([]);
    await app.check();
  });

  it('is JSON by any of its names, and where nothing is said (C-7)', async () => {
    await using app = await startApp();
    const { secret } = await app.key('1');
    const said = ['application/json; charset=utf-8', 'Application/JSON', 'application/vnd.x+json'];
    for (const type of said) {
      const headers = { ...bearer(secret), 'content-type': type };
      expect((await post(app, '/v1/chat/completions', BODY, headers)).status).toBe(200);
    }
    const lines = [`Host: h:${app.port}`, `Authorization: Bearer ${secret}`];
    const nothing = await sendRaw(app.port, rawRequest('POST /v1/chat/completions', lines, BODY));
    expect(nothing.status).toBe(200);
  });

  it('that is packed is refused before it is unpacked (C-7)', async () => {
    await using app = await startApp();
    const { secret } = await app.key('1');
    const packed = gzipSync(BODY);
    for (const encoding of ['gzip', 'br', 'deflate', 'identity, gzip', 'x-whatever']) {
      const headers = {
        ...bearer(secret),
        'content-type': 'application/json',
        'content-encoding': encoding,
      };
      const refused = await post(app, '/v1/chat/completions', packed, headers);
      expect([encoding, refused.status]).toEqual([encoding, 415]);
      expect(refused.text).toContain('Content-Encoding');
      const identity = { ...headers, 'content-encoding': 'identity' };
      expect((await post(app, '/v1/chat/completions', BODY, identity)).status).toBe(200);
    }
  });

  it('of nobody is not looked at: it is told how to pay first', async () => {
    await using app = await startApp();
    const headers = { 'content-type': 'text/plain', 'content-encoding': 'gzip' };
    expect((await post(app, '/v1/chat/completions', BODY, headers)).status).toBe(402);
  });

  it.each([
    ['a hundred thousand fields', 'x'.repeat(1), 100_000],
    ['fields in fields', 'multipart/mixed', 5_000],
  ])('that is a form of %s is refused at once (C-7)', async (_what, name, count) => {
    await using app = await startAudioApp();
    const { secret } = await app.key('1');
    const part = `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n1\r\n`;
    const startedMs = performance.now();
    const refused = await post(app, '/v1/audio/transcriptions', `${part.repeat(count)}--b--`, {
      ...bearer(secret),
      'content-type': 'multipart/form-data; boundary=b',
    });
    expect(refused.status).toBe(400);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    expect(app.upstream.requests).toEqual([]);
    await app.check();
  });

  it('that is a form whose file has a name of any script goes through (C-7)', async () => {
    await using app = await startAudioApp();
    const { secret } = await app.key('1');
    app.upstream.usually(json(200, { text: 'Hello.' }));
    const names = ['ünïcode-文件.wav', '../../etc/passwd', 'a"b.wav', '\u202egnp.wav'];
    for (const name of names) {
      const form = new FormData();
      form.append('model', 'ears');
      form.append('file', new Blob([new Uint8Array(2_000)], { type: 'audio/wav' }), name);
      const response = await fetch(`${app.url}/v1/audio/transcriptions`, {
        method: 'POST',
        headers: bearer(secret),
        body: form,
      });
      expect([name, response.status, await response.text()]).toEqual([
        name,
        200,
        expect.anything(),
      ]);
    }
    await app.check();
  });

  it('that arrives byte by byte is refused long before it is whole (C-13)', async () => {
    await using app = await startApp();
    const { secret } = await app.key('1');
    const lines = [
      `Host: h:${app.port}`,
      `Authorization: Bearer ${secret}`,
      'Content-Type: application/json',
      'Transfer-Encoding: chunked',
    ];
    // Fifty megabytes as they would stand in a prompt, one to a chunk.
    let sent = 0;
    async function* bytes() {
      yield rawRequest('POST /v1/chat/completions', lines);
      const piece = Buffer.from('1\r\na\r\n'.repeat(2_000));
      for (; sent < 50_000_000; sent += 2_000) yield piece;
    }
    const before = process.cpuUsage();
    const answer = await sendRaw(app.port, bytes(), { untilClosed: true });
    const { user, system } = process.cpuUsage(before);
    expect(answer.status).toBe(400);
    expect(answer.body).toContain('too many pieces');
    expect(sent).toBeLessThan(1_000_000);
    expect((user + system) / 1e6).toBeLessThan(2);
    expect((await app.chat(bearer(secret))).status).toBe(200);
    await app.check();
  });

  it('that arrives in small pieces is put together as it was sent (C-13)', async () => {
    await using app = await startApp();
    const { secret } = await app.key('1');
    const text = 'word '.repeat(3_000);
    const body = JSON.stringify(chatBody({ messages: [{ role: 'user', content: text }] }));
    const chunks = Array.from(body, (sign) => `1\r\n${sign}\r\n`).join('');
    const lines = [
      `Host: h:${app.port}`,
      `Authorization: Bearer ${secret}`,
      'Content-Type: application/json',
      'Transfer-Encoding: chunked',
    ];
    const bytes = `${rawRequest('POST /v1/chat/completions', lines)}${chunks}0\r\n\r\n`;
    expect((await sendRaw(app.port, bytes)).status).toBe(200);
    expect(app.upstream.requests[0]!.json['messages']).toEqual([{ role: 'user', content: text }]);
  });
});

describe('connections', () => {
  const open = (port: number, count: number): Promise<Socket[]> =>
    Promise.all(
      Array.from({ length: count }, async () => {
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => {});
        await new Promise((resolve) => socket.once('connect', resolve));
        return socket;
      }),
    );

  it('that say nothing take nothing from those that do: two thousand beside a request (C-2)', async () => {
    await using app = await startApp();
    const { secret } = await app.key('1');
    await app.chat(bearer(secret));
    const idle = await open(app.port, 2_000);
    const startedMs = performance.now();
    expect((await app.chat(bearer(secret))).status).toBe(200);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    for (const socket of idle) socket.destroy();
    await app.check();
  });

  it('of one address are bounded where that is wanted, and room comes back (C-2)', async () => {
    await using app = await startApp({
      change: ({ limits }) => {
        limits.connectionsPerAddress = 5;
      },
    });
    const idle = await open(app.port, 5);
    const health = rawRequest('GET /health', [`Host: 127.0.0.1:${app.port}`]);
    expect((await sendRaw(app.port, health, { untilClosed: true })).status).toBe(0);
    expect(app.logged.some(({ event }) => event === 'connections_dropped')).toBe(true);
    for (const socket of idle) socket.destroy();
    await expect.poll(async () => (await sendRaw(app.port, health)).status).toBe(200);
  });

  it('of a trusted proxy are not', async () => {
    await using app = await startApp({
      change: ({ limits, server }) => {
        limits.connectionsPerAddress = 2;
        server.trustedProxies = ['127.0.0.0/8'];
      },
    });
    const idle = await open(app.port, 10);
    const health = rawRequest('GET /health', [`Host: 127.0.0.1:${app.port}`]);
    expect((await sendRaw(app.port, health)).status).toBe(200);
    for (const socket of idle) socket.destroy();
  });
});

describe('what the parser refuses', () => {
  it('has a request id like every other answer', async () => {
    await using app = await startApp();
    const answer = await sendRaw(app.port, 'GET / HTTP/1.1\r\nHost: h\r\nNonsense\r\n\r\n', {
      untilClosed: true,
    });
    expect(answer.status).toBe(400);
    expect(answer.head).toMatch(/^X-Request-Id: req_\w+\r?$/m);
  });
});
