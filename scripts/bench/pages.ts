/**
 * What an operator's pages and lists take in a large shop: makes a database (1,000,000 entries and what belongs to them), starts the
 * server on it, asks every page and list, the first and one in the middle, with each filter, and says how long each takes, how many
 * bytes it is and how late the event loop was meanwhile; then what a chat takes while somebody goes through the pages.
 * Usage: node scripts/bench/pages.ts [SCALE], where 1 is the size above and 0.11 the least that starts.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BIG, BIG_ADDRESS, fill, idOf } from './pages/fill.ts';
import { freePort } from '../free-port.ts';
import { cpuMicros, healthy, LOAD_CPU, memoryMb, startNode } from './process.ts';

const ADMIN_KEY = `ak_${'0123456789abcdef'.repeat(4)}`;
const SLOW_MS = 150;
const REPEATS = 3;
const CHATS = 200;
/** Between chats. */
const PAUSE_MS = 20;
const READINGS = [
  { count: 2, pauseMs: 250 },
  { count: 2, pauseMs: 0 },
];

const scale = Number(process.argv[2] ?? 1);
const of = (count: number) => Math.max(100, Math.round(count * scale));
const sizes = {
  entries: of(1_000_000),
  charges: of(200_000),
  accounts: of(100_000),
  keys: of(100_000),
  tasks: of(50_000),
  payments: of(50_000),
  others: of(20_000),
};
const half = (prefix: string, count: number) => idOf(prefix, Math.floor(count / 2));
const SMALL = idOf('acc', sizes.accounts - 2);

const monthsAgo = new Date(Date.now() - 89 * 86_400_000).toISOString().slice(0, 10);

const PAGES = [
  '/admin',
  '/admin/accounts',
  `/admin/accounts?before=${half('acc', sizes.accounts)}`,
  '/admin/accounts?kind=house',
  '/admin/accounts?state=frozen',
  '/admin/accounts?kind=house&state=frozen',
  '/admin/accounts?search=0x7f',
  `/admin/accounts?search=${BIG_ADDRESS}`,
  '/admin/accounts?search=nobody%20here',
  `/admin/accounts/${BIG}`,
  `/admin/accounts/${BIG}?before=${Math.floor(sizes.entries / 2)}`,
  `/admin/accounts/${SMALL}`,
  '/admin/keys',
  `/admin/keys?before=${half('key', sizes.keys)}`,
  '/admin/keys?state=revoked',
  `/admin/keys?accountId=${BIG}`,
  `/admin/keys?accountId=${SMALL}`,
  `/admin/keys/${half('key', sizes.keys)}`,
  '/admin/payments',
  `/admin/payments?before=${half('pay', sizes.payments)}`,
  '/admin/payments?state=expired',
  '/admin/payments?state=submitted',
  `/admin/payments?state=settled&accountId=${SMALL}`,
  `/admin/payments?accountId=${BIG}`,
  '/admin/payments?payer=0x00000007',
  '/admin/payouts',
  '/admin/payouts?state=failed',
  '/admin/models',
  '/admin/channels',
  '/admin/tasks',
  `/admin/tasks?before=${half('task', sizes.tasks)}`,
  '/admin/tasks?state=cancelled',
  '/admin/tasks?state=pending',
  `/admin/tasks?state=failed&accountId=${SMALL}`,
  `/admin/tasks/${half('task', sizes.tasks)}`,
  '/admin/webhooks',
  '/admin/webhooks?state=failed',
  '/admin/webhooks?state=pending',
  `/admin/webhooks?accountId=${SMALL}`,
  `/admin/webhooks?taskId=${half('task', sizes.others)}`,
  '/admin/usage',
  `/admin/usage?from=${monthsAgo}`,
  '/admin/usage.csv',
  '/admin/log',
  `/admin/log?before=${Math.floor(sizes.others / 2)}`,
  `/admin/log?target=${SMALL}`,
  '/admin/log?action=none.such',
  '/admin/settings',
];

