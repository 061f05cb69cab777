/**
 * Kills a sandbox server with SIGKILL at random moments under load, again and again, and after each kill checks the ledger and
 * the clock: `verify` clean, every acknowledged deposit and charge there exactly once, ready again in time. Loopback only.
 *
 *   npm run faults                 20 kills
 *   npm run faults -- --kills 200  as before a release
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDatabase } from '../src/db/open.ts';
import { DATABASE_FILE } from '../src/ledger/store.ts';
import { parseUsd } from '../src/money.ts';
import { verifyStore } from '../src/verify.ts';
import { Agent } from './faults/agent.ts';
import { freePort } from './free-port.ts';
import { randomFrom } from './random.ts';

const AGENTS = 6;
const READY_MS = 15_000;
const MOST_ALIVE_MS = 700;
const main = new URL('../src/main.ts', import.meta.url).pathname;

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '20' }, seed: { type: 'string', default: '1' } },
});
const kills = Number(values.kills);
const random = randomFrom(Number(values.seed));

const dataDir = await mkdtemp(join(tmpdir(), 'farebox-faults-'));
const port = await freePort();
const origin = `http://127.0.0.1:${port}`;
const agents = Array.from({ length: AGENTS }, () => new Agent(origin));
const readyTimes: number[] = [];
let faults = 0;

try {
  for (let kill = 1; kill <= kills; kill += 1) {
    const server = await start();
    await loadUntilKilled(server, 20 + random() * MOST_ALIVE_MS);
    await check(`after kill ${kill}`);
  }
  const last = await start();
  for (const agent of agents) {
    for (let tries = 0; agent.hasPendingPayment && tries < 20; tries += 1) await agent.topUp(1);
    if (agent.hasPendingPayment) fault('a payment never got its answer');
  }
  await end(last, 'SIGTERM');
  await check('at the end');
  report();
} finally {
  await rm(dataDir, { recursive: true, force: true });
}
process.exitCode = faults === 0 ? 0 : 1;

async function start(): Promise<ChildProcess> {
  const begun = performance.now();
  const server = spawn(process.execPath, [main, 'serve'], {
    env: {
      PATH: process.env.PATH,
      SANDBOX: '1',
      PORT: String(port),
      DATA_DIR: dataDir,
      LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'inherit', 'inherit'],
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

async function loadUntilKilled(server: ChildProcess, aliveMs: number): Promise<void> {
  const over = new Promise((resolve) => server.once('exit', resolve));
  let isAlive = true;
  const timer = setTimeout(() => server.kill('SIGKILL'), aliveMs);
  const work = agents.map(async (agent) => {
    while (isAlive) {
      try {
        const dice = random();
        if (dice < 0.15 || agent.acknowledged.deposits.size === 0) await agent.topUp(1);
        else await agent.chat(dice < 0.5);
      } catch {
        // The connection went with the server.
        if (server.exitCode !== null || server.signalCode !== null) return;
      }
    }
  });
  await over;
  isAlive = false;
  clearTimeout(timer);
  await Promise.all(work);
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
  const database = openDatabase(join(dataDir, DATABASE_FILE), 'read');
  const entries = await database.db
    .selectFrom('entries')
    .select(['kind', 'ref', 'request_id', 'amount'])
    .execute();
  await database.close();
  const deposits = new Map(entries.filter((e) => e.kind === 'DEPOSIT').map((e) => [e.ref, e]));
  const charges = new Map(entries.filter((e) => e.kind === 'CHARGE').map((e) => [e.request_id, e]));
  for (const agent of agents) {
    for (const surprise of agent.surprises.splice(0)) fault(`${when}: ${surprise}`);
    for (const [id, units] of agent.acknowledged.deposits) {
      if (deposits.get(id)?.amount !== Number(units) * 1_000)
        fault(`${when}: deposit ${id} is lost`);
    }
    for (const [id, cost] of agent.acknowledged.charges) {
      if (charges.get(id)?.amount !== parseUsd(cost)) fault(`${when}: charge of ${id} is lost`);
    }
  }
}

function fault(message: string): void {
  faults += 1;
  console.error(`FAULT ${message}`);
}

function report(): void {
  const sorted = readyTimes.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0);
  const sum = (count: (agent: Agent) => number) =>
    agents.reduce((total, agent) => total + count(agent), 0);
  console.log(
    `${kills} kills, ${faults} faults; ${sum((a) => a.acknowledged.deposits.size)} deposits and ` +
      `${sum((a) => a.acknowledged.charges.size)} charges acknowledged and found; ` +
      `start to ready: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, worst ${at(1)} ms`,
  );
}
