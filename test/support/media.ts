/** A store of results over a real ledger, on disk or in the bucket of a real S3 server; small files of every kind. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import type { MediaConfig, S3Config } from '../../src/config/config.ts';
import type { MediaRow } from '../../src/db/tables.ts';
import type { Log, LogFields } from '../../src/log.ts';
import { createMediaParts, type MediaParts } from '../../src/media/parts.ts';
import type { About, StoredMedia } from '../../src/media/store.ts';
import type { LookUpName } from '../../src/outbound-names.ts';
import { type TestStore, testStore } from './store.ts';

export const ORIGIN = 'https://gw.example.com';

export interface MediaBench extends MediaParts, AsyncDisposable {
  store: TestStore;
  accountId: string;
  logged: (LogFields & { event: string })[];
  config: MediaConfig;
  /** The row of a result that is taken in as the only one of a task of its own. */
  kept(bytes: Buffer, about?: Partial<About>): Promise<MediaRow>;
  insert(stored: readonly StoredMedia[]): Promise<void>;
  bytesOf(row: MediaRow, range?: { first: number; last: number }): Promise<Buffer>;
}

export interface BenchOptions {
  media?: Partial<MediaConfig>;
  webhooks?: { allowPrivate: string[]; ports: number[] };
  lookUp?: LookUpName;
  store?: TestStore;
}

let tasks = 0;

export async function mediaBench(options: BenchOptions = {}): Promise<MediaBench> {
  const store = options.store ?? (await testStore());
  const config: MediaConfig = {
    store: 'disk',
    retentionMs: 30 * 86_400_000,
    maxBytes: 8 * 1024 * 1024,
    s3: null,
    ...options.media,
  };
  const logged: MediaBench['logged'] = [];
  const { clock, dataDir, ledger } = store;
  const parts = await createMediaParts({
    store,
    config: {
      dataDir,
      media: config,
      webhooks: options.webhooks ?? { allowPrivate: ['127.0.0.0/8'], ports: [0] },
    },
    origin: () => ORIGIN,
    clock,
    log: recordingLog(logged),
    lookUp: options.lookUp,
  });
  const accountId = await store.wallet('1');
  const insert = (stored: readonly StoredMedia[]) =>
    ledger.write((tx) => parts.media.insertRows(tx, stored));
  return {
    ...parts,
    store,
    accountId,
    logged,
    config,
    insert,
    kept: async (bytes, about) => {
      const stored = await parts.media.put(bytes, { ...aboutTask(accountId), ...about });
      await insert([stored]);
      return (await parts.media.find(stored.id))!;
    },
    bytesOf: async (row, range) => collect(await parts.media.open(row, range)),
    [Symbol.asyncDispose]: async () => {
      await parts.stop();
      if (!options.store) await store[Symbol.asyncDispose]();
    },
  };
}

/** A task that nobody else has. */
export function aboutTask(accountId: string, type: About['type'] = 'image'): About {
  tasks += 1;
  return { taskId: `task_${tasks}`, accountId, index: 0, type };
}

export async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

interface S3Server {
  run(): Promise<{ port: number }>;
  close(): Promise<void>;
}

export interface Bucket extends AsyncDisposable {
  config: S3Config;
}

/** A bucket of an S3 server in this process. */
export async function startBucket(): Promise<Bucket> {
  const Server = createRequire(import.meta.url)('s3rver') as new (options: object) => S3Server;
  const directory = await mkdtemp(join(tmpdir(), 'farebox-s3-'));
  const server = new Server({
    port: 0,
    address: '127.0.0.1',
    silent: true,
    directory,
    configureBuckets: [{ name: 'results' }],
  });
  const { port } = await server.run();
  return {
    config: {
      bucket: 'results',
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      prefix: 'farebox/',
      accessKey: 'S3RVER',
      secretKey: 'S3RVER',
    },
    [Symbol.asyncDispose]: async () => {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A real PNG of one colour; `more` bytes behind it make it as long as wanted. */
export function png(more = 0): Buffer {
  const chunk = (name: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc(body), body.length + 4);
    return out;
  };
  const head = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0]);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(Buffer.from([0, 255, 0, 0]))),
    chunk('IEND', Buffer.alloc(0)),
    Buffer.alloc(more, 7),
  ]);
}

function crc(bytes: Buffer): number {
  let value = ~0;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value >>> 0;
}

/** The beginning of an MP4, and whatever follows. */
export function mp4(more = 64): Buffer {
  const head = Buffer.from('\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41', 'latin1');
  return Buffer.concat([head, Buffer.alloc(more, 3)]);
}

/** A WAV with a second of silence. */
export function wav(): Buffer {
  const data = Buffer.alloc(16_000);
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + data.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8_000, 24);
  head.writeUInt32LE(16_000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(data.length, 40);
  return Buffer.concat([head, data]);
}

/** An MP3 behind a cover picture, as makers of songs send them. */
export function mp3(coverBytes = 200_000): Buffer {
  const size = [21, 14, 7, 0].map((shift) => (coverBytes >> shift) & 0x7f);
  const tag = Buffer.from([0x49, 0x44, 0x33, 3, 0, 0, ...size]);
  const frame = Buffer.concat([Buffer.from([0xff, 0xfb, 0x90, 0x64]), Buffer.alloc(413)]);
  return Buffer.concat([tag, Buffer.alloc(coverBytes, 1), frame, frame, frame]);
}

function recordingLog(logged: MediaBench['logged']): Log {
  const record = (event: string, fields: LogFields = {}) => {
    logged.push({ event, ...fields });
  };
  return { debug: record, info: record, warn: record, error: record };
}
