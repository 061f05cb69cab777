import { describe, expect, it } from 'vitest';
import { type Answering, startReceiver, status } from '../support/receiver.ts';
import { type HookBench, hookBench } from '../support/webhooks.ts';

/** Answers once it is told, and counts how many wait. */
function gate(): { answer: Answering; open(): void; most(): number; waiting(): number } {
  const held = new Set<() => void>();
  let isOpen = false;
  let most = 0;
  return {
    answer: (response) => {
      const answer = () => {
        response.writeHead(204);
        response.end();
      };
      if (isOpen) return answer();
      held.add(answer);
      response.on('close', () => held.delete(answer));
      most = Math.max(most, held.size);
    },
    open: () => {
      isOpen = true;
      for (const answer of held) answer();
    },
    most: () => most,
    waiting: () => held.size,
  };
}

async function enqueue(
  hooks: HookBench,
  count: number,
  urlOf: (n: number) => string,
  accountId = hooks.accountId,
): Promise<void> {
  for (let n = 0; n < count; n += 1) await hooks.enqueue(urlOf(n), { accountId });
}

async function states(hooks: HookBench): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { state } of await hooks.webhooks.list({ limit: 10_000 })) {
    counts[state] = (counts[state] ?? 0) + 1;
  }
  return counts;
}

