/**
 * Runs a binary that was built as its users would: without Node or anything else in its environment. Says how long a start takes, beside one from source.
 * Usage: node scripts/binary/smoke.ts [FILE]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { strict as assert } from 'node:assert';
import { appendFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const file = resolve(process.argv[2] ?? 'dist/farebox');
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const MOST_MS = 120_000;
const ASSETS = ['admin.css', 'admin.js', 'htmx.js', 'uplot.js', 'uplot.css'];

const dataDir = await mkdtemp(join(tmpdir(), 'farebox-smoke-'));
const environment = { DATA_DIR: dataDir, SANDBOX: '1', PORT: '0' };
try {
  await demo();
  await starts();
  await mended();
  process.stdout.write('The binary works.\n');
} finally {
  await rm(dataDir, { recursive: true, force: true });
}

async function demo(): Promise<void> {
  const { code, out } = await ended(run(['demo']));
  assert.equal(code, 0, out);
  say('demo: a paid call, from 402 to ledger');
}

async function starts(): Promise<void> {
  const ms = { source: 0, binary: 0 };
  for (const from of ['source', 'binary'] as const) {
    const { child, url, tookMs } = await serving(from);
    ms[from] = tookMs;
    if (from === 'binary') await look(url);
    child.kill('SIGTERM');
    const { code, out } = await ended(child);
    assert.equal(code, 0, out);
  }
  say(
    `serve: answers after ${ms.binary} ms, from source after ${ms.source} ms; ends with 0 at SIGTERM`,
  );
}

async function look(url: string): Promise<void> {
  for (const path of ['/health', '/ready', '/v1/models', '/openapi.json', ...ASSETS.map(assetOf)]) {
    const { status } = await fetch(url + path);
    assert.equal(status, 200, path);
  }
  const backup = join(dataDir, 'backup.tgz');
  for (const args of [['doctor'], ['verify'], ['backup', backup]]) {
    const { code, out } = await ended(run(args));
    assert.equal(code, 0, `${args[0]}: ${out}`);
  }
  say('doctor, verify and backup: beside the server');
}

/** What was changed on disk does not run. */
async function mended(): Promise<void> {
  const program = join(dataDir, 'program');
  const [id = ''] = await readdir(program);
  const addon = join(program, id, 'node_modules/sqlite3/build/Release/node_sqlite3.node');
  const before = await readFile(addon);
  await appendFile(addon, 'changed');
  await rm(join(program, id, 'start.cjs'));
  const { code, out } = await ended(run(['verify']));
  assert.equal(code, 0, out);
  assert.deepEqual(await readFile(addon), before);
  say('files that were changed or removed are put back');
}

async function serving(from: 'source' | 'binary') {
  const startedMs = performance.now();
  const child = run(['serve', '--json'], from);
  const line = await new Promise<string>((done, failed) => {
    let out = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      if (out.includes('\n')) done(out);
    });
    child.once('close', () => failed(new Error(`it does not start: ${out}`)));
  });
  const { url } = JSON.parse(line) as { url: string };
  const { status } = await fetch(`${url}/ready`);
  assert.equal(status, 200);
  return { child, url, tookMs: Math.round(performance.now() - startedMs) };
}

function run(args: string[], from: 'source' | 'binary' = 'binary'): ChildProcess {
  const [program, own] = from === 'binary' ? [file, []] : [process.execPath, [main]];
  return spawn(program, [...own, ...args], {
    env: { ...environment },
    cwd: dataDir,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: MOST_MS,
    killSignal: 'SIGKILL',
  });
}

async function ended(child: ChildProcess): Promise<{ code: number | null; out: string }> {
  let out = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
  }
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return { code, out };
}

function assetOf(name: string): string {
  return `/admin/assets/${name}`;
}

function say(what: string): void {
  process.stdout.write(`ok   ${what}\n`);
}
