import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { seeded } from '../support/seeded.ts';
import { say, type Studio } from '../support/studio.ts';
import { CLIP, studioChannel, taskBench, videoModel, walletPrincipal } from '../support/tasks.ts';

const MB = 1024 * 1024;
const MANY = 1_000;
const CHANNELS = ['a', 'b', 'c', 'd'];

setFlagsFromString('--expose_gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What is alive. The process takes more from the system than that, as it sees fit: scripts/task-faults.ts watches a whole server. */
function aliveMb(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / MB;
}

/** One of five goes wrong, somewhere. */
function misbehave(studio: Studio, random: () => number): void {
  studio.onSubmit = Array.from({ length: 3 * MANY }, () => {
    const dice = random();
    if (dice < 0.04) return (response) => say(response, 503, {});
    if (dice < 0.06) return (response) => say(response, 500, {});
    if (dice < 0.08) return (response) => response.destroy();
    if (dice < 0.1) return (response) => say(response, 422, {});
    return null;
  });
  studio.usually = {
    get looksToEnd() {
      return 1 + Math.floor(3 * random());
    },
    get state() {
      return random() < 0.06 ? 'failed' : random() < 0.02 ? 'gone' : 'processing';
    },
    get files() {
      return [random() < 0.02 ? 'wrong.html' : 'clip.mp4'];
    },
  };
  const clip = Buffer.concat([
    Buffer.from('\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41', 'latin1'),
    Buffer.alloc(20_000, 3),
  ]);
  studio.onFile = (response, name) => {
    response.end(name === 'wrong.html' ? '<html>' : clip);
  };
}

it('charges for what was completed and for nothing else, a thousand times over four channels', async () => {
  const random = seeded(7);
  await using bench = await taskBench({
    channels: (studio) =>
      CHANNELS.map((id, n) => studioChannel(studio, { id, concurrency: 10 + 5 * n })),
    models: [videoModel({ routes: CHANNELS.map((channel) => ({ channel, model: channel })) })],
  });
  const { store, studio, tasks } = bench;
  misbehave(studio, random);
  const accounts = await Promise.all(Array.from({ length: 10 }, () => store.wallet('10')));
  const ids: string[] = [];
  let early = 0;
  while (ids.length < MANY) {
    const page = Array.from({ length: 50 }, (_x, n) => bench.make({}, accounts[n % 10]));
    ids.push(...(await Promise.all(page)).map(({ id }) => id));
    await bench.pass(2_000);
    if (ids.length === 100) early = aliveMb();
  }
  for (let step = 0; step < 400; step += 1) {
    await bench.pass(10_000);
    const open = await tasks.list(walletPrincipal(accounts[0]!), { state: 'pending', limit: 1 });
    if (open.tasks.length || step % 20) continue;
    const rows = await store.ledger.read
      .selectFrom('tasks')
      .select('id')
      .where('ended_at', 'is', null)
      .execute();
    if (!rows.length) break;
  }
  const grown = aliveMb() - early;
  const by = new Map<string, number>();
  let charged = 0;
  for (const id of ids) {
    const row = await bench.row(id);
    const name = `${row.state} ${row.error_code ?? ''}`.trim();
    by.set(name, (by.get(name) ?? 0) + 1);
    expect([row.state, row.charged]).toEqual([row.state, row.state === 'completed' ? CLIP : 0]);
    charged += row.charged;
  }
  const completed = by.get('completed') ?? 0;
  expect(completed).toBeGreaterThan(0.7 * MANY);
  expect(completed).toBeLessThan(0.95 * MANY);
  expect([...by.keys()].toSorted()).toEqual([
    'completed',
    'failed content_policy',
    'failed lost',
    'failed result_unavailable',
    'failed submit_unknown',
    'failed upstream_failed',
  ]);
  expect(charged).toBe(completed * CLIP);
  let available = 0;
  for (const account of accounts) available += await store.available(account);
  expect(available).toBe(accounts.length * 10_000_000_000 - charged);
  // The studio and the log of this test are in it.
  expect(grown).toBeLessThan(8);
  await bench.check();
}, 120_000);
