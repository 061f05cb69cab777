import { expect, it } from 'vitest';
import type { PresetConfig } from '../../../src/config/config.ts';
import { decoded, listOf, textOf } from '../../support/app.ts';
import { type MediaApp, startMediaApp } from '../../support/media-app.ts';

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const PATH = '/api/v1/fashion';
const PERSON = 'https://example.com/person.png';

const text = { type: 'text', description: null, isRequired: false, usual: null } as const;
const rest = { values: [], min: 0, max: 0, maxLength: 50 };
const PRESETS: PresetConfig[] = [
  {
    name: 'portrait',
    description: 'A portrait',
    model: 'picture',
    inputs: {
      who: { ...text, ...rest, isRequired: true, description: 'Whose' },
      count: { ...text, ...rest, type: 'number', usual: 1, min: 1, max: 4 },
    },
    fields: { prompt: 'A portrait of {who}', n: '{count}', size: '1024x1024' },
  },
  {
    name: 'walk',
    description: null,
    model: 'seedance-2-fast',
    inputs: { look: { ...text, ...rest, type: 'image', isRequired: true } },
    fields: { prompt: 'Walks', image_url: '{look}', resolution: '720p', duration: 6 },
  },
];

function start(): Promise<MediaApp> {
  return startMediaApp({
    change: (config) => {
      config.presets = PRESETS;
    },
  });
}

it('makes a task out of a few fields, charged like any other', async () => {
  await using app = await start();
  const { secret, accountId } = await app.key('5');
  const made = await app.post(`${PATH}/portrait`, { who: 'a sailor', count: 2 }, bearer(secret));
  expect([made.status, made.text]).toEqual([200, made.text]);
  expect(made.json).toMatchObject({
    object: 'gateway.image.task',
    status: 'pending',
    model: 'picture',
  });
  const id = textOf(made.json['id']);
  app.studio.usually = { files: ['a.png', 'b.png'] };
  await app.pass();
  const { fields } = app.studio.jobOf(id);
  expect(fields).toMatchObject({ prompt: 'A portrait of a sailor' });
  expect(fields).not.toHaveProperty('who');
  await app.pass(2_000);
  const done = await app.get(`/v1/tasks/${id}`, bearer(secret));
  expect(done.json).toMatchObject({ status: 'completed' });
  const { posted } = await app.app.store.accounts.balance(accountId);
  const { json: preset } = await app.get(`${PATH}/portrait`);
  expect(5e9 - posted).toBe(2 * Number(preset['max_usd']) * 1e9);
  expect(Number(done.json['charged_usd'])).toBe(2 * Number(preset['max_usd']));
  await app.check();
});

it('takes pictures from a form', async () => {
  await using app = await start();
  const { secret } = await app.key('5');
  const form = new FormData();
  form.append('look', new Blob([Buffer.from('89504e47', 'hex')], { type: 'image/png' }), 'a.png');
  const response = await fetch(`${app.url}${PATH}/walk`, {
    method: 'POST',
    headers: bearer(secret),
    body: form,
  });
  expect(response.status).toBe(200);
  const { id } = (await response.json()) as { id: string };
  await app.pass();
  expect(JSON.stringify(app.studio.jobOf(id).fields)).toContain('data:image/png;base64,iVBORw==');
});

it('names the field that is wrong, and takes nothing', async () => {
  await using app = await start();
  const { secret } = await app.key('5');
  const ask = (body: object) => app.post(`${PATH}/portrait`, body, bearer(secret));
  for (const [body, field] of [
    [{}, 'who'],
    [{ who: 'x'.repeat(51) }, 'who'],
    [{ who: 'me', count: 9 }, 'count'],
    [{ who: 'me', model: 'seedance-2-fast' }, 'model'],
    [{ who: 'me', prompt: 'else' }, 'prompt'],
  ] as const) {
    const { status, json } = await ask(body);
    expect([status, json['details']]).toEqual([400, { field }]);
  }
  const capped = await ask({ who: 'me', max_credits: 0.001 });
  expect([capped.status, capped.json['code']]).toEqual([400, 'MAX_CREDITS_EXCEEDED']);
  expect((await app.post(`${PATH}/nothing`, { who: 'me' }, bearer(secret))).status).toBe(404);
  await app.check();
});

it('holds a key to the models that it may use', async () => {
  await using app = await start();
  const { keys } = app.app.store;
  const { accountId } = await app.key('5');
  const { secret } = await keys.create({
    accountId,
    type: 'INFERENCE',
    description: '',
    rules: { models: ['song'] },
  });
  const answer = await app.post(`${PATH}/walk`, { look: PERSON }, bearer(secret));
  expect(answer.status).toBe(403);
});

it('asks for the price of this very request, and is paid for in one go', async () => {
  await using app = await start();
  const wallet = await app.evm();
  const body = { look: PERSON };
  const asked = await app.post(`${PATH}/walk`, body);
  expect(asked.status).toBe(402);
  const required = decoded(asked.headers.get('payment-required'));
  // Half a dollar, in the token's millionths.
  expect(listOf(required['accepts'])[0]).toMatchObject({ amount: '500000' });
  const probe = await app.post(`${PATH}/walk`, {});
  expect(probe.status).toBe(402);
  const paid = await app.post(`${PATH}/walk`, body, {
    'payment-signature': await wallet.pay('0.5'),
  });
  expect([paid.status, paid.text]).toEqual([200, paid.text]);
  await app.pass();
  await app.pass(2_000);
  await app.check();
});

it('waits for an image, where it is asked to', async () => {
  await using app = await start();
  const { secret } = await app.key('5');
  app.studio.usually = { files: ['a.png'] };
  const waiting = app.post(
    `${PATH}/portrait`,
    { who: 'me' },
    { ...bearer(secret), prefer: 'wait=30' },
  );
  await until(() => app.studio.jobs.length > 0, app);
  await app.pass(2_000);
  const { status, json } = await waiting;
  expect(status).toBe(200);
  expect(listOf(json['data'])[0]!['url']).toContain('/media/');
});

/** The request has to arrive before its task can be looked after. */
async function until(isThere: () => boolean, app: MediaApp): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!isThere()) {
    if (Date.now() > deadline) throw new Error('nothing arrived');
    await new Promise((resolve) => setImmediate(resolve));
    await app.pass();
  }
}

it('lists what there is, what it asks for and what it costs, to anybody', async () => {
  await using app = await start();
  const { status, json } = await app.get(PATH);
  expect(status).toBe(200);
  const [portrait, walk] = listOf(json['data']);
  expect(portrait).toEqual({
    name: 'portrait',
    object: 'gateway.preset',
    description: 'A portrait',
    type: 'image',
    model: 'picture',
    inputs: {
      who: { type: 'text', required: true, description: 'Whose', max_length: 50 },
      count: { type: 'number', required: false, default: 1, min: 1, max: 4 },
    },
    max_usd: portrait!['max_usd'],
  });
  expect(Number(portrait!['max_usd'])).toBeGreaterThan(0);
  expect(walk).toMatchObject({ name: 'walk', max_usd: '0.50' });
  expect((await app.get(`${PATH}/walk`)).json).toEqual(walk);
  expect((await app.get(`${PATH}/nothing`)).status).toBe(404);
});
