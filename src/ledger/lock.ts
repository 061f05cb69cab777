/**
 * One process per data directory. The lock is an exclusive transaction on a small database of its own: the kernel drops it with
 * the process, however that ends, so there is no stale lock to clean up.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { holdExclusively, type ExclusiveFile } from '../db/open.ts';

export interface DataDirLock {
  release(): Promise<void>;
}

export async function lockDataDir(dataDir: string, pid: number): Promise<DataDirLock> {
  const pidFile = join(dataDir, 'farebox.pid');
  let file: ExclusiveFile;
  try {
    file = await holdExclusively(join(dataDir, 'farebox.lock'));
  } catch (error) {
    const owner = (await readFile(pidFile, 'utf8').catch(() => '')).trim();
    throw new Error(
      `${dataDir} is in use by another Farebox${owner ? ` (process ${owner})` : ''}.`,
      {
        cause: error,
      },
    );
  }
  await writeFile(pidFile, `${pid}\n`);
  return { release: () => file.release() };
}
