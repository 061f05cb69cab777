/** Results under DATA_DIR/media: a directory by the first two characters of a name's random part, so that none grows large. */
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type BlobInfo, BlobMissing, type Blobs, type Range } from './blobs.ts';
import type { Spooled } from './spool.ts';

/** Below the data directory. */
export const MEDIA_DIRECTORY = 'media';
const READ_BYTES = 65_536;
const DIRECTORY = /^[0-9a-f]{2}$/;

export class DiskBlobs implements Blobs {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async keep(id: string, file: Spooled): Promise<string> {
    const path = this.path(id);
    const directory = dirname(path);
    const made = await mkdir(directory, { recursive: true, mode: 0o700 });
    await rename(file.path, path);
    await syncDirectory(directory);
    if (made !== undefined) await syncDirectory(this.#root);
    return id;
  }

  async read(name: string, range?: Range): Promise<AsyncIterable<Buffer>> {
    const handle = await open(this.path(name), 'r').catch(asMissing);
    return createReadStream('', {
      fd: handle,
      highWaterMark: READ_BYTES,
      ...(range && { start: range.first, end: range.last }),
    });
  }

  async remove(name: string): Promise<void> {
    await rm(this.path(name), { force: true });
  }

  /** A page is a directory. */
  async list(page: string | null): Promise<{ blobs: BlobInfo[]; next: string | null }> {
    const entries = await readdir(this.#root).catch(() => []);
    const directories = entries.filter((entry) => DIRECTORY.test(entry)).toSorted();
    const current = directories.find((entry) => page === null || entry >= page);
    if (current === undefined) return { blobs: [], next: null };
    const blobs: BlobInfo[] = [];
    for (const name of await readdir(join(this.#root, current))) {
      const info = await stat(join(this.#root, current, name)).catch(() => null);
      if (info?.isFile()) blobs.push({ id: name, name, modifiedAtMs: info.mtimeMs });
    }
    return { blobs, next: directories.find((entry) => entry > current) ?? null };
  }

  path(name: string): string {
    const [, random = ''] = name.split('_');
    return join(this.#root, random.slice(0, 2), name);
  }
}

function asMissing(error: unknown): never {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
    throw new BlobMissing('the file is not there');
  }
  throw error;
}

/** A name is durable once its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