describe('deliveries', () => {
  it('of one account to one receiver are two at once, and each comes once (W-1)', async () => {
    const door = gate();
    await using receiver = await startReceiver(door.answer);
    await using hooks = await hookBench({ timeoutMs: 60_000 });
    await enqueue(hooks, 50, () => receiver.origin);
    hooks.webhooks.wake();
    await receiver.arrived(2);
    for (let n = 0; n < 5; n += 1) hooks.webhooks.wake();
    expect(door.waiting()).toBe(2);
    door.open();
    await hooks.webhooks.deliverDue();
    expect(door.most()).toBe(2);
    expect(await states(hooks)).toEqual({ delivered: 50 });
    const ids = receiver.requests.map(({ headers }) => headers['webhook-id']);
    expect([ids.length, new Set(ids).size]).toEqual([50, 50]);
  });

  it('are held up by no receiver that hangs, however much waits for it (W-1)', async () => {
    const door = gate();
    await using hung = await startReceiver(door.answer);
    await using good = await startReceiver();
    await using hooks = await hookBench({ timeoutMs: 60_000 });
    const other = await hooks.store.wallet('1');
    await enqueue(hooks, 200, () => hung.origin);
    await enqueue(hooks, 5, () => good.origin);
    await enqueue(hooks, 20, () => good.origin, other);
    hooks.webhooks.wake();
    await good.arrived(25);
    expect(door.waiting()).toBe(2);
    expect(hung.requests).toHaveLength(2);
    door.open();
    await hooks.webhooks.deliverDue();
    expect(await states(hooks)).toEqual({ delivered: 225 });
  });

  it('are at most so many of an account, to an origin, and in all', async () => {
    const door = gate();
    const receivers = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        startReceiver(door.answer, { host: `127.0.1.${n + 1}` }),
      ),
    );
    await using stack = new AsyncDisposableStack();
    for (const receiver of receivers) stack.use(receiver);
    await using hooks = await hookBench({ timeoutMs: 60_000 });
    const at = (n: number) => receivers[n]!.requests.length;
    // One account, twelve receivers: eight.
    await enqueue(hooks, 36, (n) => receivers[n % 12]!.origin);
    hooks.webhooks.wake();
    await expect.poll(() => door.waiting()).toBe(8);
    // Many accounts, one receiver: six.
    for (let n = 0; n < 8; n += 1) {
      const account = await hooks.store.wallet('1');
      await enqueue(hooks, 3, () => receivers[11]!.origin, account);
    }
    hooks.webhooks.wake();
    await expect.poll(() => at(11)).toBe(6);
    // Everybody to everybody: 32.
    for (let n = 0; n < 8; n += 1) {
      const account = await hooks.store.wallet('1');
      await enqueue(hooks, 12, (m) => receivers[m]!.origin, account);
    }
    hooks.webhooks.wake();
    await expect.poll(() => door.waiting()).toBe(32);
    expect(at(11)).toBe(6);
    hooks.webhooks.wake();
    door.open();
    await hooks.webhooks.deliverDue();
    expect(door.most()).toBe(32);
    expect(Object.keys(await states(hooks))).toEqual(['delivered']);
  });

  it('to a receiver that fails are tried less and less, and flow again once it answers (W-6)', async () => {
    await using receiver = await startReceiver(status(500));
    await using hooks = await hookBench({ timeoutMs: 60_000 });
    await enqueue(hooks, 300, () => receiver.origin);
    // Ten minutes, a second at a time.
    for (let second = 0; second < 600; second += 1) {
      await hooks.webhooks.deliverDue();
      hooks.clock.ms += 1_000;
    }
    expect(receiver.requests.length).toBeLessThan(20);
    expect(receiver.requests.length).toBeGreaterThan(5);
    receiver.usually(status(204));
    // At most five minutes later it is asked, and then everything comes.
    for (let minute = 0; minute < 40; minute += 1) {
      hooks.clock.ms += 60_000;
      await hooks.webhooks.deliverDue();
    }
    expect(await states(hooks)).toEqual({ delivered: 300 });
  });

  it('leave room for what is new: of retries only sixteen are under way', async () => {
    const door = gate();
    const receivers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        startReceiver(status(500), { host: `127.0.2.${n + 1}` }),
      ),
    );
    await using stack = new AsyncDisposableStack();
    for (const receiver of receivers) stack.use(receiver);
    await using fresh = await startReceiver();
    await using hooks = await hookBench({ timeoutMs: 60_000 });
    const accounts = [];
    for (let n = 0; n < 10; n += 1) accounts.push(await hooks.store.wallet('1'));
    for (const [n, account] of accounts.entries()) {
      await enqueue(hooks, 6, (m) => receivers[(n + m) % 10]!.origin, account);
    }
    await hooks.webhooks.deliverDue();
    hooks.clock.ms += 10_000;
    await hooks.webhooks.deliverDue();
    for (const receiver of receivers) receiver.usually(door.answer);
    hooks.clock.ms += 3_600_000;
    hooks.webhooks.wake();
    await expect.poll(() => door.waiting()).toBe(16);
    await enqueue(hooks, 10, () => fresh.origin);
    hooks.webhooks.wake();
    await fresh.arrived(10);
    expect(door.waiting()).toBe(16);
    door.open();
    await hooks.webhooks.deliverDue();
    expect(door.most()).toBe(16);
  });

  it('of an account that floods are kept and not sent beyond ten thousand (W-10)', async () => {
    await using receiver = await startReceiver(status(500));
    await using hooks = await hookBench({ timeoutMs: 60_000 });
    const id = await hooks.enqueue(receiver.origin);
    const row = await hooks.row(id);
    await hooks.store.ledger.write(async ({ db }) => {
      for (let page = 0; page < 20; page += 1) {
        const rows = Array.from({ length: 500 }, (_, n) => ({
          ...row,
          id: `evt_${page}_${n}`,
          task_id: `t_${page}_${n}`,
        }));
        await db.insertInto('webhook_deliveries').values(rows).execute();
      }
    });
    const beyond = await hooks.enqueue(receiver.origin);
    expect(await hooks.row(beyond)).toMatchObject({ state: 'failed', next_at: null });
    const other = await hooks.enqueue(receiver.origin, {
      accountId: await hooks.store.wallet('1'),
    });
    expect(await hooks.row(other)).toMatchObject({ state: 'pending' });
    // A look at all of that takes a moment, not a second.
    const begun = performance.now();
    await hooks.webhooks.deliverDue();
    expect(performance.now() - begun).toBeLessThan(2_000);
    expect(receiver.requests.length).toBeLessThan(10);
  });
});