const LISTS = [
  '/admin/api/accounts?limit=200',
  '/admin/api/accounts?search=0x7f',
  `/admin/api/accounts/${BIG}`,
  `/admin/api/accounts/${BIG}/entries?limit=200`,
  `/admin/api/accounts/${BIG}/entries?cursor=${Math.floor(sizes.entries / 2)}`,
  `/admin/api/accounts/${BIG}/holds?limit=200`,
  `/admin/api/accounts/${SMALL}/holds`,
  `/admin/api/accounts/${SMALL}/holds?state=open`,
  `/admin/api/accounts/${BIG}/usage`,
  `/admin/api/accounts/${BIG}/adjustments`,
  '/admin/api/keys?limit=200',
  '/admin/api/keys?status=active',
  `/admin/api/keys?accountId=${BIG}`,
  `/admin/api/keys?cursor=${half('key', sizes.keys)}`,
  '/admin/api/channels',
  '/admin/api/payments?limit=200',
  '/admin/api/payments?network=solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1',
  '/admin/api/payments?network=none',
  '/admin/api/payouts',
  '/admin/api/audit?limit=200',
  '/admin/api/audit?actor=nobody',
  '/admin/api/webhooks?limit=200',
  '/metrics',
];

/** With a key of the account that has the most. */
const OWN = [
  '/v1/tasks?limit=100',
  `/v1/tasks?cursor=${half('task', sizes.tasks)}`,
  '/v1/tasks?status=cancelled',
  '/v1/webhooks/deliveries',
  '/api/v1/api_keys',
  '/api/v1/keys',
  '/api/v1/usage',
  '/api/v1/billing/balance',
  '/api/v1/billing/usage-history',
  '/api/v1/billing/usage-analytics?lookback=90d',
  `/x402/transactions/${BIG_ADDRESS}?limit=100`,
  `/x402/transactions/${BIG_ADDRESS}?offset=${Math.floor(sizes.entries / 4)}`,
];

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const dataDir = await mkdtemp(join(tmpdir(), 'farebox-pages-'));
const startedAt = performance.now();
await fill(dataDir, sizes);
say(`made in ${((performance.now() - startedAt) / 1_000).toFixed(1)} s: ${JSON.stringify(sizes)}`);
const port = await freePort();
const origin = `http://127.0.0.1:${port}`;
const env = {
  PORT: String(port),
  HOST: '127.0.0.1',
  DATA_DIR: dataDir,
  SANDBOX: '1',
  FAREBOX_ADMIN_KEY: ADMIN_KEY,
  FAREBOX_CONFIG: '',
  PUBLIC_URL: '',
  LOG_LEVEL: 'warn',
};
const options = { cpu: LOAD_CPU, env, nodeFlags: ['--max-semi-space-size=8'] };
const child = startNode(new URL('../../src/main.ts', import.meta.url), ['serve'], options);

interface Taken {
  ms: number;
  bytes: number;
  status: number;
}

async function ask(path: string, headers: Record<string, string>): Promise<Taken> {
  const before = performance.now();
  const answer = await fetch(origin + path, { headers, redirect: 'manual' });
  const bytes = (await answer.arrayBuffer()).byteLength;
  return { ms: performance.now() - before, bytes, status: answer.status };
}

/** The longest that the event loop of the server was late since it was asked last. */
async function latestMs(): Promise<number> {
  const headers = { authorization: `Bearer ${ADMIN_KEY}` };
  const text = await (await fetch(`${origin}/metrics`, { headers })).text();
  const found = /farebox_event_loop_delay_seconds\{quantile="1"\} (\S+)/.exec(text)?.[1];
  return Number(found ?? NaN) * 1_000;
}

