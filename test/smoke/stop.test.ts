import { chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  ask,
  type Asking,
  type Kind,
  KNOWN_COST,
  type Seen,
  startSlowUpstream,
  type Upstream,
  WORDS,
} from './streams.ts';
import { Place, run, type Running, serve, subject } from './subject.ts';

const DRAIN_MS = 3_000;
/** Beyond the drain: what was cut off is charged, and everything is closed. */
const CLOSING_MS = 5_000;
/** Two signals within a second are one. */
const SAME_SIGNAL_MS = 1_200;
const CREDIT_USD = '40';
const CUSTOMERS = 4;
/** 200 streams, and some that are none. */
const STREAMS: Partial<Record<Kind, number>> = {
  ends: 80,
  counted: 60,
  plain: 40,
  silent: 20,
  json: 20,
};
const BECAUSE = { reason: 'for the smoke test' };

interface Customer {
  account: string;
  key: string;
}

interface Account {
  postedUsd: string;
  heldUsd: string;
}

interface HoldRow {
  requestId: string;
  capturedUsd: string;
}

let place: Place;
let upstream: Upstream;
let operatorKey: string;
/** Of an answer that does not say what it used. */
let plainCost = 0;
const customers: Customer[] = [];
/** Of what all clients saw, by account. */
const all: { customer: Customer; seen: Seen }[] = [];

beforeAll(async () => {
  place = await Place.make();
  upstream = await startSlowUpstream();
  await settings(upstream.url);
  const made = await run(place, ['keys', 'create', '--type', 'admin', '--json'], { SANDBOX: '0' });
  operatorKey = String(made.json['secret']);
});
afterAll(async () => {
  await upstream.close();
  await place[Symbol.asyncDispose]();
});

async function settings(url: string): Promise<void> {
  const file = join(place.dataDir, 'farebox.yaml');
  await writeFile(
    file,
    `
channels: [{ id: slow, provider: openai, base_url: '${url}', api_key: key-of-the-upstream, concurrency: 400 }]
models:
  - id: slow
    type: text
    context: 8000
    max_output: 1000
    default_output: 100
    routes: [{ channel: slow, model: up-1 }]
    price: { rules: [{ unit: input_token, per: 1000000, usd: '0.25' }, { unit: output_token, per: 1000000, usd: '2' }] }
limits: { drain_ms: ${DRAIN_MS} }
`,
    { mode: 0o600 },
  );
  if (subject.kind === 'image') await chown(file, 1_000, 1_000);
}

