/**
 * A backup is one file: a gzipped tar of a few named files, which with a passphrase is encrypted as age does it, so that `tar` and
 * `age` read it too. Everything is streamed: a file's size is no matter of memory. The libraries are loaded when one is made or read: a
 * server that starts needs neither.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as WebStream } from 'node:stream/web';

/** What a backup may hold; anything else in one is not ours. */
export const BACKUP_FILES = [
  'manifest.json',
  'farebox.db',
  'ledger.head',
  'farebox.yaml',
  'master.key',
] as const;
export type BackupFile = (typeof BACKUP_FILES)[number];

const AGE_MAGIC = 'age-encryption.org/';

/** Writes `names` of `dir` to `target`, whole or not at all; an older file of that name is replaced at the end. Answers its bytes. */
export async function pack(
  dir: string,
  names: readonly BackupFile[],
  target: string,
  passphrase: string | null,
): Promise<number> {
  const part = `${target}.part`;
  const { create } = await import('tar');
  try {
    const tar = Readable.from(create({ cwd: dir, gzip: true, portable: true }, [...names]));
    const bytes = passphrase === null ? tar : await encrypted(tar, passphrase);
    await pipeline(bytes, createWriteStream(part, { mode: 0o600, flags: 'w' }));
    await flush(part);
    await rename(part, target);
    await flush(dirname(target));
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  return (await stat(target)).size;
}

async function encrypted(bytes: Readable, passphrase: string): Promise<Readable> {
  const { Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  encrypter.setPassphrase(passphrase);
  return fromWeb(await encrypter.encrypt(toWeb(bytes)));
}

/** Puts the files of a backup into `dir`. Errors say what is wrong with the file or the passphrase. */
export async function unpack(file: string, dir: string, passphrase: string | null): Promise<void> {
  const isEncrypted = await isAge(file);
  if (isEncrypted && passphrase === null) {
    throw new Error(`${file} is encrypted: give its passphrase in FAREBOX_BACKUP_PASSPHRASE.`);
  }
  const { extract } = await import('tar');
  const bytes = createReadStream(file);
  const plain = isEncrypted ? await decrypted(bytes, passphrase ?? '', file) : bytes;
  const known: readonly string[] = BACKUP_FILES;
  try {
    await pipeline(
      plain,
      extract({
        cwd: dir,
        strict: true,
        noMtime: true,
        filter: (path, entry) => known.includes(path) && 'type' in entry && entry.type === 'File',
      }),
    );
  } catch (error) {
    throw new Error(`${file} is not a whole backup of Farebox.`, { cause: error });
  }
}

async function decrypted(bytes: Readable, passphrase: string, file: string): Promise<Readable> {
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  decrypter.addPassphrase(passphrase);
  try {
    return fromWeb(await decrypter.decrypt(toWeb(bytes)));
  } catch (error) {
    throw new Error(`The passphrase does not open ${file}.`, { cause: error });
  }
}

function toWeb(stream: Readable): ReadableStream<Uint8Array> {
  return Readable.toWeb(stream) as ReadableStream<Uint8Array>;
}

function fromWeb(stream: ReadableStream<Uint8Array>): Readable {
  return Readable.fromWeb(stream as WebStream);
}

async function isAge(file: string): Promise<boolean> {
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(AGE_MAGIC.length),
      0,
      AGE_MAGIC.length,
      0,
    );
    return buffer.toString('latin1', 0, bytesRead) === AGE_MAGIC;
  } finally {
    await handle.close();
  }
}

/** Until then a power cut may undo it. */
async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
