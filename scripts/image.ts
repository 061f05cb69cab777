/**
 * Makes node_modules fit for an image: what is only there to build or to read is taken out, and the licences of what stays are gathered
 * in one file, its names in another. Run in a folder of its own, after `npm ci --omit=dev`; it deletes.
 */
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { joinLicences, licence, LICENCE_FILE, licenceOf, packagesBelow } from '../src/licences.ts';
import { sbomOf } from './sbom.ts';

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
/** For browsers, for `require` where ours is `import`, or for features that nothing here has: the demo and the smoke tests run without. */
const UNUSED = [
  'abitype/dist/cjs',
  'bintrees/test',
  'ethers/dist',
  'ethers/lib.esm',
  'ox/_cjs',
  'ox/trusted-setups',
  'undici-types',
  'undici/docs',
  'viem/_cjs',
  'viem/trusted-setups',
  'x402/dist/cjs',
  'x402/dist/esm/paywall',
];
const NATIVE = /^(deps|build\/Release\/(obj|obj\.target)|build\/Release\/\.deps|src)$/;
/** Not read by a running program. */
const UNREAD =
  /\.(map|md|markdown|flow|snap|tsbuildinfo|o|a|d|[cm]?ts)$|^(CHANGELOG|HISTORY|AUTHORS)/i;
/** What Solana's packages bring for other places than Node. */
const ELSEWHERE = /^index\.(browser|native|development|production|iife)\b.*\.[cm]?js$/;

const licences: string[] = [];
let removed = 0;

for (const name of [...BUILD_ONLY, ...UNUSED])
  await rm(join(ROOT, name), { recursive: true, force: true });
await walk(ROOT);
await writeFile('sbom.cdx.json', await sbomOf(await packagesBelow(ROOT), '.'));
// Node's own, and what is in it.
const node = await readFile(join(dirname(process.execPath), '../LICENSE'), 'utf8').catch(
  () => null,
);
if (node !== null) licences.push(licence(`Node.js ${process.version}`, [node.trim()]));
await writeFile('THIRD-PARTY-LICENCES.txt', joinLicences(licences));
process.stdout.write(`removed ${removed} files; ${licences.length} licences\n`);

async function walk(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  const isPackage = entries.some(({ name }) => name === 'package.json');
  if (isPackage) await gather(folder);
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
    } else if (isUnread(path, entry.name)) {
      await rm(path);
      removed++;
    }
  }
}

function isUnread(path: string, name: string): boolean {
  if (LICENCE_FILE.test(name)) return false;
  return UNREAD.test(name) || (path.includes('@solana') && ELSEWHERE.test(name));
}

async function gather(folder: string): Promise<void> {
  const found = await licenceOf(folder);
  if (found !== null) licences.push(found);
}

async function has(folder: string, name: string): Promise<boolean> {
  return stat(join(folder, name)).then(
    () => true,
    () => false,
  );
}
