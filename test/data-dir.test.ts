import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDataDir } from '../src/data-dir.ts';

const MODULE = new URL('../src/data-dir.ts', import.meta.url).href;
const NOBODY = 65_534;
let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'farebox-dir-'));
});

afterAll(() => rm(root, { recursive: true, force: true }));

/** As somebody who is not root, whom no rights bind. */
function openAsNobody(dataDir: string): Promise<unknown> {
  const uid = process.getuid?.() === 0 ? { uid: NOBODY } : {};
  const text = `const { openDataDir } = await import(process.argv[1]); await openDataDir(process.argv[2])`;
  const words = ['--input-type=module', '-e', text, MODULE, dataDir];
  return promisify(execFile)(process.execPath, words, uid);
}

it('makes a directory that is missing, for its owner alone', async () => {
  const dataDir = join(root, 'one', 'two');
  await openDataDir(dataDir);
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
});

it('says that a file is no directory', async () => {
  const file = join(root, 'file');
  await writeFile(file, '');
  await expect(openDataDir(file)).rejects.toThrow(`DATA_DIR: ${file} must be a directory`);
});

it('says that a directory cannot be written, and not that it is in use', async () => {
  await chmod(root, 0o555);
  for (const dataDir of [root, join(root, 'below')]) {
    const said = new RegExp(`DATA_DIR: ${dataDir} must be .* may write \\(EACCES\\)`);
    await expect(openAsNobody(dataDir)).rejects.toThrow(said);
  }
  await chmod(root, 0o755);
});
