/** Where bytes lie. Names are ours alone (ids), so nothing that a caller wrote is ever part of a path. */
import type { Spooled } from './spool.ts';

export interface Range {
  first: number;
  last: number;
}

export interface BlobInfo {
  id: string;
  name: string;
  modifiedAtMs: number;
}

export interface Blobs {
  /** Takes a spooled file over, and removes it; answers its name. What was taken is whole and durable when this resolves. */
  keep(id: string, file: Spooled, contentType: string): Promise<string>;
  /** Throws BlobMissing before the first byte. */
  read(name: string, range?: Range): Promise<AsyncIterable<Buffer>>;
  /** What is not there is no fault. */
  remove(name: string): Promise<void>;
  /** A page of what this server keeps there, in no order that matters; `next` is null after the last. */
  list(page: string | null): Promise<{ blobs: BlobInfo[]; next: string | null }>;
}

export class BlobMissing extends Error {
  override readonly name = 'BlobMissing';
}
