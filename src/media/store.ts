/**
 * Results of tasks, kept by us: upstream links die within hours and carry credentials. Bytes first, then a row in the transaction that
 * ends the task; bytes whose row never came are swept away.
 */
import type { ChannelConfig, MediaType } from '../config/config.ts';
import type { MediaRow } from '../db/tables.ts';
import type { WriteTx } from '../ledger/ledger.ts';

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

/** Bytes that are in the store, whole and on disk; their row is not written yet. */
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

export interface FetchOptions {
  /** Whose own host may be private. */
  channel: Pick<ChannelConfig, 'baseUrl'>;
  /** For all attempts together. */
  deadlineMs?: number;
  signal?: AbortSignal;
}

export interface MediaStore {
  /**
   * Takes a result in. Errors: upstream_failed with details.reason `too_large`, `wrong_type` or `empty`; unavailable where there is no room.
   */
  put(source: AsyncIterable<Buffer> | Buffer, about: About): Promise<StoredMedia>;
  /**
   * As put, of a link or bytes. Further errors: upstream_failed with details.reason `dead_link` (404, 410, 403), `unreachable` (worth another
   * attempt later) or `refused` (the address is none that may be asked).
   */
  fetchAsset(source: MediaSource, about: About, options: FetchOptions): Promise<StoredMedia>;
  /** In the transaction that ends the task. */
  insertRows(tx: WriteTx, stored: readonly StoredMedia[]): Promise<void>;
  /** Takes back what never got a row. */
  discard(stored: readonly StoredMedia[]): Promise<void>;
  /** In the order of their index; those that were deleted are left out. */
  ofTasks(taskIds: readonly string[]): Promise<MediaRow[]>;
  /** With a fresh link. `lifeMs`: how long it lasts; a day by default, never longer than the bytes. */
  view(media: MediaRow, lifeMs?: number): MediaView;
  /** The bytes of a row, all or from the first to the last of a range; throws gone where they are not there any more. */
  open(media: MediaRow, range?: { first: number; last: number }): Promise<AsyncIterable<Buffer>>;
  /** Deletes the bytes of a task's results; the rows stay and say so. Answers how many there were. */
  deleteOfTask(
    accountId: string,
    taskId: string,
    because: MediaRow['deleted_because'],
  ): Promise<number>;
}
