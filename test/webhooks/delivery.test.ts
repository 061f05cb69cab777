import OpenAI from 'openai';
import { validateWebhook } from 'replicate';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { WAITS_MS } from '../../src/webhooks/schedule.ts';
import { png } from '../support/media.ts';
import { bytes, endless, silent, startReceiver, status } from '../support/receiver.ts';
import { hookBench, HOUR_MS, hookOf } from '../support/webhooks.ts';

describe('a delivery', () => {
  it('is what any library of Standard Webhooks takes (W-9)', async () => {
    await using receiver = await startReceiver();
    await using hooks = await hookBench();
    const taskId = 'task_standard';
    const id = await hooks.enqueue(`${receiver.origin}/in?key=1`, {
      taskId,
      payload: { id: taskId, object: 'gateway.video.task', prompt: 'naïve 🎬' },
    });
    await hooks.webhooks.deliverDue();
    const [got] = receiver.requests;
    const { secret } = await hooks.webhooks.secrets.read(hooks.accountId, hooks.clock.ms);
    const body = got!.body.toString();
    const said = {
      type: 'task.completed',
      timestamp: new Date(hooks.clock.ms).toISOString(),
      data: { id: taskId, object: 'gateway.video.task', prompt: 'naïve 🎬' },
    };
    expect(new Webhook(secret).verify(body, hookOf(got!))).toEqual(said);
    const openai = new OpenAI({ apiKey: 'x' });
    expect(await openai.webhooks.unwrap(body, hookOf(got!), secret)).toEqual(said);
    const asReplicate = { id, timestamp: hookOf(got!)['webhook-timestamp'], body, secret };
    const signature = hookOf(got!)['webhook-signature'];
    expect(await validateWebhook({ ...asReplicate, signature })).toBe(true);
    expect(() => new Webhook(secret).verify(`${body} `, hookOf(got!))).toThrow();
    expect(got).toMatchObject({
      method: 'POST',
      path: '/in?key=1',
      headers: {
        'webhook-id': id,
        'content-type': 'application/json',
        'user-agent': 'Farebox-Webhooks/1',
        'content-length': String(got!.body.length),
      },
    });
    expect(await hooks.row(id)).toMatchObject({
      state: 'delivered',
      attempts: 1,
      last_status: 204,
      last_error: null,
      delivered_at: hooks.clock.ms,
      next_at: null,
    });
    await hooks.webhooks.deliverDue();
    expect(receiver.requests).toHaveLength(1);
    await hooks.store.check();
  });

  it('reaches a receiver that was away for three days, under the same id (W-1, I25)', async () => {
    const receiver = await startReceiver();
    const { port, origin } = receiver;
    await receiver.close();
    await using hooks = await hookBench();
    const begun = hooks.clock.ms;
    const id = await hooks.enqueue(origin);
    await hooks.webhooks.deliverDue();
    let attempts = 1;
    while (hooks.clock.ms < begun + 72 * HOUR_MS) {
      expect(await hooks.row(id)).toMatchObject({ state: 'pending', attempts, last_status: null });
      const { next_at: nextAt } = await hooks.row(id);
      if (nextAt! > begun + 72 * HOUR_MS) break;
      await hooks.later(id);
      attempts += 1;
    }
    expect(attempts).toBe(9);
    await using back = await startReceiver(status(200), { port });
    await hooks.later(id);
    expect(hooks.clock.ms).toBeGreaterThan(begun + 72 * HOUR_MS);
    expect(await hooks.row(id)).toMatchObject({
      state: 'delivered',
      attempts: 10,
      last_status: 200,
    });
    const { secret } = await hooks.webhooks.secrets.read(hooks.accountId, hooks.clock.ms);
    const { 'webhook-id': said, 'webhook-timestamp': at } = hookOf(back.requests[0]!);
    // The time is that of the attempt.
    expect([said, Number(at)]).toEqual([id, Math.floor(hooks.clock.ms / 1_000)]);
    expect(secret).toMatch(/^whsec_/);
  });

  it('is tried in longer and longer waits for three days, then kept and listed (W-1)', async () => {
    await using receiver = await startReceiver(status(500));
    await using hooks = await hookBench({ random: () => 0.999 });
    const begun = hooks.clock.ms;
    const id = await hooks.enqueue(receiver.origin);
    await hooks.webhooks.deliverDue();
    for (const wait of WAITS_MS) {
      const { next_at: nextAt } = await hooks.row(id);
      expect(nextAt! - hooks.clock.ms).toBeGreaterThanOrEqual(wait);
      expect(nextAt! - hooks.clock.ms).toBeLessThanOrEqual(wait * 1.2);
      hooks.clock.ms = nextAt! - 1;
      await hooks.webhooks.deliverDue();
      hooks.clock.ms += 1;
      await hooks.webhooks.deliverDue();
    }
    expect(receiver.requests).toHaveLength(WAITS_MS.length + 1);
    expect(hooks.clock.ms - begun).toBeGreaterThan(72 * HOUR_MS);
    expect(await hooks.row(id)).toMatchObject({
      state: 'failed',
      attempts: 10,
      last_status: 500,
      last_error: 'answered 500',
      next_at: null,
    });
    expect(hooks.logged.at(-1)).toMatchObject({ event: 'webhook_given_up', delivery: id });
    const failed = await hooks.webhooks.list({ state: 'failed', limit: 10 });
    expect(failed.map((row) => row.id)).toEqual([id]);
    // Days later somebody asks for it again.
    hooks.clock.ms += 30 * 24 * HOUR_MS;
    receiver.usually(status(200));
    await hooks.webhooks.redeliver(hooks.accountId, { id });
    await hooks.webhooks.deliverDue();
    expect(await hooks.row(id)).toMatchObject({ state: 'delivered', attempts: 1 });
    expect(new Set(receiver.requests.map((one) => one.headers['webhook-id']))).toEqual(
      new Set([id]),
    );
  });

  it('counts what is not 2xx as a failure, follows nothing and stops at 410 (W-2)', async () => {
    await using target = await startReceiver();
    await using receiver = await startReceiver();
    await using hooks = await hookBench();
    const redirects = [301, 302, 303, 307, 308].map((code) =>
      status(code, { location: `${target.origin}/` }),
    );
    for (const answer of [...redirects, status(400), status(404), bytes('x', {}, 500)]) {
      receiver.next(answer);
      const id = await hooks.enqueue(receiver.origin);
      await hooks.webhooks.deliverDue();
      expect(await hooks.row(id)).toMatchObject({ state: 'pending', attempts: 1 });
      await hooks.later(id);
      expect(await hooks.row(id)).toMatchObject({ state: 'delivered', attempts: 2 });
    }
    expect(target.connections()).toBe(0);
    receiver.next(status(410));
    const gone = await hooks.enqueue(receiver.origin);
    await hooks.webhooks.deliverDue();
    expect(await hooks.row(gone)).toMatchObject({ state: 'failed', attempts: 1, last_status: 410 });
  });

  it('waits as long as the receiver asks, within a day (W-1)', async () => {
    await using receiver = await startReceiver();
    await using hooks = await hookBench();
    const nowMs = hooks.clock.ms;
    const asked: [string, number][] = [
      ['120', 120_000],
      ['1', 5_000],
      ['9999999', 24 * HOUR_MS],
      [new Date(nowMs + 600_000).toUTCString(), 600_000],
      ['soon', 5_000],
    ];
    for (const [header, wait] of asked) {
      receiver.next(status(503, { 'retry-after': header }));
      const id = await hooks.enqueue(receiver.origin);
      await hooks.webhooks.deliverDue();
      const { next_at: nextAt } = await hooks.row(id);
      expect(Math.abs(nextAt! - nowMs - wait)).toBeLessThan(1_000);
      await hooks.later(id);
      hooks.clock.ms = nowMs;
    }
  });

  it('waits for no answer without end, and reads little of any (W-7)', async () => {
    let sent = 0;
    await using receiver = await startReceiver(endless(200, (length) => (sent += length)));
    await using hooks = await hookBench({ timeoutMs: 150 });
    const good = await hooks.enqueue(receiver.origin);
    await hooks.webhooks.deliverDue();
    expect(await hooks.row(good)).toMatchObject({ state: 'delivered', last_status: 200 });
    expect(sent).toBeLessThan(16 * 1024 * 1024);
    receiver.usually(silent);
    const hung = await hooks.enqueue(receiver.origin);
    await hooks.webhooks.deliverDue();
    expect(await hooks.row(hung)).toMatchObject({
      state: 'pending',
      last_status: null,
      last_error: 'did not answer in time',
    });
  });

  it('goes to no private address, whatever its name says by then (W-3)', async () => {
    await using receiver = await startReceiver();
    let address = '127.0.0.1';
    const lookUp = () => Promise.resolve([address]);
    await using hooks = await hookBench({
      outboundOptions: { allowPrivate: ['127.0.0.2'], lookUp },
    });
    const url = `http://hooks.example.com:${receiver.port}/`;
    const id = await hooks.enqueue(hooks.webhooks.requireCallback(url));
    await hooks.webhooks.deliverDue();
    expect(await hooks.row(id)).toMatchObject({
      state: 'pending',
      last_error: 'callback_url must lead to a public address',
    });
    address = '169.254.169.254';
    await hooks.later(id);
    expect(receiver.connections()).toBe(0);
    // What an error of the system would say of the inside is not said.
    const { last_error: error } = await hooks.row(id);
    expect(error).not.toMatch(/\d+\.\d+\.\d+\.\d+/);
  });

  it('is one for each event of a task, however often its end is written (W-10)', async () => {
    await using receiver = await startReceiver();
    await using hooks = await hookBench();
    const taskId = 'task_once';
    const first = await hooks.enqueue(receiver.origin, { taskId });
    expect(await hooks.enqueue(receiver.origin, { taskId, payload: { other: 1 } })).toBe(first);
    await hooks.webhooks.deliverDue();
    expect(receiver.requests).toHaveLength(1);
    hooks.clock.ms += 1;
    expect(JSON.parse(receiver.requests[0]!.body.toString())).toMatchObject({
      data: { id: taskId },
    });
    await hooks.webhooks.redeliver(hooks.accountId, { taskId });
    await hooks.webhooks.deliverDue();
    expect(receiver.requests).toHaveLength(2);
    // Nobody is hit with it again and again.
    await expect(hooks.webhooks.redeliver(hooks.accountId, { taskId })).rejects.toMatchObject({
      code: 'rate_limited',
      retryAfterSeconds: 10,
    });
    hooks.clock.ms += 10_000;
    await hooks.webhooks.redeliver(hooks.accountId, { taskId });
    await expect(hooks.webhooks.redeliver('acc_other', { taskId })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('survives a restart in every state, and is never called delivered without a 2xx (I25)', async () => {
    await using receiver = await startReceiver();
    await using first = await hookBench({ timeoutMs: 60_000 });
    const waiting = await first.enqueue(receiver.origin);
    receiver.next(status(500));
    const failed = await first.enqueue(receiver.origin);
    await first.store.ledger.write(({ db }) =>
      db
        .updateTable('webhook_deliveries')
        .set({ next_at: first.clock.ms + 60_000 })
        .where('id', '=', waiting)
        .execute(),
    );
    await first.webhooks.deliverDue();
    // Under way when the process ends: taken and not answered.
    await using slow = await startReceiver();
    slow.next(silent);
    const hung = await first.enqueue(slow.origin);
    first.webhooks.wake();
    await slow.arrived(1);
    await using second = await first.restart();
    expect(await second.row(hung)).toMatchObject({ state: 'pending', attempts: 0 });
    second.clock.ms += 60_000;
    await second.webhooks.deliverDue();
    for (const id of [waiting, failed, hung]) {
      expect(await second.row(id)).toMatchObject({ state: 'delivered', last_status: 204 });
    }
    const lie = second.store.ledger.write(({ db }) =>
      db
        .updateTable('webhook_deliveries')
        .set({ last_status: 500 })
        .where('id', '=', hung)
        .execute(),
    );
    await expect(lie).rejects.toThrow(/check/i);
  });

  it('has links that work when it comes, and opens no others', async () => {
    await using receiver = await startReceiver(status(500));
    await using hooks = await hookBench();
    const { media } = hooks.media;
    const taskId = 'task_links';
    const mine = await hooks.media.kept(png(), { taskId });
    const foreign = await hooks.media.kept(png(1));
    const old = media.view(mine).url;
    const prompt = media.view(foreign, 1).url;
    const id = await hooks.enqueue(receiver.origin, { taskId, payload: { url: old, prompt } });
    await hooks.webhooks.deliverDue();
    hooks.clock.ms += 60 * HOUR_MS;
    receiver.usually(status(200));
    await hooks.later(id);
    const [first, last] = receiver.requests.map(
      ({ body }) => JSON.parse(body.toString()) as { data: { url: string; prompt: string } },
    );
    const endOf = (url: string) => media.endOfLink(mine.id, url.split('/')[5]!);
    expect(endOf(first!.data.url)).toBeGreaterThan(hooks.clock.ms);
    expect(endOf(last!.data.url)).toBeGreaterThan(hooks.clock.ms + 72 * HOUR_MS);
    expect([first!.data.prompt, last!.data.prompt]).toEqual([prompt, prompt]);
  });

  it('is given up where its URL can be opened no more', async () => {
    await using receiver = await startReceiver();
    await using hooks = await hookBench();
    const id = await hooks.enqueue(receiver.origin);
    const other = await hooks.enqueue(receiver.origin);
    const { url } = await hooks.row(other);
    expect(url).not.toContain('127.0.0.1');
    // Moved to another row, it does not open (O-5).
    await hooks.store.ledger.write(({ db }) =>
      db.updateTable('webhook_deliveries').set({ url }).where('id', '=', id).execute(),
    );
    await hooks.webhooks.deliverDue();
    expect(await hooks.row(id)).toMatchObject({
      state: 'failed',
      attempts: 0,
      last_error: 'it cannot be opened any more',
    });
    expect(hooks.webhooks.urlOf(await hooks.row(id))).toBeNull();
    expect(await hooks.row(other)).toMatchObject({ state: 'delivered' });
  });
});
