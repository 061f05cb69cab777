/** The servers that stand in for fal and Replicate are shaped right: their own clients run against them, too. */
import { createFalClient } from '@fal-ai/client';
import OpenAI from 'openai';
import Replicate from 'replicate';
import { expect, it } from 'vitest';
import type { Json, Polled } from '../../../src/providers/media.ts';
import { formOf } from '../../support/media-sent.ts';
import {
  atWork,
  mediaChannel,
  mediaOrder,
  startMediaUpstream,
} from '../../support/media-upstream.ts';
import { startFalServer, startReplicateServer } from '../../support/media-servers.ts';

const MODEL = 'fal-ai/kling-video/v2.5/pro/text-to-video';

async function looked(
  poll: (ref: Json) => Promise<Polled>,
  ref: Json,
): Promise<{ states: string[]; end: Polled }> {
  const states: string[] = [];
  for (let looks = 0; looks < 5; looks += 1) {
    const end = await poll(ref);
    states.push(end.state);
    if (end.state !== 'pending' && end.state !== 'processing') return { states, end };
  }
  throw new Error(states.join(', '));
}

const falJob = (url: string) =>
  atWork('fal', {
    type: 'video',
    upstreamModel: MODEL,
    channel: mediaChannel(url),
    fields: { prompt: 'A fox.', cfg_scale: 0.7, image_url: 'https://example.com/1.png' },
    order: mediaOrder({ duration: 5, aspect_ratio: '9:16', audio: true }),
  });

it('fal: its client and ours see the same', async () => {
  await using server = await startFalServer();
  const client = createFalClient({
    credentials: 'key',
    // The client knows fal's own hosts alone.
    fetch: (url, init) => fetch(new URL(new URL(new Request(url).url).pathname, server.url), init),
  });
  const { data, requestId } = await client.queue
    .submit(MODEL, { input: { prompt: 'A fox.' } })
    .then(async ({ request_id: requestId }) => {
      await client.queue.subscribeToStatus(MODEL, { requestId, pollInterval: 1 });
      return client.queue.result(MODEL, { requestId });
    });
  expect(requestId).toBe('req-1');
  const theirs = (data as { video: { url: string } }).video.url;

  await using job = falJob(server.url);
  const started = await job.start();
  if (started.state !== 'started') throw new Error(started.state);
  const { states, end } = await looked(job.poll, started.ref);
  expect(states).toEqual(['pending', 'processing', 'completed']);
  expect(end).toMatchObject({ assets: [{ url: theirs, contentType: 'video/mp4' }] });
  const [submit] = server.requests.filter(({ path }) => path === `/${MODEL}`).slice(-1);
  expect(submit!.json).toEqual({
    prompt: 'A fox.',
    cfg_scale: 0.7,
    image_url: 'https://example.com/1.png',
    start_image_url: 'https://example.com/1.png',
    aspect_ratio: '9:16',
    generate_audio: true,
    duration: '5',
  });
});

it('fal: addresses of another host are not dialled, but made anew', async () => {
  await using server = await startFalServer('https://queue.fal.run');
  await using job = falJob(server.url);
  const started = await job.start();
  if (started.state !== 'started') throw new Error(started.state);
  expect(started.ref).toMatchObject({ status: '/fal-ai/kling-video/requests/req-1/status' });
  expect((await looked(job.poll, started.ref)).end).toMatchObject({ state: 'completed' });
});

it('fal: cancels what waits, and not what is done', async () => {
  await using server = await startFalServer();
  await using job = falJob(server.url);
  const [first, second] = [await job.start(), await job.start()];
  if (first.state !== 'started' || second.state !== 'started') throw new Error('not started');
  expect(await job.cancel(first.ref)).toBe('cancelled');
  await looked(job.poll, second.ref);
  expect(await job.cancel(second.ref)).toBe('too_late');
});

