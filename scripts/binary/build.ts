/**
 * `npm run build:binary`: the whole program and Node in one file, for the machine that builds it. https://nodejs.org/docs/latest-v24.x/api/single-executable-applications.html
 * Usage: node scripts/binary/build.ts [FILE]
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { joinLicences, licence, licenceOf } from '../../src/licences.ts';
import { sbomOf } from '../sbom.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
/** Two levels below the top, as every module of src/ that reads a file beside it expects. */
const CODE = 'src/app';
/** Addons, and what finds them; they are no part of the bundle. */
const PACKAGES: Record<string, string[]> = {
  sqlite3: ['package.json', 'LICENSE', 'lib', 'build/Release/node_sqlite3.node'],
  bindings: ['package.json', 'LICENSE.md', 'bindings.js'],
  'file-uri-to-path': ['package.json', 'LICENSE', 'index.js'],
  secp256k1: [
    'package.json',
    'LICENSE',
    'bindings.js',
    'lib',
    `prebuilds/${process.platform}-${process.arch}`,
  ],
  'node-gyp-build': ['package.json', 'LICENSE', 'index.js', 'node-gyp-build.js'],
  'htmx.org': ['package.json', 'dist/htmx.min.js'],
  uplot: ['package.json', 'dist/uPlot.iife.min.js', 'dist/uPlot.min.css'],
};

/** These load parts of themselves by names that are made up as they run: they lie there as they are, with all they depend on. */
const WHOLE = ['file-type'];

/** Everything whose licence and name the file must carry: folders of packages. */
const carried = new Set<string>();

const target = resolve(process.argv[2] ?? 'dist/farebox');
const stage = await mkdtemp(join(tmpdir(), 'farebox-binary-'));
try {
  const program = join(stage, 'program');
  await bundle(program);
  await addFiles(program);
  await addLicences(program);
  await pack(program);
  await link();
  await writeFile(`${target}.sbom.cdx.json`, await sbomOf(carried, ROOT));
  const { size } = await stat(target);
  process.stdout.write(`${target}: ${(size / 2 ** 20).toFixed(1)} MiB\n`);
  process.stdout.write(`${target}.sbom.cdx.json: what is in it\n`);
} finally {
  await rm(stage, { recursive: true, force: true });
}

async function bundle(program: string): Promise<void> {
  const common = {
    bundle: true,
    platform: 'node' as const,
    target: 'node24',
    logLevel: 'error' as const,
  };
  const { metafile } = await build({
    ...common,
    metafile: true,
    absWorkingDir: ROOT,
    entryPoints: [join(ROOT, 'src/main.ts')],
    outdir: join(program, CODE),
    outExtension: { '.js': '.mjs' },
    format: 'esm',
    splitting: true,
    keepNames: true,
    external: ['sqlite3', ...WHOLE],
    // What is bundled of CommonJS asks for Node's own modules by `require`.
    banner: {
      js: "import { createRequire as requireOf } from 'node:module';\nvar require = requireOf(import.meta.url);",
    },
  });
  for (const input of Object.keys(metafile.inputs)) {
    const folder = packageOf(input);
    if (folder !== null) carried.add(join(ROOT, folder));
  }
  await build({
    ...common,
    entryPoints: [join(ROOT, 'scripts/binary/boot.ts')],
    outfile: join(stage, 'boot.cjs'),
    format: 'cjs',
  });
}

async function addFiles(program: string): Promise<void> {
  await writeFile(join(program, 'start.cjs'), `import('./${CODE}/main.mjs');\n`);
  await cp(join(ROOT, 'config'), join(program, 'config'), { recursive: true });
  await cp(join(ROOT, 'src/http/page/assets'), join(program, CODE, 'assets'), { recursive: true });
  await copyFile(join(ROOT, 'src/http/public/site.css'), join(program, CODE, 'site.css'));
  for (const name of ['LICENSE', 'package.json'])
    await copyFile(join(ROOT, name), join(program, name));
  for (const [name, parts] of Object.entries(PACKAGES)) {
    carried.add(join(ROOT, 'node_modules', name));
    for (const part of parts) {
      const from = join(ROOT, 'node_modules', name, part);
      if (!(await stat(from).catch(() => null))) continue;
      const to = join(program, 'node_modules', name, part);
      await mkdir(dirname(to), { recursive: true });
      await cp(from, to, { recursive: true });
    }
  }
  for (const name of WHOLE) await addWhole(program, name);
}

