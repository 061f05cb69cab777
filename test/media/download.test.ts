import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { FetchOptions, MediaSource } from '../../src/media/store.ts';
import { aboutTask, mediaBench, type MediaBench, mp4, png } from '../support/media.ts';
import {
  type Answering,
  bytes,
  endless,
  type Receiver,
  silent,
  startReceiver,
  status,
} from '../support/receiver.ts';

const FILM = mp4(200_000);
const ELSEWHERE = 'https://api.example.com/v1';

interface Setup extends AsyncDisposable {
  bench: MediaBench;
  cdn: Receiver;
  fetch(
    source?: Partial<Extract<MediaSource, { url: string }>>,
    options?: Partial<FetchOptions>,
  ): ReturnType<MediaBench['media']['fetchAsset']>;
}

async function setup(...answers: Answering[]): Promise<Setup> {
  const bench = await mediaBench();
  const cdn = await startReceiver(bytes(FILM, { 'content-type': 'video/mp4' }));
  cdn.next(...answers);
  return {
    bench,
    cdn,
    fetch: (source, options) =>
      bench.media.fetchAsset(
        { url: `${cdn.origin}/out.mp4?sig=1`, ...source },
        aboutTask(bench.accountId, 'video'),
        { channel: { baseUrl: ELSEWHERE }, pauseMs: 1, ...options },
      ),
    [Symbol.asyncDispose]: async () => {
      await bench[Symbol.asyncDispose]();
      await cdn.close();
    },
  };
}

/** The first bytes of the film in drops, then the end of the connection. */
function broken(length: number, headers: Record<string, string> = {}): Answering {
  return (response) => {
    response.writeHead(200, { 'content-length': String(FILM.length), ...headers });
    let sent = 0;
    const timer = setInterval(() => {
      if (sent >= length) {
        clearInterval(timer);
        response.destroy();
      } else response.write(FILM.subarray(sent, (sent += length / 10)));
    }, 4);
  };
}

/** As a server that knows ranges. */
const ranged: Answering = (response, { headers }) => {
  const first = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')![1]);
  const rest = FILM.subarray(first);
  response.writeHead(206, {
    etag: '"one"',
    'content-length': String(rest.length),
    'content-range': `bytes ${first}-${FILM.length - 1}/${FILM.length}`,
  });
  response.end(rest);
};

const sha256 = createHash('sha256').update(FILM).digest('hex');

