/**
 * Results of tasks, kept by us: upstream links die within hours and carry credentials. Bytes first, then a row in the transaction that
 * ends the task; bytes whose row never came are swept away (upkeep.ts).
 */
import { randomBytes } from 'node:crypto';
import PQueue from 'p-queue';
import type { Clock } from '../clock.ts';
import type { ChannelConfig, MediaConfig, MediaType } from '../config/config.ts';
import type { MediaRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { Ledger, WriteTx } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import type { Outbound } from '../outbound.ts';
import { BlobMissing, type Blobs, type Range } from './blobs.ts';
import { download } from './download.ts';
import { Links } from './links.ts';
import { markDeleted, mediaById, mediaOfTasks } from './rows.ts';
import { badResult, type Spool, type SpoolFile } from './spool.ts';
import { fileName, typeOfResult } from './types.ts';

/** Where a result comes from: an upstream's link, or the bytes themselves. */
export type MediaSource =
  | { url: string; headers?: Record<string, string>; contentType?: string }
  | { bytes: Buffer; contentType?: string };

export interface About {
  taskId: string;
  accountId: string;
  /** Place among the results of the task, from 0: the first must be what the model makes. */
  index: number;
  type: MediaType;
  /** What the upstream says that it is. */
  claimedType?: string | undefined;
}

/** Bytes that are in the store, whole and durable; their row is not written yet. */
export interface StoredMedia {
  id: string;
  taskId: string;
  accountId: string;
  index: number;
  bytes: number;
  /** Hex. */
  sha256: string;
  contentType: string;
  place: string;
}

export interface FetchOptions {
  /** Its own host may be private. */
  channel: Pick<ChannelConfig, 'baseUrl'>;
  /** For all attempts together. */
  deadlineMs?: number;
  /** Before the second attempt; twice as long before each later one. */
  pauseMs?: number;
  signal?: AbortSignal | undefined;
}

/** What a task's owner is shown of a result. */
export interface MediaView {
  id: string;
  url: string;
  content_type: string;
  bytes: number;
  sha256: string;
  /** When the link ends, ISO 8601; asking for the task gives a fresh one until `kept_until`. */
  expires_at: string;
  kept_until: string;
}

export type DeletedBecause = NonNullable<MediaRow['deleted_because']>;

/** By the word before the colon of a place. */
export type BlobStores = ReadonlyMap<string, Blobs>;

export interface MediaStoreOptions {
  ledger: Ledger;
  config: MediaConfig;
  outbound: Outbound;
  spool: Spool;
  stores: BlobStores;
  /** For links. */
  secret: Buffer;
  /** Where clients reach this server, without a trailing slash. */
  origin(): string;
  clock: Clock;
  log: Log;
}

const DEADLINE_MS = 5 * 60_000;
const LINK_MS = 86_400_000;
/** Results that are taken in at once; others wait. */
const CONCURRENCY = 32;
const ID_BYTES = 16;

export class MediaStore {
  readonly #options: MediaStoreOptions;
  readonly #links: Links;
  readonly #queue = new PQueue({ concurrency: CONCURRENCY });

  constructor(options: MediaStoreOptions) {
    this.#options = options;
    this.#links = new Links(options.secret);
  }

  /**
   * Takes a result in. Errors: upstream_failed with details.reason `too_large`, `wrong_type` or `empty`; unavailable where there is no
   * room, or the store does not work.
   */
  put(source: AsyncIterable<Buffer> | Buffer, about: About): Promise<StoredMedia> {
    const chunks = Buffer.isBuffer(source) ? [source] : source;
    return this.#take(about, async (file) => {
      for await (const chunk of chunks) await file.write(chunk);
      return '';
    });
  }

  /**
   * As put, of a link or bytes. Further errors: upstream_failed with details.reason `dead_link` (the link does not work, or not any
   * more), `unreachable` (worth another attempt) or `refused` (it leads where nothing of ours may go).
   */
  fetchAsset(source: MediaSource, about: About, options: FetchOptions): Promise<StoredMedia> {
    const { contentType } = source;
    const claimed = contentType === undefined ? about : { claimedType: contentType, ...about };
    if ('bytes' in source) return this.put(source.bytes, claimed);
    const { url, headers = {} } = source;
    const { channel, deadlineMs = DEADLINE_MS, pauseMs, signal } = options;
    const trusted = new URL(channel.baseUrl).origin;
    const way = { url, headers, trusted, deadlineMs, pauseMs, signal };
    return this.#take(claimed, (file) => download(this.#options.outbound, way, file), signal);
  }

  #take(
    about: About,
    fill: (file: SpoolFile) => Promise<string>,
    signal?: AbortSignal,
  ): Promise<StoredMedia> {
    return this.#queue.add(() => this.#takeNow(about, fill), { ...(signal && { signal }) });
  }

  /** `fill` answers what the server of a link says that it is. */
  async #takeNow(about: About, fill: (file: SpoolFile) => Promise<string>): Promise<StoredMedia> {
    const { spool, stores, config } = this.#options;
    // Now: both may be others when the bytes are there.
    const { store } = config;
    const blobs = stores.get(store)!;
    const id = `med_${randomBytes(ID_BYTES).toString('hex')}`;
    const file = await spool.take(id);
    try {
      const said = await fill(file);
      const spooled = await file.finish();
      if (spooled.bytes === 0) throw badResult('empty', 'The result is empty.');
      const claimedType = about.claimedType ?? said;
      const contentType = await typeOfResult(file.path, { ...about, claimedType });
      const name = await blobs.keep(id, spooled, contentType);
      const { taskId, accountId, index } = about;
      const { bytes, sha256 } = spooled;
      const place = `${store}:${name}`;
      return { id, taskId, accountId, index, bytes, sha256, contentType, place };
    } finally {
      await file.discard();
    }
  }

  /** In the transaction that ends the task. */
  async insertRows({ db, nowMs }: WriteTx, stored: readonly StoredMedia[]): Promise<void> {
    if (!stored.length) return;
    const rows = stored.map((media) => ({
      id: media.id,
      account_id: media.accountId,
      task_id: media.taskId,
      idx: media.index,
      sha256: media.sha256,
      bytes: media.bytes,
      content_type: media.contentType,
      place: media.place,
      created_at: nowMs,
      expires_at: nowMs + this.#options.config.retentionMs,
      deleted_at: null,
      deleted_because: null,
    }));
    await db.insertInto('media').values(rows).execute();
  }

  /** Takes back what never got a row. */
  discard(stored: readonly StoredMedia[]): Promise<void> {
    return this.#removeBytes(stored);
  }

  /** Of each task in the order of their index; those that were deleted are left out. */
  ofTasks(taskIds: readonly string[]): Promise<MediaRow[]> {
    return mediaOfTasks(this.#options.ledger.read, taskIds);
  }

  find(id: string): Promise<MediaRow | undefined> {
    return mediaById(this.#options.ledger.read, id);
  }

  /** With a fresh link. `lifeMs`: how long it lasts; a day by default, never longer than the bytes. */
  view(media: MediaRow, lifeMs: number = LINK_MS): MediaView {
    const { clock, origin } = this.#options;
    const { id, content_type, bytes, sha256, expires_at } = media;
    const { token, endsAtMs } = this.#links.token(id, clock.nowMs(), lifeMs, expires_at);
    return {
      id,
      url: `${origin()}/media/${id}/${token}/${fileName(content_type)}`,
      content_type,
      bytes,
      sha256,
      expires_at: new Date(endsAtMs).toISOString(),
      kept_until: new Date(expires_at).toISOString(),
    };
  }

  /** Links to these results inside a text, whatever they ended with, made to last from now on. */
  renewLinks(text: string, media: readonly MediaRow[], lifeMs: number): string {
    let renewed = text;
    for (const row of media) {
      const { url } = this.view(row, lifeMs);
      const name = '[\\w.-]{1,80}';
      const old = new RegExp(`https?://[^"\\s/\\\\]{1,255}/media/${row.id}/${name}/${name}`, 'g');
      renewed = renewed.replaceAll(old, () => url);
    }
    return renewed;
  }

  /** When a link's token ends, or ended; null for one that was never given for this id. */
  endOfLink(id: string, token: string): number | null {
    return this.#links.endOf(id, token);
  }

  /** The bytes, all or a range of them. Throws gone where they are not there any more; unavailable where the store does not work. */
  async open(media: MediaRow, range?: Range): Promise<AsyncIterable<Buffer>> {
    if (media.deleted_at !== null) throw gone();
    const { blobs, name } = this.#placeOf(media);
    try {
      return await blobs.read(name, range);
    } catch (error) {
      if (!(error instanceof BlobMissing)) throw error;
      const { id, task_id: task } = media;
      this.#options.log.error('media_missing', { media: id, task });
      throw gone();
    }
  }

  /** Deletes the bytes of a task's results; the rows stay and say so. Answers how many there were. */
  async deleteOfTask(accountId: string, taskId: string, because: DeletedBecause): Promise<number> {
    const rows = await this.#options.ledger.write((tx) =>
      markDeleted(tx, because, { accountId, taskId }),
    );
    await this.#removeBytes(rows);
    return rows.length;
  }

  /** Never throws: what is left is an orphan. */
  async #removeBytes(media: readonly Pick<MediaRow, 'id' | 'place'>[]): Promise<void> {
    for (const one of media) {
      try {
        const { blobs, name } = this.#placeOf(one);
        await blobs.remove(name);
      } catch (error) {
        this.#options.log.warn('media_not_removed', { media: one.id, error });
      }
    }
  }

  #placeOf({ place }: Pick<MediaRow, 'place'>): { blobs: Blobs; name: string } {
    const at = place.indexOf(':');
    const blobs = this.#options.stores.get(place.slice(0, at));
    if (blobs) return { blobs, name: place.slice(at + 1) };
    throw new AppError('unavailable', 'This result lies in a store that is not configured now.', {
      retryAfterSeconds: 3_600,
    });
  }
}

function gone(): AppError {
  return new AppError('gone', 'This result was deleted, or its time is over.');
}
