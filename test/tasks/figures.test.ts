import { expect, it } from 'vitest';
import { startMediaApp } from '../support/media-app.ts';
import { operator } from '../support/operator.ts';

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const VIDEO = { model: 'seedance-2-fast', prompt: 'A boat', duration: 6, resolution: '720p' };

it('tasks are counted while they are under way, and cost their channel what its rules say', async () => {
  await using app = await startMediaApp({
    change: (config) => {
      const [route] = config.models.find(({ id }) => id === VIDEO.model)!.routes;
      route!.cost = {
        from: 'rules',
        prices: { rules: [{ unit: 'generation', usd: '0.3', when: { resolution: '720p' } }] },
      };
    },
  });
  app.studio.usually = { looksToEnd: 1, state: 'processing' };
  const boss = await operator(app);
  const { secret } = await app.key('5');
  const told = async () => {
    app.clock.ms += 10_000;
    const { text } = await app.get('/metrics', bearer(boss.secret));
    const value = (name: string) =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${name} `))
          ?.slice(name.length),
      );
    return {
      waiting: value('farebox_tasks{state="waiting"}'),
      running: value('farebox_tasks{state="running"}'),
      oldest: value('farebox_tasks_oldest_waiting_seconds'),
    };
  };
  expect(await told()).toEqual({ waiting: 0, running: 0, oldest: 0 });
  expect((await app.post('/v1/videos', VIDEO, bearer(secret))).status).toBe(200);
  expect(await told()).toEqual({ waiting: 1, running: 0, oldest: 10 });
  await app.pass();
  expect(await told()).toEqual({ waiting: 0, running: 1, oldest: 0 });
  await app.pass(2_000);
  expect(await told()).toEqual({ waiting: 0, running: 0, oldest: 0 });
  const channels = await boss.list('/channels');
  const { id } = app.app.config.channels.at(-1)!;
  expect(channels.find((channel) => (channel['id'] as unknown) === id)).toMatchObject({
    served: {
      requests: 1,
      revenueUsd: '0.50',
      upstreamUsd: '0.30',
      marginUsd: '0.20',
      uncosted: 0,
    },
    attempts: { attempts: 1, good: 1 },
  });
  await app.check();
});
