import { createHash, randomBytes } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { MediaType } from '../../../src/config/config.ts';
import type { MediaRow } from '../../../src/db/tables.ts';
import { startApp, type TestApp } from '../../support/app.ts';
import { OpenNow } from '../../../src/http/open-now.ts';
import { mediaFile } from '../../../src/http/media/file.ts';
import type { Context } from '../../../src/http/request.ts';
import { mediaBench, mp4, png } from '../../support/media.ts';
import { manualClock } from '../../support/store.ts';

const FILM = mp4(100_000);
const HOUR_MS = 3_600_000;

let tasks = 0;

async function kept(
  app: TestApp,
  bytes: Buffer,
  type: MediaType = 'video',
  claimedType?: string,
): Promise<{ row: MediaRow; path: string; accountId: string }> {
  const { accountId } = await app.key('1');
  const { media, store } = app.app;
  const taskId = `task_file_${(tasks += 1)}`;
  const stored = await media.put(bytes, { taskId, accountId, index: 0, type, claimedType });
  await store.ledger.write((tx) => media.insertRows(tx, [stored]));
  const row = (await media.find(stored.id))!;
  return { row, path: new URL(media.view(row).url).pathname, accountId };
}

async function ask(
  app: TestApp,
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<{ status: number; headers: Headers; body: Buffer }> {
  const response = await fetch(app.url + path, { method, headers });
  const { status } = response;
  return { status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) };
}

