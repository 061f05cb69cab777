/** The licences of other people's code that a program carries along. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

export const LICENCE_FILE = /^(licen[cs]e|copying|notice)/i;
/** Packages lie in one another, but not endlessly. */
const MAX_DEPTH = 12;

interface About {
  name?: string;
  version?: string;
  license?: string;
}

/** The folders of all packages below a `node_modules`, also of those inside other packages. */
export async function packagesBelow(folder: string, depth = 0): Promise<string[]> {
  if (depth > MAX_DEPTH) return [];
  const entries = await readdir(folder, { withFileTypes: true });
  const own = entries.some(({ name }) => name === 'package.json') ? [folder] : [];
  const below = await Promise.all(
    entries
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => packagesBelow(join(folder, name), depth + 1)),
  );
  return [...own, ...below.flat()];
}

/** Name, version and licence texts of a package; null for a folder whose package.json only says how its files are to be read. */
export async function licenceOf(folder: string): Promise<string | null> {
  const about = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as About;
  if (about.name === undefined || about.version === undefined) return null;
  const texts: string[] = [];
  for (const name of (await readdir(folder)).filter((file) => LICENCE_FILE.test(file))) {
    const path = join(folder, name);
    if ((await stat(path)).isFile()) texts.push((await readFile(path, 'utf8')).trim());
  }
  return licence(`${about.name} ${about.version} (${about.license ?? 'see below'})`, texts);
}

export function licence(head: string, texts: readonly string[]): string {
  return [head, '-'.repeat(head.length), ...texts].join('\n');
}

/** One text of many, in the order of their names, each once. */
export function joinLicences(licences: Iterable<string>): string {
  return `${[...new Set(licences)].toSorted().join('\n\n')}\n`;
}
