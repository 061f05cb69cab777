/**
 * The same smoke tests for every form that Farebox comes in, each run as its users would run it.
 * Usage: npm run smoke -- source | binary [FILE] | image [NAME]
 *
 * A binary or an image that is not named is built first. The image needs root, buildah and unshare; where they are not there, nothing is
 * tested, and that is said.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Subject } from '../test/smoke/subject.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const MOST_MS = 600_000;
/** It can hold the log of a whole build. */
const MAX_OUT = 64 * 1024 * 1024;
const [kind = 'source', named, ...tests] = process.argv.slice(2);

await using left = new AsyncDisposableStack();
process.exitCode = await main();

async function main(): Promise<number> {
  const subject = await subjectOf();
  if (typeof subject === 'string') {
    process.stderr.write(`${subject}\n`);
    return subject.startsWith('Skipped') ? 0 : 2;
  }
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const args = [vitest, 'run', '--config', join(ROOT, 'test/smoke/vitest.config.ts')];
  const child = spawn(process.execPath, [...args, '--root', ROOT, ...tests], {
    env: { ...process.env, FAREBOX_SMOKE: JSON.stringify(subject) },
    stdio: 'inherit',
    timeout: MOST_MS,
  });
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return code ?? 1;
}

/** Or why there is none. */
async function subjectOf(): Promise<Subject | string> {
  switch (kind) {
    case 'source':
      return { kind };
    case 'binary':
      return { kind, file: await binary() };
    case 'image':
      return missing() ?? (await image());
    default:
      return 'Usage: npm run smoke -- source | binary [FILE] | image [NAME]';
  }
}

async function binary(): Promise<string> {
  const file = resolve(named ?? join(ROOT, 'dist/farebox'));
  const isThere = await stat(file).then(
    () => true,
    () => false,
  );
  if (!isThere) run(process.execPath, [join(ROOT, 'scripts/binary/build.ts'), file]);
  return file;
}

function missing(): string | null {
  if (process.getuid?.() !== 0) return 'Skipped: the image is only tested as root.';
  for (const tool of ['buildah', 'unshare', 'chroot']) {
    try {
      execFileSync('which', [tool], { stdio: 'ignore' });
    } catch {
      return `Skipped: ${tool} is not here.`;
    }
  }
  return null;
}

interface ImageConfig {
  Env: string[];
  Entrypoint: string[];
  User: string;
  WorkingDir: string;
}

/** Its root, mounted, and how it wants to be run. */
async function image(): Promise<Subject> {
  const name = named ?? (await build());
  const told = buildah('inspect', '--type', 'image', name);
  const { OCIv1, Docker } = JSON.parse(told) as {
    OCIv1: { config: ImageConfig };
    Docker: { config: { Healthcheck?: object } };
  };
  const { Env, Entrypoint, User, WorkingDir } = OCIv1.config;
  const container = buildah('from', '--pull-never', name).trim();
  left.defer(() => void buildah('rm', container));
  return {
    kind: 'image',
    root: buildah('mount', container).trim(),
    entrypoint: Entrypoint,
    environment: Object.fromEntries(
      Env.map((line) => [line.split('=', 1)[0]!, line.slice(line.indexOf('=') + 1)]),
    ),
    workdir: WorkingDir,
    user: User,
    hasHealthcheck: Docker.config.Healthcheck !== undefined,
  };
}

/** Of the last commit, as whoever clones it would; gone at the end. */
async function build(): Promise<string> {
  const name = 'farebox-smoke';
  const folder = await mkdtemp(join(tmpdir(), 'farebox-image-'));
  try {
    run('git', ['clone', '-q', ROOT, folder]);
    const how = ['--format', 'docker', '--isolation', 'chroot', '--network', 'host'];
    buildah('bud', ...how, '--pull-never', '-t', name, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  left.defer(() => void buildah('rmi', name));
  return name;
}

function buildah(...args: string[]): string {
  return run('buildah', ['--storage-driver', 'vfs', ...args]);
}

function run(program: string, args: string[]): string {
  return execFileSync(program, args, {
    encoding: 'utf8',
    maxBuffer: MAX_OUT,
    timeout: MOST_MS,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
