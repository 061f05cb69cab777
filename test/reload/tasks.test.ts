import type { ServerResponse } from 'node:http';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { type Json, listOf, textOf } from '../support/app.ts';
import { type MediaApp, startMediaApp } from '../support/media-app.ts';
import { mp4 } from '../support/media.ts';
import { type Received, type Receiver, startReceiver } from '../support/receiver.ts';
import { type Job, say, type Studio, startStudio } from '../support/studio.ts';
import { hookOf } from '../support/webhooks.ts';

const HOUR = 3_600_000;
const HALF = 500_000_000;
const CLIP = { model: 'seedance-2-fast', prompt: 'A boat', duration: 6, resolution: '720p' };

type Change = (config: Config, other: Studio) => Config;

const CHANGES: Record<string, Change> = {
  'another price': (config) => ({
    ...config,
    models: config.models.map((model) =>
      model.id === CLIP.model
        ? { ...model, price: { version: 'dear', rules: [{ unit: 'generation', usd: '3' }] } }
        : model,
    ) as Config['models'],
  }),
  'another server of its channel': (config, other) => ({
    ...config,
    channels: config.channels.map((channel) =>
      channel.id === 'studio' ? { ...channel, baseUrl: other.url, apiKey: 'sk-other' } : channel,
    ),
  }),
  'no such channel': (config) => ({
    ...config,
    channels: config.channels.filter(({ id }) => id !== 'studio'),
  }),
  'no such model': (config) => ({
    ...config,
    models: config.models.filter(({ id }) => id !== CLIP.model),
  }),
};

interface Scene extends AsyncDisposable {
  app: MediaApp;
  other: Studio;
  receiver: Receiver;
  headers: Record<string, string>;
  accountId: string;
  reload(change: Change): Promise<void>;
  make(): Promise<string>;
  task(id: string): Promise<Json>;
}

