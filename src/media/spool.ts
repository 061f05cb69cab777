/** A result on its way in: written to a file of its own while it is counted and hashed, before anybody can see it. */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.ts';

/** Of the disk, never taken by results: the ledger lives there too. */
const KEPT_FREE_BYTES = 128 * 1024 * 1024;
/** Free space is looked at again after so much of one file. */
const LOOK_BYTES = 32 * 1024 * 1024;
const RETRY_AFTER_SECONDS = 60;

export interface Spooled {
  path: string;
  bytes: number;
  /** Hex. */
  sha256: string;
}

export interface SpoolLimits {
  /** Of one file. */
  maxBytes: number;
  /** Of the disk, left to everything else. */
  keptFreeBytes: number;
}

export class Spool {
  readonly #directory: string;
  readonly #given: Partial<SpoolLimits> & Pick<SpoolLimits, 'maxBytes'>;

  /** The limits are read for each file anew. */
  constructor(directory: string, limits: Partial<SpoolLimits> & Pick<SpoolLimits, 'maxBytes'>) {
    this.#directory = directory;
    this.#given = limits;
  }

  /** Once, before anything is taken in: what an earlier process did not finish goes. */
  async start(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#directory)) {
      await rm(join(this.#directory, name), { force: true });
    }
  }

  async take(id: string): Promise<SpoolFile> {
    const path = join(this.#directory, id);
    const handle = await open(path, 'wx', 0o600).catch((error: unknown) => {
      throw asFull(error);
    });
    const { maxBytes, keptFreeBytes = KEPT_FREE_BYTES } = this.#given;
    return new SpoolFile(path, handle, { maxBytes, keptFreeBytes });
  }
}

export class SpoolFile {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #limits: SpoolLimits;
  #hash: Hash = createHash('sha256');
  #bytes = 0;
  #looked = -LOOK_BYTES;

  constructor(path: string, handle: FileHandle, limits: SpoolLimits) {
    this.path = path;
    this.#handle = handle;
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Refuses what is said to be too large, or has no room, before it comes. */
  async expect(bytes: number): Promise<void> {
    const { maxBytes } = this.#limits;
    if (this.#bytes + bytes > maxBytes) throw tooLarge(maxBytes);
    await this.#requireRoom(bytes);
  }

  async write(chunk: Buffer): Promise<void> {
    const { maxBytes } = this.#limits;
    if (this.#bytes + chunk.length > maxBytes) throw tooLarge(maxBytes);
    if (this.#bytes - this.#looked >= LOOK_BYTES) await this.#requireRoom(chunk.length);
    try {
      await this.#handle.write(chunk, 0, chunk.length, this.#bytes);
    } catch (error) {
      throw asFull(error);
    }
    this.#hash.update(chunk);
    this.#bytes += chunk.length;
  }

  /** From the beginning once more. */
  async restart(): Promise<void> {
    await this.#handle.truncate(0);
    this.#hash = createHash('sha256');
    this.#bytes = 0;
    this.#looked = -LOOK_BYTES;
  }

  /** The file is on disk when this resolves. */
  async finish(): Promise<Spooled> {
    try {
      await this.#handle.sync();
    } catch (error) {
      throw asFull(error);
    }
    await this.#handle.close();
    return { path: this.path, bytes: this.#bytes, sha256: this.#hash.digest('hex') };
  }

  /** Also after `finish`; a file that was moved away is not missed. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => {});
    await rm(this.path, { force: true });
  }

  async #requireRoom(bytes: number): Promise<void> {
    this.#looked = this.#bytes;
    const { bavail, bsize } = await statfs(this.path);
    if (bavail * bsize - bytes < this.#limits.keptFreeBytes) throw noRoom();
  }
}

export function badResult(reason: string, message: string, cause?: unknown): AppError {
  return new AppError('upstream_failed', message, { details: { reason }, cause });
}

function tooLarge(maxBytes: number): AppError {
  return badResult('too_large', `The result is larger than the ${maxBytes} bytes that are kept.`);
}

function noRoom(cause?: unknown): AppError {
  return new AppError('unavailable', 'There is no room for another result.', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
    details: { reason: 'no_room' },
    cause,
  });
}

function asFull(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return code === 'ENOSPC' || code === 'EDQUOT' ? noRoom(error) : error;
}