async function call<T>(server: Running, path: string, body?: object): Promise<T> {
  const answer = await fetch(server.url + path, {
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${operatorKey}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

async function newCustomer(server: Running): Promise<Customer> {
  const label = `customer ${customers.length}`;
  const { id } = await call<{ id: string }>(server, '/admin/api/accounts', { label, ...BECAUSE });
  const grant = { amountUsd: CREDIT_USD, confirm: CREDIT_USD, ...BECAUSE };
  await call(server, `/admin/api/accounts/${id}/grants`, grant);
  const wanted = { accountId: id, label, ...BECAUSE };
  const { key } = await call<{ key: string }>(server, '/admin/api/keys', wanted);
  return { account: id, key };
}

async function begin(server: Running, counts: Partial<Record<Kind, number>>): Promise<Asking[]> {
  const before = upstream.requests.length;
  const kinds = Object.entries(counts).flatMap(([kind, count]) =>
    Array.from({ length: count }, () => kind as Kind),
  );
  const askings = kinds.map((kind, index) => {
    const customer = customers[index % CUSTOMERS]!;
    const asking = ask(server.url, customer.key, kind);
    all.push({ customer, seen: asking.seen });
    return asking;
  });
  await Promise.all([
    upstream.arrived(before + kinds.length),
    ...askings.map(({ begun }) => begun),
  ]);
  return askings;
}

/** Every hold of an account. */
async function holdsOf(server: Running, { account }: Customer): Promise<HoldRow[]> {
  const rows: HoldRow[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const path = `/admin/api/accounts/${account}/holds?limit=100${cursor && `&cursor=${cursor}`}`;
    const page: { data: HoldRow[]; nextCursor?: string | null } = await call(server, path);
    rows.push(...page.data);
    cursor = page.nextCursor ?? null;
  }
  return rows;
}

/** What is booked is what the clients saw, to the nano-dollar, and every account has what that leaves. */
async function audit(server: Running): Promise<void> {
  const verified = await run(place, ['verify', '--json'], { SANDBOX: '0' });
  expect(verified.json).toMatchObject({ ok: true, openHolds: 0, faults: [] });
  for (const customer of customers) {
    const rows = await holdsOf(server, customer);
    const mine = all.filter((one) => one.customer === customer).map(({ seen }) => seen);
    expect(rows).toHaveLength(mine.length);
    // Whoever was told nothing knows no id.
    const silent = rows.filter(
      ({ requestId }) => !mine.some((seen) => seen.requestId === requestId),
    );
    expect(silent).toHaveLength(mine.filter(({ requestId }) => requestId === '').length);
    for (const row of silent) expect(captured(row)).toBeLessThan(plainCost);
    for (const { kind, requestId, cost, owes } of mine) {
      if (requestId === '') continue;
      const row = rows.find((one) => one.requestId === requestId);
      expect({ kind, captured: row && captured(row) }).toEqual({ kind, captured: owes });
      if (cost !== null) expect(cost).toBe(owes);
    }
    const account = await call<Account>(server, `/admin/api/accounts/${customer.account}`);
    const charged = rows.reduce((sum, row) => sum + captured(row), 0);
    expect(Number(account.heldUsd)).toBe(0);
    expect(nano(account.postedUsd)).toBe(nano(CREDIT_USD) - charged);
  }
}

function captured({ capturedUsd }: HoldRow): number {
  return nano(capturedUsd);
}

async function finished(askings: Asking[]): Promise<Seen[]> {
  await Promise.all(askings.map(({ ended }) => ended));
  return askings.map(({ seen }) => seen);
}

function nano(usd: string): number {
  return Math.round(Number(usd) * 1e9);
}

function of(seen: Seen[], ...kinds: Kind[]): Seen[] {
  return seen.filter(({ kind }) => kinds.includes(kind));
}

it('charges 200 open streams at SIGTERM for what was sent, and ends with 0', async () => {
  await using server = await serve(place);
  for (let index = 0; index < CUSTOMERS; index += 1) customers.push(await newCustomer(server));
  // The same words, whole, and with nothing said of what was used: as much is charged for those that are cut off.
  const [control] = await finished(await begin(server, { whole: 1 }));
  plainCost = control?.cost ?? 0;
  expect(plainCost).toBeGreaterThan(0);
  control!.owes = plainCost;

  const askings = await begin(server, STREAMS);
  await server.send('SIGTERM');
  await expect.poll(() => server.err(), { timeout: 10_000 }).toContain('"stopping"');
  const stoppedMs = performance.now();
  upstream.open();
  expect(await server.ended).toBe(0);
  const tookMs = performance.now() - stoppedMs;
  console.info(
    `SIGTERM with 200 open streams: ended after ${Math.round(tookMs)} ms, of which ${DRAIN_MS} to wait`,
  );
  expect(tookMs).toBeLessThan(DRAIN_MS + CLOSING_MS);
  expect(server.err()).toContain('"stopped"');

  const seen = await finished(askings);
  for (const each of of(seen, 'ends', 'json')) {
    expect(each).toMatchObject({ isComplete: true, cost: KNOWN_COST });
  }
  for (const each of of(seen, 'ends', 'counted', 'json')) each.owes = KNOWN_COST;
  for (const each of of(seen, 'plain')) each.owes = plainCost;
  for (const each of of(seen, 'counted', 'plain')) {
    expect(each).toMatchObject({ isComplete: false, words: WORDS });
  }
  await using again = await serve(place);
  await audit(again);
});

it('loses nothing that was told when it is killed', async () => {
  const server = await serve(place);
  const done = await finished(await begin(server, { ends: 20 }));
  for (const each of done) {
    expect(each).toMatchObject({ isComplete: true, cost: KNOWN_COST });
    each.owes = KNOWN_COST;
  }
  const askings = await begin(server, { counted: 30, silent: 10 });
  await server.send('SIGKILL');
  expect(await server.ended).not.toBe(0);
  // What was under way is given back: nobody can say any more what was sent.
  for (const each of await finished(askings)) expect(each.isComplete).toBe(false);
  await using again = await serve(place);
  await audit(again);
});

it('ends at once when it is told twice', async () => {
  const server = await serve(place);
  const askings = await begin(server, { counted: 10 });
  await server.send('SIGTERM');
  await expect.poll(() => server.err(), { timeout: 10_000 }).toContain('"stopping"');
  await new Promise((resolve) => setTimeout(resolve, SAME_SIGNAL_MS));
  const toldMs = performance.now();
  await server.send('SIGTERM');
  expect(await server.ended).toBe(1);
  expect(performance.now() - toldMs).toBeLessThan(1_000);
  await finished(askings);
  await using again = await serve(place);
  await audit(again);
});
