import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MediaConfig } from '../../src/config/config.ts';
import { Spool } from '../../src/media/spool.ts';
import { MediaStore } from '../../src/media/store.ts';
import { silentLog } from '../../src/log.ts';
import { DiskBlobs } from '../../src/media/disk.ts';
import { Outbound } from '../../src/outbound.ts';
import { bytes as answer, startReceiver } from '../support/receiver.ts';
import {
  aboutTask,
  type Bucket,
  mediaBench,
  mp3,
  mp4,
  ORIGIN,
  png,
  startBucket,
  wav,
} from '../support/media.ts';

const DAY_MS = 86_400_000;

let bucket: Bucket;
beforeAll(async () => {
  bucket = await startBucket();
});
afterAll(() => bucket[Symbol.asyncDispose]());

const places: [name: string, media: () => Partial<MediaConfig>][] = [
  ['on disk', () => ({})],
  ['in a bucket', () => ({ store: 's3', s3: bucket.config })],
];

describe.each(places)('a result %s', (_place, media) => {
  it('comes out as it went in, whole and in ranges', async () => {
    await using bench = await mediaBench({ media: media() });
    const bytes = png(300_000);
    const row = await bench.kept(bytes);
    expect(row).toMatchObject({
      account_id: bench.accountId,
      idx: 0,
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      content_type: 'image/png',
      expires_at: bench.store.clock.ms + bench.config.retentionMs,
      deleted_at: null,
    });
    expect((await bench.bytesOf(row)).equals(bytes)).toBe(true);
    for (const [first, last] of [
      [0, 0],
      [0, 99],
      [70_000, 200_000],
      [bytes.length - 1, bytes.length - 1],
    ] as const) {
      const part = await bench.bytesOf(row, { first, last });
      expect(part.equals(bytes.subarray(first, last + 1)), `${first}-${last}`).toBe(true);
    }
  });

  it('may come in pieces, and many at once', async () => {
    await using bench = await mediaBench({ media: media() });
    const stored = await Promise.all(
      Array.from({ length: 40 }, (_, n) => {
        const bytes = png(n * 1_000);
        const pieces = async function* () {
          for (let at = 0; at < bytes.length; at += 777) yield bytes.subarray(at, at + 777);
        };
        return bench.media.put(pieces(), { ...aboutTask(bench.accountId), index: 0 });
      }),
    );
    await bench.insert(stored);
    expect(new Set(stored.map(({ id }) => id)).size).toBe(40);
    for (const { id, bytes } of stored) {
      const row = (await bench.media.find(id))!;
      expect((await bench.bytesOf(row)).length).toBe(bytes);
    }
    await bench.store.check();
  });

  it('is listed with its task in order, and not after it was deleted', async () => {
    await using bench = await mediaBench({ media: media() });
    const about = aboutTask(bench.accountId);
    const stored = [];
    for (const index of [2, 0, 1])
      stored.push(await bench.media.put(png(index), { ...about, index }));
    const other = await bench.kept(png());
    await bench.insert(stored);
    const rows = await bench.media.ofTasks([about.taskId]);
    expect(rows.map(({ idx }) => idx)).toEqual([0, 1, 2]);
    expect(await bench.media.ofTasks([])).toEqual([]);
    expect(await bench.media.ofTasks([about.taskId, other.task_id])).toHaveLength(4);
    // Somebody else's account takes nothing away.
    expect(await bench.media.deleteOfTask('acc_other', about.taskId, 'owner')).toBe(0);
    expect(await bench.media.deleteOfTask(bench.accountId, about.taskId, 'completed')).toBe(3);
    expect(await bench.media.deleteOfTask(bench.accountId, about.taskId, 'owner')).toBe(0);
    expect(await bench.media.ofTasks([about.taskId])).toEqual([]);
    const row = (await bench.media.find(stored[0]!.id))!;
    expect(row).toMatchObject({ deleted_at: bench.store.clock.ms, deleted_because: 'completed' });
    await expect(bench.media.open(row)).rejects.toMatchObject({ code: 'gone' });
    // Not by the row alone: the bytes are away.
    const lie = { ...row, deleted_at: null, deleted_because: null };
    await expect(bench.media.open(lie)).rejects.toMatchObject({ code: 'gone' });
    expect(bench.logged.at(-1)).toMatchObject({ event: 'media_missing', media: row.id });
    expect((await bench.bytesOf(other)).equals(png())).toBe(true);
  });

  it('goes when its time is over; the row stays and says why (M-5)', async () => {
    await using bench = await mediaBench({ media: { ...media(), retentionMs: 3 * DAY_MS } });
    const old = await bench.kept(png(1));
    bench.store.clock.ms += 2 * DAY_MS;
    const young = await bench.kept(png(2));
    await bench.upkeep.sweep();
    expect((await bench.media.find(old.id))!.deleted_at).toBeNull();
    bench.store.clock.ms += DAY_MS;
    await bench.upkeep.sweep();
    const row = (await bench.media.find(old.id))!;
    expect(row).toMatchObject({ deleted_at: bench.store.clock.ms, deleted_because: 'retention' });
    await expect(bench.media.open(old)).rejects.toMatchObject({ code: 'gone' });
    expect((await bench.bytesOf(young)).equals(png(2))).toBe(true);
    await bench.store.check();
  });

  it('without a row is swept away after an hour, and nothing else is (I26)', async () => {
    await using bench = await mediaBench({ media: media() });
    const orphan = await bench.media.put(png(1), aboutTask(bench.accountId));
    const kept = await bench.kept(png(2));
    const taken = await bench.media.put(png(3), aboutTask(bench.accountId));
    await bench.media.discard([taken]);
    const row = { ...kept, id: orphan.id, place: orphan.place };
    const sweepAll = async () => {
      for (let page = 0; page < 4; page += 1) await bench.upkeep.sweep();
    };
    bench.store.clock.ms = Date.now() + 3_500_000;
    await sweepAll();
    expect((await bench.bytesOf(row)).equals(png(1))).toBe(true);
    await expect(bench.media.open({ ...row, place: taken.place })).rejects.toMatchObject({
      code: 'gone',
    });
    bench.store.clock.ms = Date.now() + 3_700_000;
    await sweepAll();
    await expect(bench.media.open(row)).rejects.toMatchObject({ code: 'gone' });
    expect((await bench.bytesOf(kept)).equals(png(2))).toBe(true);
    // Of a transaction that wrote it twice nothing is left either.
    await expect(bench.insert([orphan, orphan])).rejects.toThrow(/unique/i);
    expect(await bench.media.find(orphan.id)).toBeUndefined();
  });
});

