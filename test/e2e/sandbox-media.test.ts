/** With nothing set up, the sandbox sells something real of every type. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DemoUpstream, startDemoUpstream } from '../../src/demo-upstream.ts';
import { type Json, listOf, startApp, type TestApp, textOf } from '../support/app.ts';

let demo: DemoUpstream;
let app: TestApp;
let headers: Record<string, string>;
let accountId: string;
beforeAll(async () => {
  demo = await startDemoUpstream({ delayMs: 0 });
  app = await startApp({ demoUrl: demo.url });
  const key = await app.key('100');
  headers = { authorization: `Bearer ${key.secret}` };
  accountId = key.accountId;
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await demo[Symbol.asyncDispose]();
});

const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGD4DwABBAEAX+XDSwAAAABJRU5ErkJggg==';

/** What the account paid for what is done, in dollars. */
async function paidFor<T>(work: () => Promise<T>): Promise<{ usd: number; made: T }> {
  const before = (await app.app.store.accounts.balance(accountId)).posted;
  const made = await work();
  const after = (await app.app.store.accounts.balance(accountId)).posted;
  return { usd: (before - after) / 1e9, made };
}

async function task(path: string, body: object): Promise<Json> {
  const made = await app.post(path, body, headers);
  expect(made.text).toContain('task_');
  const done = await app.get(`/v1/tasks/${textOf(made.json['id'])}?wait=20`, headers);
  expect(done.json).toMatchObject({ status: 'completed', progress: 100 });
  return done.json;
}

describe('tasks of the sandbox', () => {
  it.each([
    ['/v1/images/generations', { model: 'demo-image', n: 2, size: '512x512' }, 0.02, 'image/png'],
    [
      '/v1/images/edits',
      { model: 'demo-edit', image: `data:image/png;base64,${PNG}` },
      0.03,
      'image/png',
    ],
    ['/v1/videos', { model: 'demo-video', duration: 2, resolution: '480p' }, 0.06, 'video/mp4'],
    ['/v1/music/generations', { model: 'demo-music', duration: 30 }, 0.05, 'audio/wav'],
    ['/v1/music/generations', { model: 'demo-sound', duration: 2 }, 0.004, 'audio/wav'],
  ])('%s %o', async (path, body, price, type) => {
    const { usd, made } = await paidFor(() => task(path, { prompt: 'A red fox.', ...body }));
    expect(usd).toBe(price);
    for (const asset of listOf(made['result']!['data'])) {
      const file = await fetch(textOf(asset['url']));
      expect(file.headers.get('content-type')).toBe(type);
      expect((await file.arrayBuffer()).byteLength).toBe(Number(asset['bytes']));
    }
  });

  it('costs nothing where it fails, as it was asked to', async () => {
    const { usd, made } = await paidFor(async () => {
      const body = { model: 'demo-video', prompt: 'x', demo_outcome: 'moderated' };
      const { json } = await app.post('/v1/videos', body, headers);
      return app.get(`/v1/tasks/${textOf(json['id'])}?wait=20`, headers);
    });
    expect(made.json).toMatchObject({ status: 'failed', error: { code: 'content_policy' } });
    expect(usd).toBe(0);
  });
});

describe('what is answered at once', () => {
  const image = `data:image/png;base64,${PNG}`;
  it.each([
    ['/api/v1/image/generate', { model: 'demo-image', prompt: 'x', return_binary: true }, 0.02],
    ['/api/v1/image/upscale', { image: PNG, scale: 4, model: 'demo-upscale' }, 0.08],
    ['/api/v1/image/background-remove', { image_url: image, model: 'demo-cut-out' }, 0.01],
  ])('%s', async (path, body, price) => {
    const { usd, made } = await paidFor(() => app.post(path, body, headers));
    expect([made.status, made.headers.get('content-type')], made.text.slice(0, 300)).toEqual([
      200,
      'image/png',
    ]);
    expect(usd).toBe(price);
  });

  it('/v1/audio/speech and /v1/audio/transcriptions', async () => {
    const speech = await paidFor(async () => {
      const answer = await fetch(`${app.url}/v1/audio/speech`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'demo-voice', input: 'Hello there.', voice: 'hum' }),
      });
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'audio/wav']);
      return Buffer.from(await answer.arrayBuffer());
    });
    expect(speech.usd).toBe(0.00018);
    const heard = await paidFor(async () => {
      const form = new FormData();
      form.append('model', 'demo-ears');
      form.append('file', new Blob([new Uint8Array(speech.made)], { type: 'audio/wav' }), 'a.wav');
      const init = { method: 'POST', headers, body: form };
      return (await fetch(`${app.url}/v1/audio/transcriptions`, init)).json();
    });
    expect(heard.made).toMatchObject({ text: expect.stringContaining('did not listen') as string });
    expect(heard.usd).toBeGreaterThan(0);
  });
});

it('keeps every invariant', () => app.check());