async function scene(concurrency = 8): Promise<Scene> {
  const receiver = await startReceiver();
  const other = await startStudio();
  const app = await startMediaApp({
    change: (config) => {
      // Where the sandbox's channels lead is not for the settings to say.
      config.mode = 'live';
      config.payments.networks = [];
      config.webhooks = { allowPrivate: ['127.0.0.0/8'], ports: [0] };
      const studio = config.channels.find(({ id }) => id === 'studio')!;
      studio.concurrency = concurrency;
    },
  });
  const { secret, accountId } = await app.key('10', 'ADMIN');
  const headers = { authorization: `Bearer ${secret}` };
  return {
    app,
    other,
    receiver,
    headers,
    accountId,
    reload: async (change) => {
      await app.app.reload(change(app.app.config, other));
    },
    make: async () => {
      const callback_url = `${receiver.origin}/hook`;
      const made = await app.post('/v1/videos', { ...CLIP, callback_url }, headers);
      expect(made.status, made.text).toBe(200);
      return textOf(made.json['id']);
    },
    task: async (id) => (await app.get(`/v1/tasks/${id}`, headers)).json,
    [Symbol.asyncDispose]: async () => {
      await app[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
      await receiver.close();
    },
  };
}

async function finish({ app, task }: Scene, id: string): Promise<Json> {
  for (let look = 0; look < 20; look++) {
    const seen = await task(id);
    if (!['pending', 'processing'].includes(textOf(seen['status']))) return seen;
    await app.pass(2_000);
  }
  throw new Error(`${id} never ends`);
}

/** Charged as it was held, once, and told to its owner once, under the secret that they had before. */
async function expectDone(at: Scene, id: string, secret: string): Promise<void> {
  const { app, receiver, accountId } = at;
  const done = await finish(at, id);
  expect(done).toMatchObject({ status: 'completed', charged_usd: '0.50', credits_held: 0 });
  const bytes = await fetch(textOf(listOf(done['result']!['data']!)[0]!['url']));
  expect((await bytes.arrayBuffer()).byteLength).toBe(mp4().length);
  await app.pass(2_000);
  await receiver.arrived(1);
  const [hook] = receiver.requests;
  expect(verified(secret, hook)).toMatchObject({ type: 'task.completed', data: { id } });
  const entries = await app.app.store.ledger.read
    .selectFrom('entries')
    .select('amount')
    .where('kind', '=', 'CHARGE')
    .where('debit_account', '=', accountId)
    .execute();
  expect(entries).toEqual([{ amount: HALF }]);
  await app.pass(2 * HOUR);
  expect(receiver.requests).toHaveLength(1);
  await app.check();
}

/** What a callback says, after checking its signature; the clock of the server is a test's. */
function verified(secret: string, hook: Received | undefined): Json {
  const named = hookOf(hook!);
  const at = new Date(Number(named['webhook-timestamp']) * 1_000);
  const signature = new Webhook(secret).sign(named['webhook-id'], at, hook!.body.toString());
  expect(named['webhook-signature'].split(' ')).toContain(signature);
  return JSON.parse(hook!.body.toString()) as Json;
}

async function hookSecret({ app, headers }: Scene): Promise<string> {
  return textOf((await app.get('/v1/webhooks/secret', headers)).json['secret']);
}

describe.each(Object.entries(CHANGES))('media tasks over a reload with %s', (what, change) => {
  it('end where they were begun: asked about there, charged as held, told once', async () => {
    await using at = await scene();
    const { app } = at;
    app.studio.usually = { looksToEnd: 3, state: 'processing' };
    const id = await at.make();
    const secret = await hookSecret(at);
    await app.pass();
    await app.pass(2_000);
    await at.reload(change);
    await expectDone(at, id, secret);
    expect(app.studio.submits.get(id)).toBe(1);
    expect(at.other.jobs).toEqual([]);
  });

  it('go on that are just being handed over', async () => {
    await using at = await scene();
    const { app } = at;
    const held = Promise.withResolvers<() => void>();
    app.studio.onSubmit = [
      (response: ServerResponse, job: Job) =>
        held.resolve(() => say(response, 200, { id: job.id })),
    ];
    const id = await at.make();
    const answer = await held.promise;
    const secret = await hookSecret(at);
    await at.reload(change);
    answer();
    await expectDone(at, id, secret);
    expect(app.studio.submits.get(id)).toBe(1);
    expect(at.other.jobs).toEqual([]);
  });

  it('go on whose result is just being fetched', async () => {
    await using at = await scene();
    const { app } = at;
    const held = Promise.withResolvers<() => void>();
    app.studio.onFile = (response) => {
      const bytes = mp4();
      response.writeHead(200, { 'content-length': String(bytes.length) });
      response.write(bytes.subarray(0, 10));
      held.resolve(() => response.end(bytes.subarray(10)));
    };
    const id = await at.make();
    const secret = await hookSecret(at);
    await app.pass();
    const fetching = app.pass(2_000);
    const rest = await held.promise;
    await at.reload(change);
    rest();
    await fetching;
    await expectDone(at, id, secret);
  });

  it('that wait are made as the settings are now, at the price that was held', async () => {
    await using at = await scene(1);
    const { app } = at;
    app.studio.usually = { looksToEnd: 2, state: 'processing' };
    const first = (await app.post('/v1/videos', CLIP, at.headers)).json;
    await app.pass();
    const id = await at.make();
    const secret = await hookSecret(at);
    await app.pass();
    expect(app.studio.jobs).toHaveLength(1);
    await at.reload(change);
    expect(await finish(at, textOf(first['id']))).toMatchObject({ charged_usd: '0.50' });
    if (what.startsWith('another')) {
      const done = await finish(at, id);
      expect(done).toMatchObject({ status: 'completed', charged_usd: '0.50' });
      const maker = what === 'another price' ? app.studio : at.other;
      expect(maker.submits.get(id)).toBe(1);
    } else {
      // Nobody makes such things any more; it may come back, and its money goes back where it does not.
      await app.pass(HOUR);
      expect(await at.task(id)).toMatchObject({ status: 'pending', credits_held: 50 });
      await app.pass(24 * HOUR);
      expect(await at.task(id)).toMatchObject({ status: 'expired', charged_usd: '0.00' });
      expect(app.studio.submits.get(id)).toBeUndefined();
    }
    await at.receiver.arrived(1);
    const [hook] = at.receiver.requests;
    expect(verified(secret, hook)).toMatchObject({
      data: { id },
    });
    await app.check();
  });
});

it('answers an image that its caller waits for, over reloads that take its channel and model away', async () => {
  await using at = await scene();
  const { app, headers } = at;
  app.studio.usually = { files: ['one.png'], looksToEnd: 3, state: 'processing' };
  const body = { model: 'picture', prompt: 'A boat' };
  const asked = app.post('/v1/images/generations', body, { ...headers, prefer: 'wait=20' });
  await expect.poll(() => app.studio.jobs.length).toBe(1);
  await at.reload(CHANGES['no such channel']!);
  await at.reload((config) => ({ ...config, models: [] }));
  const passing = setInterval(() => void app.pass(2_000), 20);
  const answer = await asked;
  clearInterval(passing);
  expect(answer.status, answer.text).toBe(200);
  expect(answer.headers.get('x-request-cost')).toBe('0.02');
  expect(listOf(answer.json['data']!)).toHaveLength(1);
  await app.check();
});

it('tries a callback again over a reload, under the rules of now', async () => {
  await using at = await scene();
  const { app, receiver } = at;
  receiver.next((response) => say(response, 503, {}));
  const id = await at.make();
  const secret = await hookSecret(at);
  await app.pass();
  await app.pass(2_000);
  await finish(at, id);
  await receiver.arrived(1);
  await at.reload((config) => ({ ...config, webhooks: { allowPrivate: [], ports: [443] } }));
  await app.pass(10 * 60_000);
  await at.reload((config) => ({
    ...config,
    webhooks: { allowPrivate: ['127.0.0.0/8'], ports: [0] },
  }));
  await expect
    .poll(async () => {
      await app.pass(HOUR);
      return receiver.requests.length;
    })
    .toBe(2);
  const [, hook] = receiver.requests;
  expect(verified(secret, hook)).toMatchObject({
    data: { id },
  });
});