describe('a link to a result', () => {
  it('is copied, with the headers that its provider gave and no others', async () => {
    await using it = await setup();
    const stored = await it.fetch({ headers: { 'x-goog-api-key': 'k' } });
    expect(stored).toMatchObject({ bytes: FILM.length, sha256, contentType: 'video/mp4' });
    const [asked] = it.cdn.requests;
    expect(asked!.path).toBe('/out.mp4?sig=1');
    expect(Object.keys(asked!.headers).toSorted()).toEqual([
      'accept-encoding',
      'connection',
      'host',
      'x-goog-api-key',
    ]);
  });

  it('goes on where it broke off, when the file is the same', async () => {
    const etag = { etag: '"one"' };
    await using it = await setup(broken(90_000, etag), (response) => response.destroy(), ranged);
    expect(await it.fetch()).toMatchObject({ bytes: FILM.length, sha256 });
    const last = it.cdn.requests.at(-1)!.headers;
    expect(last['if-range']).toBe('"one"');
    expect(Number(/\d+/.exec(last.range!)![0])).toBeGreaterThan(0);
  });

  it('starts again where the file may be another one, or the server does not go on', async () => {
    await using it = await setup(
      broken(10_000),
      broken(10_000, { etag: 'W/"weak"' }),
      broken(50_000, { etag: '"one"' }),
      bytes(FILM, { etag: '"two"' }),
    );
    expect(await it.fetch()).toMatchObject({ bytes: FILM.length, sha256 });
    expect(it.cdn.requests.map(({ headers }) => headers.range !== undefined)).toEqual([
      false,
      false,
      false,
      true,
    ]);
    const wrongPlace = bytes(FILM.subarray(5), { 'content-range': 'bytes 5-9/10' }, 206);
    it.cdn.next(broken(50_000, { etag: '"one"' }), wrongPlace);
    expect(await it.fetch()).toMatchObject({ bytes: FILM.length, sha256 });
  });

  it('is asked again after a moment when its server fails or is busy', async () => {
    await using it = await setup(status(500), status(429), (response) => response.destroy());
    expect(await it.fetch()).toMatchObject({ sha256 });
    expect(it.cdn.requests).toHaveLength(4);
    it.cdn.usually(status(503));
    await expect(it.fetch()).rejects.toMatchObject({
      code: 'upstream_failed',
      details: { reason: 'unreachable' },
    });
    expect(it.cdn.requests).toHaveLength(8);
  });

  it('that is dead is dead at once (T-5)', async () => {
    for (const code of [400, 401, 403, 404, 410, 451]) {
      await using it = await setup(status(code));
      await expect(it.fetch()).rejects.toMatchObject({ details: { reason: 'dead_link' } });
      expect(it.cdn.requests).toHaveLength(1);
    }
  });

  it('is refused where it is too large, by what is said and by what comes (T-14)', async () => {
    let sent = 0;
    await using it = await setup(
      (response) => {
        response.writeHead(200, { 'content-length': String(2 * 1024 ** 3) });
        response.write(FILM);
      },
      endless(200, (length) => (sent += length)),
    );
    await expect(it.fetch()).rejects.toMatchObject({ details: { reason: 'too_large' } });
    await expect(it.fetch()).rejects.toMatchObject({ details: { reason: 'too_large' } });
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    const incoming = join(it.bench.store.dataDir, 'media', 'incoming');
    expect(await readdir(incoming)).toEqual([]);
  });

  it('is refused where it is a page, empty, or compressed unasked (T-14, U-7)', async () => {
    const page = bytes('<html>Sign in</html>', { 'content-type': 'video/mp4' });
    await using it = await setup(page, bytes(''), bytes(FILM, { 'content-encoding': 'gzip' }));
    for (const reason of ['wrong_type', 'empty', 'wrong_type']) {
      await expect(it.fetch()).rejects.toMatchObject({ details: { reason } });
    }
    expect(it.cdn.requests).toHaveLength(3);
  });

  it('leads to no private host but the channel’s own, and nowhere else from there (W-8)', async () => {
    await using store = await mediaBench();
    await using bench = await mediaBench({
      store: store.store,
      webhooks: { allowPrivate: [], ports: [443, 80] },
    });
    await using own = await startReceiver(bytes(png()));
    await using other = await startReceiver(bytes(png()));
    const fetch = (url: string) =>
      bench.media.fetchAsset({ url }, aboutTask(bench.accountId), {
        channel: { baseUrl: `${own.origin}/v1` },
        pauseMs: 1,
      });
    expect(await fetch(`${own.origin}/a.png`)).toMatchObject({ contentType: 'image/png' });
    own.next(status(302, { location: `${other.origin}/` }));
    for (const url of [
      `${own.origin}/moved`,
      `${other.origin}/a.png`,
      'http://169.254.169.254/latest/meta-data/',
      'http://localhost/a.png',
      'https://localhost:8402/',
      'file:///etc/passwd',
      'data:image/png;base64,AAAA',
      '/v1/a.png',
      `http://user:pass@127.0.0.1/`,
    ]) {
      await expect(fetch(url), url).rejects.toMatchObject({ details: { reason: 'refused' } });
    }
    expect(other.connections()).toBe(0);
  });

  it('is waited for so long and no longer', async () => {
    await using it = await setup(silent);
    await expect(it.fetch({}, { deadlineMs: 60 })).rejects.toMatchObject({
      details: { reason: 'unreachable' },
    });
    it.cdn.next((response) => {
      response.writeHead(200, { etag: '"one"' });
      const timer = setInterval(() => response.write('x'), 10);
      response.on('close', () => clearInterval(timer));
    });
    await expect(it.fetch({}, { deadlineMs: 100 })).rejects.toMatchObject({
      details: { reason: 'unreachable' },
    });
    it.cdn.usually(silent);
    const leaving = new AbortController();
    const left = it.fetch({}, { signal: leaving.signal });
    await it.cdn.arrived(3);
    leaving.abort();
    await expect(left).rejects.toThrow();
  });

  it('may be the bytes themselves', async () => {
    await using it = await setup();
    const about = aboutTask(it.bench.accountId, 'image');
    const channel = { baseUrl: ELSEWHERE };
    const source = { bytes: png(), contentType: 'image/webp' };
    const stored = await it.bench.media.fetchAsset(source, about, { channel });
    expect(stored).toMatchObject({ contentType: 'image/png', bytes: png().length });
    expect(it.cdn.connections()).toBe(0);
  });
});