it('replicate: its client and ours see the same', async () => {
  await using server = await startReplicateServer();
  const client = new Replicate({ auth: 'key', baseUrl: `${server.url}/v1`, useFileOutput: false });
  const created = await client.predictions.create({
    model: 'bytedance/seedance-1-pro',
    input: { prompt: 'A fox.' },
  });
  const theirs = await client.wait(created, { interval: 1 });
  expect(theirs.status).toBe('succeeded');

  await using job = atWork('replicate', {
    type: 'video',
    upstreamModel: 'bytedance/seedance-1-pro',
    channel: mediaChannel(`${server.url}/v1`),
    fields: { prompt: 'A fox.', camera_fixed: true, first_frame_url: 'https://example.com/1.png' },
    order: mediaOrder({ duration: 5, resolution: '1080p' }),
  });
  const started = await job.start();
  if (started.state !== 'started') throw new Error(started.state);
  const { states, end } = await looked(job.poll, started.ref);
  expect(states).toEqual(['processing', 'completed']);
  expect(end).toMatchObject({ assets: [{ url: (theirs.output as string[])[0] }] });
  const submit = server.requests.find(
    ({ json }) => 'camera_fixed' in ((json['input'] ?? {}) as object),
  );
  expect(submit).toMatchObject({
    path: '/v1/models/bytedance/seedance-1-pro/predictions',
    json: {
      input: {
        prompt: 'A fox.',
        camera_fixed: true,
        image: 'https://example.com/1.png',
        duration: 5,
        resolution: '1080p',
      },
    },
  });
  expect(await job.cancel(started.ref)).toBe('too_late');
});

it.each([
  ['owner/name', '/models/owner/name/predictions', undefined],
  [`owner/name:${'a'.repeat(64)}`, '/predictions', 'a'.repeat(64)],
  ['b'.repeat(64), '/predictions', 'b'.repeat(64)],
  ['deployments/owner/name', '/deployments/owner/name/predictions', undefined],
])('replicate: a model called %s is asked for at %s', async (model, path, version) => {
  await using server = await startReplicateServer();
  await using job = atWork('replicate', {
    type: 'image',
    upstreamModel: model,
    channel: mediaChannel(`${server.url}/v1`),
  });
  server.next({ status: 201, json: { id: 'p1', status: 'starting' } });
  expect(await job.start()).toMatchObject({ state: 'started', ref: 'p1' });
  expect(server.requests[0]!.path).toBe(`/v1${path}`);
  expect(server.requests[0]!.json['version']).toBe(version);
});

it('replicate: what was deleted is gone', async () => {
  await using server = await startReplicateServer();
  await using job = atWork('replicate', {
    type: 'image',
    upstreamModel: 'a/b',
    channel: mediaChannel(`${server.url}/v1`),
  });
  server.next({ json: { id: 'p1', status: 'succeeded', output: null, data_removed: true } });
  expect(await job.poll('p1')).toEqual({ state: 'gone' });
});

it('openai: its client and ours send the same form', async () => {
  await using server = await startMediaUpstream();
  const client = new OpenAI({ apiKey: 'key', baseURL: `${server.url}/v1`, maxRetries: 0 });
  const reference = new File([Buffer.from('iVBORw0KGgo=', 'base64')], '0.png', {
    type: 'image/png',
  });
  const job = { id: 'video_1', object: 'video', status: 'queued' };
  server.next({ json: job }, { json: job });
  await client.videos.create({
    model: 'sora-2',
    prompt: 'A fox.',
    seconds: '4',
    size: '1280x720',
    input_reference: reference,
  });
  await using work = atWork('openai-videos', {
    type: 'video',
    upstreamModel: 'sora-2',
    channel: mediaChannel(`${server.url}/v1`),
    fields: { prompt: 'A fox.', input_reference: 'data:image/png;base64,iVBORw0KGgo=' },
    order: mediaOrder({ duration: 4, size: '1280x720' }),
  });
  await work.start();
  const [theirs, ours] = await Promise.all(
    server.requests.map(async (request) => {
      const form = await formOf(request);
      const file = form.get('input_reference') as File;
      form.delete('input_reference');
      const texts = Array.from(form, ([name, value]) => `${name}=${value as string}`);
      return {
        path: request.path,
        texts: texts.toSorted(),
        file: [file.name, file.type, file.size],
      };
    }),
  );
  expect(ours).toEqual(theirs);
});
