import { expect, it } from 'vitest';
import { textOf } from '../../support/app.ts';
import { startMediaApp } from '../../support/media-app.ts';
import { site } from '../../support/site.ts';

const VIDEO = { model: 'seedance-2-fast', prompt: 'A boat', duration: 6, resolution: '720p' };

it('shows a task with its events and its result, of our own links alone', async () => {
  await using app = await startMediaApp();
  app.studio.usually = { looksToEnd: 1 };
  const boss = await site(app);
  const { secret } = await app.key('1');
  const made = await app.post('/v1/videos', VIDEO, { authorization: `Bearer ${secret}` });
  const id = textOf(made.json['id']);
  await app.pass();
  await app.pass(2_000);
  await app.pass(2_000);
  const text = await boss.page(`/admin/tasks/${id}`);
  expect(text).toContain('task.completed');
  const [, link = ''] = /<video src="(\/media\/[^"]+)"/.exec(text)!;
  expect((await fetch(app.url + link)).status).toBe(200);
  expect(await boss.page('/admin/tasks?state=completed')).toContain(id);
  expect((await boss.send(`/admin/tasks/${id}/cancel`, { reason: 'too late' })).status).toBe(409);
});

it('cancels a task of a customer for a reason, and gives back what was held', async () => {
  await using app = await startMediaApp();
  const boss = await site(app);
  const { secret, accountId } = await app.key('1');
  const made = await app.post('/v1/videos', VIDEO, { authorization: `Bearer ${secret}` });
  const id = textOf(made.json['id']);
  const at = `/admin/tasks/${id}/cancel`;
  expect((await boss.send(at, {})).status).toBe(400);
  expect((await boss.send(at, { reason: 'asked on the phone' })).status).toBe(303);
  expect(await boss.page(`/admin/tasks?accountId=${accountId}`)).toContain('cancelled');
  expect(await boss.page(`/admin/log?target=${id}`)).toContain('asked on the phone');
  const seen = await app.get(`/v1/tasks/${id}`, { authorization: `Bearer ${secret}` });
  expect(seen.json['error']).toMatchObject({ message: 'Cancelled by the operator.' });
  await app.check();
});
