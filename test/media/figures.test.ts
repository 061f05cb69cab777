import { expect, it } from 'vitest';
import { startMediaApp } from '../support/media-app.ts';
import { aboutTask, png } from '../support/media.ts';
import { operator } from '../support/operator.ts';
import { startReceiver, status } from '../support/receiver.ts';

it('GET /metrics tells what is kept, and how webhooks are getting on', async () => {
  await using receiver = await startReceiver(status(204));
  await using app = await startMediaApp();
  const { media, webhooks, store } = app.app;
  const { accountId } = await app.key('1');
  const boss = await operator(app);
  for (const bytes of [png(1), png(2)]) {
    const stored = await media.put(bytes, aboutTask(accountId));
    await store.ledger.write((tx) => media.insertRows(tx, [stored]));
  }
  const enqueue = (taskId: string) =>
    store.ledger.write((tx) =>
      webhooks.enqueue(tx, { accountId, taskId, url: receiver.origin, event: 'e', payload: {} }),
    );
  await enqueue('task_one');
  await webhooks.deliverDue();
  receiver.usually(status(410));
  await enqueue('task_two');
  await webhooks.deliverDue();
  receiver.usually(status(500));
  await enqueue('task_three');
  app.clock.ms += 1_000;
  await webhooks.deliverDue();
  app.clock.ms += 65_000;
  const { text } = await app.get('/metrics', { authorization: `Bearer ${boss.secret}` });
  const told = (name: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')[1],
    );
  expect(told('farebox_media_files')).toBe(2);
  expect(told('farebox_media_bytes')).toBe(png(1).length + png(2).length);
  expect(told('farebox_webhook_deliveries{state="delivered"}')).toBe(1);
  expect(told('farebox_webhook_deliveries{state="failed"}')).toBe(1);
  expect(told('farebox_webhook_deliveries{state="pending"}')).toBe(1);
  // It failed once and was due five seconds later.
  expect(told('farebox_webhook_delay_seconds')).toBeGreaterThan(50);
});
