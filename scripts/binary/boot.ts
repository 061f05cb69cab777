/**
 * The first code of the single binary: Node runs it from inside the executable, where addons and modules cannot be loaded from. So the
 * program lies beside the data, in a folder named after its own hash; what is there is compared with the hashes in the executable at
 * each start, and whatever differs is written again.
 */
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { getAsset, getRawAsset } from 'node:sea';
import { gunzipSync } from 'node:zlib';

interface Packed {
  path: string;
  sha256: string;
  at: number;
  bytes: number;
}

const index = JSON.parse(getAsset('index', 'utf8')) as { id: string; files: Packed[] };
const folder = join(resolve(process.env['DATA_DIR']?.trim() || './data'), 'program');
const home = join(folder, index.id);

try {
  unpack();
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  process.stderr.write(
    `The program cannot be unpacked into ${home}: ${reason}. Set DATA_DIR to a directory that can be written.\n`,
  );
  process.exit(1);
}
// The executable stands in its own arguments where a script would.
process.argv = [process.execPath, undefined as unknown as string, ...process.argv.slice(2)];
createRequire(join(home, 'start.cjs'))('./start.cjs');

function unpack(): void {
  const wrong = index.files.filter(({ path, sha256 }) => hashOf(join(home, path)) !== sha256);
  if (!wrong.length) return;
  const all = gunzipSync(Buffer.from(getRawAsset('files')));
  for (const { path, sha256, at, bytes } of wrong) {
    const content = all.subarray(at, at + bytes);
    const file = join(home, path);
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    // Two may start at once: each file is there whole, or not at all.
    const partial = `${file}.${process.pid}`;
    writeFileSync(partial, content, { mode: 0o600 });
    renameSync(partial, file);
    if (hashOf(file) !== sha256) throw new Error(`${path} is not what was written`);
  }
  forgetOlder();
}

/** An older server may still load from the folder of its version, so the one before stays. */
function forgetOlder(): void {
  const others = readdirSync(folder)
    .filter((name) => name !== index.id)
    .map((name) => ({ path: join(folder, name), at: statSync(join(folder, name)).mtimeMs }))
    .toSorted((a, b) => b.at - a.at);
  for (const { path } of others.slice(1)) rmSync(path, { recursive: true, force: true });
}

function hashOf(file: string): string | null {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('hex');
  } catch {
    return null;
  }
}
