import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { startReceiver } from '../support/receiver.ts';
import { testStore } from '../support/store.ts';
import { startStudio } from '../support/studio.ts';
import { CLIP } from '../support/tasks.ts';

const WORKER = fileURLToPath(new URL('../support/task-worker.ts', import.meta.url));
/**
 * Writes of a task, from the one that makes it: made, taken, begun, looked at twice (two writes each, the last of which ends it), told.
 * What lies between one and the next is over with the first, but where something went out meanwhile: a submit, a look, a callback.
 */
const POINTS = [
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((write) => ['after', write] as const),
  ...[3, 7, 8].map((write) => ['before', write] as const),
];

/** Answers the signal that ended it; null where it came to its own end. */
function work(...args: string[]): Promise<NodeJS.Signals | null> {
  const child = spawn(process.execPath, [WORKER, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.once('exit', (code, signal) => {
      if (code === 0 || signal !== null) resolve(signal);
      else reject(new Error(`the worker ended with ${code}`));
    });
  });
}

it('ends each task once, whatever it was at when its process was killed (T-1, T-2, T-4, I25)', async () => {
  await using store = await testStore();
  await using studio = await startStudio({ looksToEnd: 2, state: 'processing', progress: 50 });
  await using receiver = await startReceiver();
  const account = await store.wallet('10');
  await store.close();
  let { ms } = store.clock;
  const run = (...more: string[]) => {
    ms += 60_000;
    return work(store.dataDir, studio.url, `${receiver.origin}/told`, account, String(ms), ...more);
  };
  for (const [side, write] of POINTS) {
    expect([side, write, await run(side, String(write))]).toEqual([side, write, 'SIGKILL']);
  }
  expect(await run()).toBeNull();

  await using after = await store.reopen();
  const tasks = await after.ledger.read.selectFrom('tasks').selectAll().execute();
  expect(tasks).toHaveLength(POINTS.length);
  const told = new Map<string, string[]>();
  for (const { body, headers } of receiver.requests) {
    const { id } = (JSON.parse(body.toString()) as { data: { id: string } }).data;
    told.set(id, [...(told.get(id) ?? []), String(headers['webhook-id'])]);
  }
  let completed = 0;
  for (const task of tasks) {
    const submits = studio.submits.get(task.id) ?? 0;
    expect([task.id, submits]).toEqual([task.id, Math.min(submits, 1)]);
    expect(new Set(told.get(task.id)).size).toBe(1);
    if (task.state === 'completed') completed += 1;
    else expect([task.state, task.error_code]).toEqual(['failed', 'submit_unknown']);
  }
  // Unknown is what was killed between the write before the submit and the one after it.
  expect(tasks.length - completed).toBe(2);
  const { posted, held } = await after.accounts.balance(account);
  expect([posted, held]).toEqual([10_000_000_000 - completed * CLIP, 0]);
  await after.check();
}, 120_000);
