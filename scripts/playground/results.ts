/** What agents fetched, as files for the page to show; the oldest go when they are too many. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Result, RESULTS } from '../../src/playground/protocol.ts';

/** They may lie in memory: /tmp of a container. */
const MAX_BYTES = 48 * 1024 * 1024;

export class Results {
  readonly #directory: string;
  #kept: { path: string; bytes: number }[] = [];
  #bytes = 0;

  constructor(dataDir: string) {
    this.#directory = join(dataDir, RESULTS);
  }

  async keep(name: string, contentType: string, bytes: Buffer): Promise<Result> {
    const path = join(this.#directory, name);
    await writeFile(path, bytes, { mode: 0o600 });
    this.#kept.push({ path, bytes: bytes.length });
    this.#bytes += bytes.length;
    while (this.#bytes > MAX_BYTES && this.#kept.length > 1) {
      const oldest = this.#kept.shift()!;
      this.#bytes -= oldest.bytes;
      await rm(oldest.path, { force: true });
    }
    return { name, contentType, bytes: bytes.length };
  }
}
