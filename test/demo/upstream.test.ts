import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DemoMedia } from '../../src/demo-media.ts';
import { type DemoUpstream, startDemoUpstream } from '../../src/demo-upstream.ts';
import type { MediaType } from '../../src/config/config.ts';
import { atWork, mediaChannel, mediaOrder } from '../support/media-upstream.ts';

let upstream: DemoUpstream;
beforeAll(async () => {
  upstream = await startDemoUpstream({ delayMs: 0 });
});
afterAll(async () => {
  await upstream[Symbol.asyncDispose]();
});

let count = 0;

function job(
  type: MediaType,
  fields: Record<string, unknown> = {},
  taskId = `task_${(count += 1)}`,
) {
  return atWork('demo', {
    type,
    upstreamModel: 'demo',
    channel: mediaChannel(upstream.url),
    fields: { prompt: 'A red fox.', ...fields },
    order: mediaOrder({ n: 2, duration: 3 }),
    taskId,
  });
}

describe('the demo provider', () => {
  const types = ['image', 'image_edit', 'upscale', 'background_remove'] as const;
  it.each([...types, 'music', 'sound', 'video'] as const)('makes %s', async (type) => {
    await using work = job(type);
    const started = await work.start();
    if (started.state !== 'started') throw new Error(`started as ${started.state}`);
    const end = await work.poll(started.ref);
    if (end.state !== 'completed') throw new Error(`ended as ${JSON.stringify(end)}`);
    expect(end.assets).toHaveLength(2);
    const [first] = end.assets;
    if (!first || !('url' in first)) throw new Error('no link');
    const file = await fetch(first.url);
    expect(file.headers.get('content-type')).toMatch(/^(image\/png|video\/mp4|audio\/wav)$/);
    expect((await file.arrayBuffer()).byteLength).toBeGreaterThan(1_000);
  });

  it.each([
    ['failed', 'failed'],
    ['moderated', 'moderated'],
    ['expired', 'expired'],
  ])('fails as it is asked to: %s', async (outcome, failure) => {
    await using work = job('video', { demo_outcome: outcome });
    const started = await work.start();
    if (started.state !== 'started') throw new Error(`started as ${started.state}`);
    expect(await work.poll(started.ref)).toMatchObject({ state: 'failed', failure });
  });

  it('takes as long as it is asked to, says how far it is, and can be cancelled', async () => {
    await using work = job('video', { demo_delay_ms: 60_000 });
    const started = await work.start();
    if (started.state !== 'started') throw new Error(`started as ${started.state}`);
    expect(await work.poll(started.ref)).toMatchObject({ state: 'pending', progress: 0 });
    expect(await work.cancel(started.ref)).toBe('cancelled');
    expect(await work.poll(started.ref)).toMatchObject({ state: 'failed', failure: 'cancelled' });
  });

  it('cannot cancel what is done', async () => {
    await using work = job('image');
    const started = await work.start();
    if (started.state !== 'started') throw new Error(`started as ${started.state}`);
    expect(await work.cancel(started.ref)).toBe('too_late');
  });

  it('makes one job of a submit that is sent twice', async () => {
    await using work = job('image', {}, 'task_twice');
    expect(await work.start()).toEqual(await work.start());
    expect(work.provider.isIdempotent).toBe(true);
  });

  it('does not know what it never had', async () => {
    await using work = job('image');
    expect(await work.poll('job_0')).toEqual({ state: 'gone' });
  });
});

it('tells progress by the clock, and fails as often as it is told to', () => {
  let nowMs = 0;
  const media = new DemoMedia({ delayMs: 1_000, failureRate: 1, nowMs: () => nowMs });
  const ask = (method: string, path: string) => {
    let told = '';
    const response = { writeHead: () => {}, end: (text: string) => (told = text) };
    const request = { method, path, base: '', key: undefined, asked: { type: 'video' } };
    media.answer(request, response as unknown as Parameters<typeof media.answer>[1]);
    return JSON.parse(told) as { id: string; status: string; progress: number };
  };
  const { id } = ask('POST', '/media/jobs');
  nowMs = 400;
  expect(ask('GET', `/media/jobs/${id}`)).toMatchObject({ status: 'running', progress: 40 });
  nowMs = 1_000;
  expect(ask('GET', `/media/jobs/${id}`)).toMatchObject({ status: 'failed' });
});

it('hums what it is given to say, and says how much it was given to hear', async () => {
  const spoken = await fetch(`${upstream.url}/audio/speech`, {
    method: 'POST',
    body: JSON.stringify({ input: 'Hello.', model: 'demo-voice', voice: 'hum' }),
  });
  expect(spoken.headers.get('content-type')).toBe('audio/wav');
  const sound = Buffer.from(await spoken.arrayBuffer());
  const form = new FormData();
  form.append('file', new Blob([sound]), 'hello.wav');
  const heard = await fetch(`${upstream.url}/audio/transcriptions`, { method: 'POST', body: form });
  expect(await heard.json()).toMatchObject({ usage: { type: 'duration', seconds: 1 } });
});
