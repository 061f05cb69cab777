/**
 * Makes node_modules fit for an image: what is only there to build or to read is taken out, and the licences of what stays are gathered
 * in one file. Run in a folder of its own, after `npm ci --omit=dev`; it deletes.
 */
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

const ROOT = 'node_modules';
/** Only used while something is compiled. */
const BUILD_ONLY = [
  // Peers of libraries that bring types.
  'typescript',
  '@typescript',
  'node-gyp',
  'prebuild-install',
  'node-addon-api',
  '.bin',
  '.cache',
  '.package-lock.json',
];
const NATIVE = /^(deps|build\/Release\/(obj|obj\.target)|build\/Release\/\.deps|src)$/;
/** Not read by a running program. */
const UNREAD =
  /\.(map|md|markdown|flow|ts\.snap|tsbuildinfo|o|a|d)$|\.d\.[cm]?ts$|^(CHANGELOG|HISTORY|AUTHORS)/i;
const LICENCE = /^(licen[cs]e|copying|notice)/i;

const licences: string[] = [];
let removed = 0;

for (const name of BUILD_ONLY) await rm(join(ROOT, name), { recursive: true, force: true });
await walk(ROOT);
licences.sort();
await writeFile('THIRD-PARTY-LICENCES.txt', licences.join('\n\n'));
process.stdout.write(`removed ${removed} files; ${licences.length} licences\n`);

async function walk(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  const isPackage = entries.some(({ name }) => name === 'package.json');
  if (isPackage)
    await gather(
      folder,
      entries.map(({ name }) => name),
    );
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      const isNativeSource =
        isPackage && entry.name === 'deps' && (await has(folder, 'binding.gyp'));
      // Declarations only.
      if (
        entry.name === '_types' ||
        isNativeSource ||
        NATIVE.test(path.split('/').slice(-3).join('/'))
      ) {
        await rm(path, { recursive: true });
      } else await walk(path);
    } else if (UNREAD.test(entry.name) && !LICENCE.test(entry.name)) {
      await rm(path);
      removed++;
    }
  }
}

async function gather(folder: string, names: string[]): Promise<void> {
  const about = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    name?: string;
    version?: string;
    license?: string;
  };
  if (about.name === undefined || about.version === undefined) return;
  const texts: string[] = [];
  for (const name of names.filter((file) => LICENCE.test(basename(file)))) {
    const path = join(folder, name);
    if ((await stat(path)).isFile()) texts.push((await readFile(path, 'utf8')).trim());
  }
  const head = `${about.name} ${about.version} (${about.license ?? 'see below'})`;
  licences.push([head, '-'.repeat(head.length), ...texts].join('\n'));
}

async function has(folder: string, name: string): Promise<boolean> {
  return stat(join(folder, name)).then(
    () => true,
    () => false,
  );
}
