/** Another version's tables become this one's, after a copy of the database was put beside it: there is a way back that needs no backup. */
import { chmod, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { copyDatabase, type Database, migrate, nextMigration } from '../db/open.ts';

const COPY = /^before-[0-9]{4}-[a-z0-9-]+\.db$/;
const KEPT = 3;

/**
 * Answers the file of the copy; null where there was nothing to upgrade. Throws where a newer version wrote the database, and where
 * the copy cannot be made: the database is as it was then.
 */
export async function upgrade(database: Database, file: string): Promise<string | null> {
  const next = await nextMigration(database);
  const copy = next === null ? null : await keepCopy(file, next);
  await migrate(database);
  return copy;
}

/** A migration is there whole or not at all, so a copy of the same name is of the same schema, and older: it is replaced. */
async function keepCopy(file: string, next: string): Promise<string> {
  const folder = dirname(file);
  const copy = join(folder, `before-${next}.db`);
  const partial = `${copy}.new`;
  await rm(partial, { force: true });
  try {
    await copyDatabase(file, partial);
    await chmod(partial, 0o600);
    await saveToDisk(partial);
    await rename(partial, copy);
  } catch (error) {
    await rm(partial, { force: true });
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `The database must be upgraded, and the copy that is made of it before cannot be written to ${copy}: ${reason}. ` +
        'Make room for it, or start the version that was here before.',
      { cause: error },
    );
  }
  await forgetOlder(folder);
  return copy;
}

async function saveToDisk(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function forgetOlder(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => COPY.test(name));
  const copies = await Promise.all(
    names.map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs })),
  );
  copies.sort((a, b) => b.at - a.at || b.name.localeCompare(a.name));
  for (const { name } of copies.slice(KEPT)) await rm(join(folder, name), { force: true });
}
