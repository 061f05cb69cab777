/**
 * Kills a server with SIGKILL at random moments while it makes clips, again and again. After each kill `verify` must be clean; at the end
 * every task that was acknowledged has ended once, captured or given back, was submitted once, and its callback was told of its end under
 * one id. Says how much memory the server takes. Loopback only.
 *
 *   npm exec -- node scripts/task-faults.ts              20 kills
 *   npm exec -- node scripts/task-faults.ts --kills 300  as before a release
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDatabase } from '../src/db/open.ts';
import { DATABASE_FILE } from '../src/ledger/store.ts';
import { verifyStore } from '../src/verify.ts';
import { Studio } from './faults/studio.ts';
import { freePort } from './free-port.ts';
import { randomFrom } from './random.ts';

const CALLERS = 6;
const READY_MS = 20_000;
const MOST_ALIVE_MS = 900;
/** No more are made while so many have not ended: a server that is killed all the time gets little done. */
const MOST_OPEN = 80;
const END_MS = 240_000;
const PRICE_NANO = 10_000_000;
const main = new URL('../src/main.ts', import.meta.url).pathname;

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '20' }, seed: { type: 'string', default: '1' } },
});
const kills = Number(values.kills);
const random = randomFrom(Number(values.seed));

const dataDir = await mkdtemp(join(tmpdir(), 'farebox-task-faults-'));
const port = await freePort();
const origin = `http://127.0.0.1:${port}`;
const studio = new Studio(random);
const studioOrigin = `http://127.0.0.1:${await studio.listen()}`;
const environment = {
  PATH: process.env.PATH ?? '',
  PORT: String(port),
  DATA_DIR: dataDir,
  FAREBOX_CONFIG: join(dataDir, 'farebox.yaml'),
  LOG_LEVEL: 'error',
};
/** Ids of tasks that were acknowledged. */
const made = new Set<string>();
const readyTimes: number[] = [];
let faults = 0;

try {
  await writeFile(environment.FAREBOX_CONFIG, settings());
  const key = await operatorKey();
  await credit(key);
  for (let kill = 1; kill <= kills; kill += 1) {
    const server = await start();
    await loadUntilKilled(server, key, 50 + random() * MOST_ALIVE_MS);
    await check(`after kill ${kill}`);
  }
  const last = await start();
  await untilAllHaveEnded(key);
  const rss = await rssMb(last);
  await end(last, 'SIGTERM');
  await check('at the end');
  await report(rss);
} finally {
  studio.close();
  await rm(dataDir, { recursive: true, force: true });
}
process.exitCode = faults === 0 ? 0 : 1;

function settings(): string {
  return `
server: { public_url: '${origin}' }
channels:
  - id: studio
    provider: task-http
    base_url: ${studioOrigin}
    api_key: key-of-the-studio
    concurrency: 40
    task:
      types: [video]
      create: [{ path: /jobs, body: { task_id: '{task_id}', prompt: '{prompt}' } }]
      id: /id
      poll: { path: '/jobs/{id}' }
      status: /state
      progress: /progress
      result: { urls: [/urls/*] }
models:
  - id: clip
    type: video
    params: { durations: [5] }
    routes: [{ channel: studio, model: clip }]
    price: { rules: [{ unit: generation, usd: '0.01' }] }
webhooks: { allow_private: [127.0.0.0/8], ports: [${new URL(studioOrigin).port}] }
limits: { rates: { video: { requests_per_minute: 0 } } }
`;
}

async function operatorKey(): Promise<string> {
  const child = spawn(process.execPath, [main, 'keys', 'create', '--type', 'admin', '--json'], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const chunk of child.stdout) text += String(chunk);
  return (JSON.parse(text) as { secret: string }).secret;
}

async function credit(key: string): Promise<void> {
  const server = await start();
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const response = await fetch(`${origin}/admin/api/accounts/acc_house/grants`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ amountUsd: '1000', confirm: '1000', reason: 'for the faults' }),
  });
  if (response.status !== 201) throw new Error(`no credit: ${await response.text()}`);
  await end(server, 'SIGTERM');
}