async function addWhole(program: string, name: string): Promise<void> {
  const from = join(ROOT, 'node_modules', name);
  const to = join(program, 'node_modules', name);
  if (await stat(to).catch(() => null)) return;
  await cp(from, to, { recursive: true });
  carried.add(from);
  const { dependencies = {} } = JSON.parse(await readFile(join(from, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>;
  };
  for (const other of Object.keys(dependencies)) await addWhole(program, other);
}

/** The folder of the package that a bundled file is of; null for our own. */
function packageOf(input: string): string | null {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? null;
}

async function addLicences(program: string): Promise<void> {
  const found = await Promise.all(Array.from(carried, (folder) => licenceOf(folder)));
  const texts = found.filter((text) => text !== null);
  const node = await nodeLicence();
  if (node === null) process.stderr.write("Node's own licence was not found beside it.\n");
  else texts.push(licence(`Node.js ${process.version}`, [node.trim()]));
  await writeFile(join(program, 'THIRD-PARTY-LICENCES.txt'), joinLicences(texts));
}

/** Of the Node that becomes part of the file, and of all that is in it. */
async function nodeLicence(): Promise<string | null> {
  const platform = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const places = [
    join(dirname(process.execPath), '../LICENSE'),
    join(ROOT, 'node_modules/node/node_modules', platform, 'LICENSE'),
    join(ROOT, 'node_modules', platform, 'LICENSE'),
  ];
  for (const place of places) {
    const text = await readFile(place, 'utf8').catch(() => null);
    if (text !== null) return text;
  }
  return null;
}

/** One compressed blob, and where each file lies in it. */
async function pack(program: string): Promise<void> {
  const found = await readdir(program, { recursive: true, withFileTypes: true });
  const paths = found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
  const contents = await Promise.all(paths.map((path) => readFile(path)));
  let at = 0;
  const files = contents.map((content, number) => {
    const path = relative(program, paths[number]!);
    const file = { path, sha256: sha256(content), at, bytes: content.length };
    at += content.length;
    return file;
  });
  const id = sha256(JSON.stringify(files)).slice(0, 16);
  await writeFile(join(stage, 'index'), JSON.stringify({ id, files }));
  await writeFile(join(stage, 'files'), gzipSync(Buffer.concat(contents)));
}

async function link(): Promise<void> {
  const config = join(stage, 'sea.json');
  const blob = join(stage, 'sea.blob');
  await writeFile(
    config,
    JSON.stringify({
      main: join(stage, 'boot.cjs'),
      output: blob,
      disableExperimentalSEAWarning: true,
      // As `npm start` has it; and what Node leaves unsaid of packages, but not of a bundle.
      execArgv: ['--max-semi-space-size=8', '--disable-warning=DEP0040'],
      assets: { index: join(stage, 'index'), files: join(stage, 'files') },
    }),
  );
  execFileSync(process.execPath, ['--experimental-sea-config', config], { stdio: 'ignore' });
  await mkdir(dirname(target), { recursive: true });
  await rm(target, { force: true });
  await copyFile(process.execPath, target);
  strip();
  await chmod(target, 0o755);
  const postject = join(ROOT, 'node_modules/postject/dist/cli.js');
  const what = [target, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE];
  execFileSync(process.execPath, [postject, ...what], { stdio: 'ignore' });
}

/** Without the symbols that only a debugger of Node itself reads; where there is no such tool, the file is larger. */
function strip(): void {
  if (process.platform !== 'linux') return;
  try {
    execFileSync('strip', ['--strip-unneeded', target], { stdio: 'ignore' });
  } catch {
    process.stderr.write('strip is not here: the file keeps the symbols of Node.\n');
  }
}

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