async function each(
  title: string,
  paths: string[],
  headers: Record<string, string>,
): Promise<void> {
  say(`\n${title}\n  first   best    CPU ms     KiB   late ms`);
  for (const path of paths) {
    await latestMs();
    const cpuBefore = cpuMicros(child.pid);
    const all: Taken[] = [];
    for (let n = 0; n < REPEATS; n += 1) all.push(await ask(path, headers));
    const cpu = (cpuMicros(child.pid) - cpuBefore) / 1_000 / REPEATS;
    const late = await latestMs();
    const [first] = all;
    const best = Math.min(...all.map(({ ms }) => ms));
    const { ms, bytes, status } = first!;
    const mark = best > SLOW_MS || late > SLOW_MS ? '  <-- slow' : '';
    const wrong = status === 200 ? '' : `  <-- ${status}`;
    say(
      `${ms.toFixed(1).padStart(7)} ${best.toFixed(1).padStart(6)} ${cpu.toFixed(1).padStart(6)} ${(bytes / 1_024).toFixed(0).padStart(7)} ` +
        `${late.toFixed(0).padStart(5)}  ${path}${mark}${wrong}`,
    );
  }
}

async function signIn(): Promise<string> {
  const answer = await fetch(`${origin}/admin/login`, {
    method: 'POST',
    headers: { origin },
    body: new URLSearchParams({ key: ADMIN_KEY }),
    redirect: 'manual',
  });
  return (answer.headers.get('set-cookie') ?? '').split(';')[0]!;
}

async function keyOf(accountId: string): Promise<string> {
  const answer = await fetch(`${origin}/admin/api/keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ accountId, type: 'ADMIN', label: 'bench', reason: 'for the bench' }),
  });
  const { key } = (await answer.json()) as { key?: string };
  if (!key) throw new Error(`no key: ${answer.status}`);
  return key;
}

async function chats(headers: Record<string, string>): Promise<string> {
  const body = JSON.stringify({ model: 'demo-chat', messages: [{ role: 'user', content: 'Hi' }] });
  const took: number[] = [];
  for (let n = 0; n < CHATS; n += 1) {
    const before = performance.now();
    const answer = await fetch(`${origin}/v1/chat/completions`, { method: 'POST', headers, body });
    await answer.arrayBuffer();
    if (answer.status !== 200) throw new Error(`a chat answers ${answer.status}`);
    took.push(performance.now() - before);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  took.sort((a, b) => a - b);
  const at = (part: number) => took[Math.floor(took.length * part)]!.toFixed(1);
  return `p50 ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)} ms`;
}

/** Go through everything until told to end, with so much time between pages. */
async function readers(
  { count, pauseMs }: { count: number; pauseMs: number },
  headers: Record<string, string>,
  signal: AbortSignal,
) {
  let read = 0;
  const reader = async (from: number) => {
    for (let n = from; !signal.aborted; n += 1) {
      await ask(PAGES[n % PAGES.length]!, headers);
      read += 1;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  await Promise.all(Array.from({ length: count }, (_each, n) => reader(n * 7)));
  return read;
}

try {
  const before = performance.now();
  await healthy(child, port, '/ready');
  say(`ready after ${(performance.now() - before).toFixed(0)} ms, ${memory()}`);
  const cookie = { cookie: await signIn() };
  await each('Pages', PAGES, cookie);
  await each('Lists of operators', LISTS, { authorization: `Bearer ${ADMIN_KEY}` });
  const own = { authorization: `Bearer ${await keyOf(BIG)}` };
  await each('Lists of one customer', OWN, own);
  say(`\n${memory()}`);
  const chat = { ...own, 'content-type': 'application/json' };
  await chats(chat);
  say(`\na chat, nobody reading: ${await chats(chat)}`);
  for (const reading of READINGS) {
    const ending = new AbortController();
    const read = readers(reading, cookie, ending.signal);
    const busy = await chats(chat);
    ending.abort();
    say(
      `a chat while ${reading.count} read a page every ${reading.pauseMs} ms (${await read} pages): ${busy}`,
    );
  }
  say(memory());
} finally {
  await child.stop();
  if (child.process.exitCode !== 0) say(child.output());
  await rm(dataDir, { recursive: true, force: true });
}

function memory(): string {
  const { now, highest } = memoryMb(child.pid);
  return `${now.toFixed(0)} MiB resident, ${highest.toFixed(0)} at most`;
}