describe('a link to a result', () => {
  it('answers the bytes with what a browser needs to be safe with them', async () => {
    await using app = await startApp();
    const { row, path } = await kept(app, FILM);
    expect(app.app.media.view(row).url.startsWith(`${app.url}/media/${row.id}/`)).toBe(true);
    const { status, headers, body } = await ask(app, path, { origin: 'https://shop.example' });
    expect([status, body.equals(FILM)]).toEqual([200, true]);
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'video/mp4',
      'content-length': String(FILM.length),
      'content-disposition': 'inline; filename="video.mp4"',
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining('sandbox'),
      'access-control-allow-origin': '*',
      'cross-origin-resource-policy': 'cross-origin',
      'referrer-policy': 'no-referrer',
      'accept-ranges': 'bytes',
      etag: `"${createHash('sha256').update(FILM).digest('hex')}"`,
      'cache-control': expect.stringMatching(/^private, max-age=\d+$/),
      'x-request-id': expect.stringMatching(/^req_/),
    });
    const head = await ask(app, path, {}, 'HEAD');
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect(head.headers.get('content-length')).toBe(String(FILM.length));
    const again = await ask(app, path, { 'if-none-match': headers.get('etag')! });
    expect([again.status, again.body.length]).toEqual([304, 0]);
  });

  it('has active things saved, never shown (M-3)', async () => {
    await using app = await startApp();
    const svg = Buffer.from(
      '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    );
    const raw = Buffer.alloc(64);
    for (const [bytes, type, claimed, name] of [
      [svg, 'image', 'image/svg+xml', 'image.svg'],
      [raw, 'sound', 'audio/pcm', 'audio.pcm'],
    ] as const) {
      const { path } = await kept(app, bytes, type, claimed);
      const { status, headers } = await ask(app, path);
      expect(status).toBe(200);
      expect(headers.get('content-disposition')).toBe(`attachment; filename="${name}"`);
      expect(headers.get('content-security-policy')).toMatch(/default-src 'none'.*sandbox$/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
    }
    // Whatever name is asked for, the answer is what it is.
    const { path } = await kept(app, png(), 'image');
    const renamed = path.replace('image.png', 'evil.html');
    const { headers } = await ask(app, renamed);
    expect(headers.get('content-type')).toBe('image/png');
    expect(headers.get('content-disposition')).toBe('inline; filename="image.png"');
  });

  it('gives one range at most (M-4)', async () => {
    await using app = await startApp();
    const { path, row } = await kept(app, FILM);
    const { length } = FILM;
    for (const [range, first, last] of [
      ['bytes=0-0', 0, 0],
      ['bytes=0-', 0, length - 1],
      ['bytes=10-19', 10, 19],
      ['bytes=-5', length - 5, length - 1],
      [`bytes=-${length * 2}`, 0, length - 1],
      [`bytes=${length - 1}-`, length - 1, length - 1],
      ['bytes=5-999999999', 5, length - 1],
    ] as const) {
      const { status, headers, body } = await ask(app, path, { range });
      expect([range, status]).toEqual([range, 206]);
      expect(headers.get('content-range')).toBe(`bytes ${first}-${last}/${length}`);
      expect(body.equals(FILM.subarray(first, last + 1))).toBe(true);
    }
    for (const range of [
      'bytes=0-0,1-1,2-2',
      `bytes=${Array.from({ length: 500 }, (_, n) => `${n}-${n}`).join(',')}`,
      `bytes=${length}-`,
      'bytes=9-1',
      'bytes=-0',
      'bytes=-',
      'bytes=a-b',
      'bytes=1e3-',
      'lines=1-2',
    ]) {
      const { status, headers, body } = await ask(app, path, { range });
      expect([range.slice(0, 30), status, body.length]).toEqual([range.slice(0, 30), 416, 0]);
      expect(headers.get('content-range')).toBe(`bytes */${length}`);
    }
    const since = { range: 'bytes=0-9', 'if-range': `"${row.sha256}"` };
    expect((await ask(app, path, since)).status).toBe(206);
    expect((await ask(app, path, { ...since, 'if-range': '"other"' })).status).toBe(200);
  });

  it('cannot be guessed, changed or made longer (M-1)', async () => {
    const clock = manualClock();
    await using app = await startApp({ clock });
    const { path, row } = await kept(app, FILM);
    const [, , id, token = '', name] = path.split('/');
    const [end = '', signature = ''] = token.split('.');
    const { row: other } = await kept(app, png(), 'image');
    const flipped = `${signature.slice(0, -1)}${signature.endsWith('A') ? 'B' : 'A'}`;
    for (const guess of [
      `/media/${id}/${end}.${flipped}/${name}`,
      `/media/${id}/${Number(end) + 3_600}.${signature}/${name}`,
      `/media/${id}/0${end}.${signature}/${name}`,
      `/media/${id}/${end}.${signature}=/${name}`,
      `/media/${id}/${end}.${randomBytes(16).toString('base64url')}/${name}`,
      `/media/${id}/${end}./${name}`,
      `/media/${id}/${end}/${name}`,
      `/media/${other.id}/${token}/${name}`,
      `/media/med_${randomBytes(16).toString('hex')}/${token}/${name}`,
      `/media/${id!.toUpperCase()}/${token}/${name}`,
      `/media/${id}/${token}`,
      `/media/${id}/${token}/${name}/more`,
      `/media/${id}`,
      '/media/',
    ]) {
      const { status, body } = await ask(app, guess);
      expect([guess, status]).toEqual([guess, 404]);
      expect(body.toString()).not.toContain(row.task_id);
    }
    clock.ms = Number(end) * 1_000 - 1;
    expect((await ask(app, path)).status).toBe(200);
    clock.ms += 1;
    const over = await ask(app, path);
    expect([over.status, over.headers.get('cache-control')]).toEqual([410, 'private, no-store']);
    expect(over.body.toString()).toContain(`GET /v1/tasks/${row.task_id}`);
    expect(over.headers.get('content-disposition')).toBeNull();
    const fresh = new URL(app.app.media.view(row).url).pathname;
    expect((await ask(app, fresh)).status).toBe(200);
  });

  it('leads to no file of anybody else’s, however it is written (M-2)', async () => {
    await using app = await startApp();
    const { path } = await kept(app, FILM);
    const [, , id, token] = path.split('/');
    const names = [
      '..',
      '../..',
      '%2e%2e',
      '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
      '..%5c..%5cfarebox.db',
      '%00',
      'x%00.mp4',
      '/etc/passwd',
      'CON',
      'a'.repeat(5_000),
      '%ff',
      '%',
    ];
    for (const name of names) {
      for (const target of [
        `/media/${name}/${token}/video.mp4`,
        `/media/${id}/${name}/video.mp4`,
        `/media/${id}/${token}/${name}`,
        `/media/${name}`,
      ]) {
        const text = await rawGet(app.port, target);
        const [, status = ''] = /^HTTP\/1\.1 (\d{3})/.exec(text) ?? [];
        // A name is for people only: with the right id and signature it changes nothing.
        const allowed = target.startsWith(`/media/${id}/${token}/`)
          ? ['200', '400', '404']
          : ['400', '404'];
        expect(allowed, `${target.slice(0, 80)} -> ${status}`).toContain(status);
        expect(text).not.toMatch(/root:|SQLite format/);
      }
    }
  });

  it('is over with the bytes (M-5)', async () => {
    const clock = manualClock();
    const retentionMs = 5 * HOUR_MS;
    await using app = await startApp({
      clock,
      change: (config) => (config.media.retentionMs = retentionMs),
    });
    const { path, row, accountId } = await kept(app, FILM);
    const { media } = app.app;
    expect(media.view(row).expires_at).toBe(new Date(clock.ms + retentionMs).toISOString());
    expect(await media.deleteOfTask('acc_house', row.task_id, 'owner')).toBe(0);
    expect((await ask(app, path)).status).toBe(200);
    expect(await media.deleteOfTask(accountId, row.task_id, 'owner')).toBe(1);
    const { status, body } = await ask(app, path);
    expect([status, JSON.parse(body.toString())]).toEqual([
      410,
      { error: { type: 'gateway_error', code: 'gone', message: 'This result was deleted.' } },
    ]);
    await app.check();
  });

  it('is read as slowly as its reader likes, and costs no memory (C-3)', async () => {
    await using app = await startApp({ change: (config) => (config.media.maxBytes = 2 ** 28) });
    const { path } = await kept(app, mp4(96 * 1024 * 1024));
    const before = process.memoryUsage().rss;
    const readers = Array.from({ length: 8 }, () => {
      const socket = connect(app.port, '127.0.0.1');
      socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${app.port}\r\n\r\n`);
      return socket;
    });
    // Each reads its first bytes and no more.
    await Promise.all(
      readers.map(
        (socket) =>
          new Promise<void>((resolve) =>
            socket.once('data', () => {
              socket.pause();
              resolve();
            }),
          ),
      ),
    );
    const other = await kept(app, png(), 'image');
    expect((await ask(app, other.path)).status).toBe(200);
    expect(process.memoryUsage().rss - before).toBeLessThan(80 * 1024 * 1024);
    for (const socket of readers) socket.destroy();
  });

  it('is taken away from a reader that has stopped (C-3)', async () => {
    await using bench = await mediaBench({ media: { maxBytes: 2 ** 26 } });
    const row = await bench.kept(mp4(32 * 1024 * 1024), { type: 'video' });
    const [, , id, token] = new URL(bench.media.view(row).url).pathname.split('/');
    const { media, store } = bench;
    const clientIp = () => '';
    const openNow = new OpenNow();
    const file = mediaFile({ media, clock: store.clock, clientIp, openNow, stalledMs: 50 });
    const server = createServer((req, res) => {
      const ctx = { req, res, method: 'GET', params: { id, token }, state: { headers: {} } };
      void file(ctx as unknown as Context);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const ended = new Promise<boolean>((resolve) =>
      server.on('request', (_request, response: ServerResponse) =>
        response.on('close', () => resolve(response.writableFinished)),
      ),
    );
    socket.pause();
    expect(await ended).toBe(false);
    socket.destroy();
    server.close();
  });

  it('is not downloaded by one address without end (M-4)', async () => {
    await using app = await startApp({ change: (config) => (config.media.maxBytes = 2 ** 26) });
    const { path } = await kept(app, mp4(32 * 1024 * 1024));
    const sockets = Array.from({ length: 33 }, () => connect(app.port, '127.0.0.1'));
    const first = sockets.map(
      (socket) =>
        new Promise<string>((resolve) => {
          socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${app.port}\r\n\r\n`);
          socket.once('data', (data) => {
            socket.pause();
            resolve(data.toString('latin1').slice(9, 12));
          });
        }),
    );
    const statuses = (await Promise.all(first)).toSorted();
    expect(statuses).toEqual([...Array<string>(32).fill('200'), '429']);
    for (const socket of sockets) socket.destroy();
    await expect.poll(async () => (await ask(app, path, { range: 'bytes=0-0' })).status).toBe(206);
  });
});

function rawGet(port: number, target: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', () => resolve(Buffer.concat(chunks).toString('latin1')));
    socket.on('error', reject);
    socket.write(`GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`);
  });
}