describe('what is taken in', () => {
  it('is recognised by its bytes, whatever is said of it', async () => {
    await using bench = await mediaBench();
    const kinds: [Buffer, Parameters<typeof aboutTask>[1], string | undefined, string][] = [
      [png(), 'image', 'text/html', 'image/png'],
      [png(), 'upscale', undefined, 'image/png'],
      [mp4(), 'video', 'application/octet-stream', 'video/mp4'],
      [wav(), 'music', 'audio/mpeg', 'audio/wav'],
      [mp3(), 'music', undefined, 'audio/mpeg'],
      [mp4(), 'sound', 'video/mp4', 'audio/mp4'],
      [Buffer.concat([Buffer.alloc(64), Buffer.alloc(64, 9)]), 'sound', 'audio/pcm', 'audio/pcm'],
      [
        Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
        'image',
        'image/svg+xml',
        'image/svg+xml',
      ],
    ];
    for (const [bytes, type, claimedType, contentType] of kinds) {
      const about = { ...aboutTask(bench.accountId, type), claimedType };
      expect((await bench.media.put(bytes, about)).contentType).toBe(contentType);
    }
  });

  it('is refused where it is something else (T-14)', async () => {
    await using bench = await mediaBench();
    const html = Buffer.from('<!doctype html><title>404</title><script>alert(1)</script>');
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>');
    const refused: [Buffer, Parameters<typeof aboutTask>[1], string | undefined][] = [
      [html, 'video', 'video/mp4'],
      [html, 'image', 'image/png'],
      [html, 'image', 'image/svg+xml'],
      [html, 'sound', 'audio/pcm'],
      [svg, 'image', 'image/png'],
      [svg, 'video', 'image/svg+xml'],
      [Buffer.from('{"error":"not found"}'), 'image', 'image/png'],
      [Buffer.from('%PDF-1.7\n%âãÏÓ'), 'image', 'image/png'],
      [Buffer.from('PK\x03\x04aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'), 'video', 'video/mp4'],
      [Buffer.from('\x7fELF\x02\x01\x01aaaaaaaaaaaaaaaaaaaaaaaaaa'), 'video', 'video/mp4'],
      [Buffer.from('MZ'.padEnd(200, '\0')), 'video', 'video/mp4'],
      [png(), 'video', 'video/mp4'],
      [png(), 'music', 'audio/mpeg'],
      [mp4(), 'image', 'image/png'],
      [wav(), 'video', 'video/mp4'],
      [Buffer.concat([html, mp4()]), 'video', 'video/mp4'],
    ];
    for (const [bytes, type, claimedType] of refused) {
      const about = { ...aboutTask(bench.accountId, type), claimedType };
      await expect(
        bench.media.put(bytes, about),
        bytes.toString('latin1').slice(0, 20),
      ).rejects.toMatchObject({
        code: 'upstream_failed',
        details: { reason: 'wrong_type' },
      });
    }
    const empty = bench.media.put(Buffer.alloc(0), aboutTask(bench.accountId));
    await expect(empty).rejects.toMatchObject({ details: { reason: 'empty' } });
  });

  it('may have pictures beside it, but not in its place', async () => {
    await using bench = await mediaBench();
    const about = aboutTask(bench.accountId, 'video');
    await expect(bench.media.put(png(), about)).rejects.toMatchObject({ code: 'upstream_failed' });
    const film = await bench.media.put(mp4(), about);
    const last = await bench.media.put(png(), { ...about, index: 1 });
    await bench.insert([film, last]);
    const rows = await bench.media.ofTasks([about.taskId]);
    expect(rows.map(({ content_type }) => content_type)).toEqual(['video/mp4', 'image/png']);
  });

  it('is at most so large, and leaves nothing behind when it is larger (T-14)', async () => {
    await using bench = await mediaBench({ media: { maxBytes: 10_000 } });
    const about = aboutTask(bench.accountId);
    const exact = png(10_000 - png().length);
    expect((await bench.media.put(exact, about)).bytes).toBe(10_000);
    await expect(bench.media.put(png(10_000), about)).rejects.toMatchObject({
      details: { reason: 'too_large' },
    });
    const endless = async function* () {
      for (;;) yield Buffer.alloc(4_096, 1);
    };
    await expect(bench.media.put(endless(), about)).rejects.toMatchObject({
      details: { reason: 'too_large' },
    });
    expect(await readdir(join(bench.store.dataDir, 'media', 'incoming'))).toEqual([]);
  });

  it('leaves room on the disk for the ledger, and nothing behind where there is none', async () => {
    await using bench = await mediaBench();
    const directory = join(bench.store.dataDir, 'full');
    const spool = new Spool(directory, { maxBytes: 1_000_000, keptFreeBytes: 2 ** 52 });
    await spool.start();
    const { ledger, clock } = bench.store;
    const media = new MediaStore({
      ledger,
      config: bench.config,
      outbound: new Outbound({ allowPrivate: ['127.0.0.1'], ports: [0] }),
      spool,
      stores: new Map([['disk', new DiskBlobs(directory)]]),
      secret: Buffer.alloc(32, 1),
      origin: () => ORIGIN,
      clock,
      log: silentLog,
    });
    await expect(media.put(png(), aboutTask(bench.accountId))).rejects.toMatchObject({
      code: 'unavailable',
      retryAfterSeconds: 60,
      details: { reason: 'no_room' },
    });
    await using cdn = await startReceiver(answer(png()));
    const source = { url: cdn.origin };
    const fetched = media.fetchAsset(source, aboutTask(bench.accountId), {
      channel: { baseUrl: cdn.origin },
    });
    await expect(fetched).rejects.toMatchObject({ details: { reason: 'no_room' } });
    expect(cdn.requests).toHaveLength(1);
    expect(await readdir(directory)).toEqual([]);
  });

  it('is read by nobody else on this machine, under no name of anybody else’s (M-2)', async () => {
    await using bench = await mediaBench();
    const row = await bench.kept(png(), { taskId: '../../../etc/passwd\0%2e%2e/x' });
    expect(row.id).toMatch(/^med_[0-9a-f]{32}$/);
    const path = join(bench.store.dataDir, 'media', row.id.slice(4, 6), row.id);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(path, '..'))).mode & 0o777).toBe(0o700);
    expect((await readFile(path)).equals(png())).toBe(true);
    expect(bench.media.view(row).url).not.toContain('passwd');
  });

  it('that an earlier process did not finish goes at the next start', async () => {
    const first = await mediaBench();
    await using store = first.store;
    let go = () => {};
    const paused = async function* () {
      yield png();
      await new Promise<void>((resolve) => (go = resolve));
      throw new Error('killed');
    };
    const under = first.media.put(paused(), aboutTask(first.accountId));
    under.catch(() => {});
    const incoming = join(store.dataDir, 'media', 'incoming');
    await expect.poll(() => readdir(incoming)).toHaveLength(1);
    await using second = await mediaBench({ store });
    expect(await readdir(incoming)).toEqual([]);
    expect((await second.bytesOf(await second.kept(png()))).equals(png())).toBe(true);
    go();
    await expect(under).rejects.toThrow('killed');
    await first.stop();
  });

  it('of a bucket can be had while the disk is in use, and the other way round', async () => {
    await using disk = await mediaBench();
    const before = await disk.kept(png(1));
    await disk.stop();
    await using both = await mediaBench({
      store: disk.store,
      media: { store: 's3', s3: bucket.config },
    });
    const after = await both.kept(png(2));
    expect([before.place, after.place]).toEqual([
      `disk:${before.id}`,
      expect.stringMatching(/^s3:farebox\/[0-9a-f]{12}\/med_/),
    ]);
    expect((await both.bytesOf(before)).equals(png(1))).toBe(true);
    expect((await both.bytesOf(after)).equals(png(2))).toBe(true);
    await using alone = await mediaBench({ store: disk.store });
    await expect(alone.media.open(after)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('is nobody else’s orphan: two servers share a bucket', async () => {
    const media = { store: 's3' as const, s3: bucket.config };
    await using one = await mediaBench({ media });
    await using other = await mediaBench({ media });
    const row = await one.kept(png());
    other.store.clock.ms = Date.now() + 2 * DAY_MS;
    for (let page = 0; page < 3; page += 1) await other.upkeep.sweep();
    expect((await one.bytesOf(row)).equals(png())).toBe(true);
  });

  it('waits for a bucket that cannot be reached, and is then unavailable', async () => {
    const s3 = { ...bucket.config, endpoint: 'http://127.0.0.1:9' };
    await using bench = await mediaBench({ media: { store: 's3', s3 } });
    await expect(bench.media.put(png(), aboutTask(bench.accountId))).rejects.toMatchObject({
      code: 'unavailable',
      retryAfterSeconds: 10,
    });
    const wrong = { ...bucket.config, accessKey: 'wrong' };
    await using refused = await mediaBench({ media: { store: 's3', s3: wrong } });
    const put = refused.media.put(png(), aboutTask(refused.accountId));
    await expect(put).rejects.toMatchObject({
      code: 'unavailable',
      cause: { message: expect.stringContaining('InvalidAccessKeyId') },
    });
  });
});

describe('links', () => {
  it('last a day, are the same for an hour, and end with the bytes', async () => {
    await using bench = await mediaBench({ media: { retentionMs: 2 * DAY_MS } });
    const { clock } = bench.store;
    const row = await bench.kept(png());
    const first = bench.media.view(row);
    expect(first).toEqual({
      id: row.id,
      url: expect.stringMatching(
        new RegExp(`^${ORIGIN}/media/${row.id}/[0-9]+\\.[\\w-]{22}/image\\.png$`),
      ),
      content_type: 'image/png',
      bytes: row.bytes,
      sha256: row.sha256,
      expires_at: new Date(clock.ms + DAY_MS).toISOString(),
      kept_until: new Date(row.expires_at).toISOString(),
    });
    clock.ms += 1;
    const second = bench.media.view(row);
    expect(second.url).not.toBe(first.url);
    clock.ms += 3_599_000;
    expect(bench.media.view(row).url).toBe(second.url);
    clock.ms += 30 * 3_600_000;
    expect(bench.media.view(row).expires_at).toBe(new Date(row.expires_at).toISOString());
  });

  it('are renewed in a text where they are of these results, and nowhere else', async () => {
    await using bench = await mediaBench();
    const [mine, other] = [await bench.kept(png(1)), await bench.kept(png(2))];
    const [old, foreign] = [bench.media.view(mine, 1).url, bench.media.view(other, 1).url];
    const text = JSON.stringify({ url: old, again: `see ${old}`, prompt: foreign });
    bench.store.clock.ms += 2 * DAY_MS;
    const fresh = bench.media.view(mine, 3 * DAY_MS).url;
    const renewed = bench.media.renewLinks(text, [mine], 3 * DAY_MS);
    expect(JSON.parse(renewed)).toEqual({ url: fresh, again: `see ${fresh}`, prompt: foreign });
    expect(bench.media.endOfLink(mine.id, fresh.split('/')[5]!)).toBe(
      bench.store.clock.ms + 3 * DAY_MS,
    );
  });
});