async function start(): Promise<ChildProcess> {
  const begun = performance.now();
  const flags = ['--max-semi-space-size=8'];
  const server = spawn(process.execPath, [...flags, main, 'serve'], {
    env: environment,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  while (performance.now() - begun < READY_MS) {
    const ready = await fetch(`${origin}/ready`).catch(() => null);
    if (ready?.status === 200) {
      readyTimes.push(performance.now() - begun);
      return server;
    }
    if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('the server did not become ready');
}

async function loadUntilKilled(server: ChildProcess, key: string, aliveMs: number): Promise<void> {
  const over = new Promise((resolve) => server.once('exit', resolve));
  let isAlive = true;
  const timer = setTimeout(() => server.kill('SIGKILL'), aliveMs);
  const work = Array.from({ length: CALLERS }, async () => {
    while (isAlive) {
      try {
        await ask(key);
      } catch {
        // The connection went with the server.
        if (server.exitCode !== null || server.signalCode !== null) return;
      }
      await new Promise((resolve) => setTimeout(resolve, 40 * random()));
    }
  });
  await over;
  isAlive = false;
  clearTimeout(timer);
  await Promise.all(work);
}

/** One more task, or, now and then, one less. */
async function ask(key: string): Promise<void> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const [some] = made;
  if (some !== undefined && random() < 0.1) {
    const id = [...made][Math.floor(random() * made.size)] ?? some;
    const response = await fetch(`${origin}/v1/tasks/${id}`, { method: 'DELETE', headers });
    if (![200, 409, 502, 503].includes(response.status)) fault(`DELETE: ${response.status}`);
    return;
  }
  if (made.size - studio.told.size > MOST_OPEN) return;
  const response = await fetch(`${origin}/v1/videos`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ model: 'clip', prompt: 'A boat', callback_url: `${studioOrigin}/told` }),
  });
  const body = (await response.json()) as { id?: string };
  if (response.status === 200 && body.id) made.add(body.id);
  else if (response.status !== 503) fault(`POST: ${response.status} ${JSON.stringify(body)}`);
}

async function untilAllHaveEnded(key: string): Promise<void> {
  const headers = { authorization: `Bearer ${key}` };
  const until = performance.now() + END_MS;
  while (performance.now() < until) {
    let open = 0;
    for (const status of ['pending', 'processing']) {
      const response = await fetch(`${origin}/v1/tasks?limit=1&status=${status}`, { headers });
      open += ((await response.json()) as { data: unknown[] }).data.length;
    }
    const isTold = [...made].every((id) => studio.lastTold(id) !== undefined);
    if (open === 0 && isTold) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  fault('some tasks never ended, or nobody was told');
}

async function end(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const over = new Promise((resolve) => server.once('exit', resolve));
  server.kill(signal);
  const code = await over;
  if (code !== 0) fault(`${signal} ended the server with ${String(code)}`);
}

async function check(when: string): Promise<void> {
  const result = await verifyStore({ dataDir, nowMs: Date.now() });
  for (const found of result.faults) fault(`${when}: ${found.row} ${found.message}`);
}

async function report(rss: number): Promise<void> {
  const database = openDatabase(join(dataDir, DATABASE_FILE), 'read');
  const rows = await database.db.selectFrom('tasks').selectAll().execute();
  await database.close();
  const counts: Record<string, number> = {};
  for (const row of rows) {
    const name = [row.state, row.error_code].filter(Boolean).join(' ');
    counts[name] = (counts[name] ?? 0) + 1;
    if (row.ended_at === null) {
      const { submit, queue, crashes, next_at: next } = row;
      fault(`${row.id} is ${row.state}: ${JSON.stringify({ submit, queue, crashes, next })}`);
      continue;
    }
    if (row.charged !== (row.state === 'completed' ? PRICE_NANO : 0)) fault(`${row.id} is charged`);
    // A 503 says that nothing was begun, so such a submit is followed by another.
    if ((studio.submits.get(row.id) ?? 0) > row.starts) fault(`${row.id} was submitted again`);
    if ((studio.told.get(row.id)?.size ?? 0) !== 1) fault(`${row.id} was not told under one id`);
    if (studio.lastTold(row.id) !== row.state) fault(`${row.id} was told otherwise`);
    made.delete(row.id);
  }
  for (const id of made) fault(`${id} was acknowledged and is not there`);
  const sorted = readyTimes.toSorted((a, b) => a - b);
  const worst = Math.round(sorted.at(-1) ?? 0);
  console.log(
    `${kills} kills, ${faults} faults; ${rows.length} tasks: ${JSON.stringify(counts)}; ` +
      `start to ready: worst ${worst} ms; ${rss.toFixed(0)} MB at the end`,
  );
}

async function rssMb({ pid }: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024;
}

function fault(message: string): void {
  faults += 1;
  console.error(`FAULT ${message}`);
}
