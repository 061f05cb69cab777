/** DATA_DIR/master.key: where the master key lives when FAREBOX_MASTER_KEY does not give it. Readable by its owner alone. */
import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

export const KEY_BYTES = 32;
const NAME = 'master.key';
/** A key that a rotation is about to take into use, until what the old one wrapped is under it. */
const NEXT_NAME = 'master.key.new';

export class KeyFile {
  readonly #dir: string;

  constructor(dataDir: string) {
    this.#dir = dataDir;
  }

  /** Null where there is no file. Throws where it is there and holds no key. */
  async read(): Promise<Buffer | null> {
    const text = await textOf(this.#path(NAME));
    if (text === null) return null;
    const key = decode(text);
    if (key) return key;
    throw new Error(`${this.#path(NAME)} does not hold 32 bytes in base64`);
  }

  /** What a rotation that was killed left; half a file is nothing. */
  async readNext(): Promise<Buffer | null> {
    const text = await textOf(this.#path(NEXT_NAME));
    return text === null ? null : decode(text);
  }

  /** Makes the first key of a directory; throws where there is one. */
  async make(): Promise<Buffer> {
    const key = randomBytes(KEY_BYTES);
    await this.#write(NAME, key, 'wx');
    return key;
  }

  /** Makes a key that is not in use yet. */
  async makeNext(): Promise<Buffer> {
    const key = randomBytes(KEY_BYTES);
    await this.#write(NEXT_NAME, key, 'w');
    return key;
  }

  /** Nothing is left that the old key opens. */
  async takeNext(): Promise<void> {
    await rename(this.#path(NEXT_NAME), this.#path(NAME));
    await this.#syncDir();
  }

  /** A key of the environment is in use. */
  async remove(): Promise<void> {
    await rm(this.#path(NAME), { force: true });
    await rm(this.#path(NEXT_NAME), { force: true });
    await this.#syncDir();
  }

  /** A key that opens nothing is kept under another name: it may be that of some backup. */
  async setAside(nowMs: number): Promise<void> {
    try {
      await rename(this.#path(NAME), this.#path(`${NAME}.lost-${nowMs}`));
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  #path(name: string): string {
    return join(this.#dir, name);
  }

  async #write(name: string, key: Buffer, flags: 'w' | 'wx'): Promise<void> {
    const handle = await open(this.#path(name), flags, 0o600);
    try {
      await handle.writeFile(`${key.toString('base64')}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await this.#syncDir();
  }

  /** Without it a power cut may undo a rename that was reported done. */
  async #syncDir(): Promise<void> {
    const handle = await open(this.#dir, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

function decode(text: string): Buffer | null {
  const key = Buffer.from(text.trim(), 'base64');
  return key.length === KEY_BYTES ? key : null;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
