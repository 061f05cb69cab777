/** Upstreams that nobody here wrote. */
import { LLMock } from '@copilotkit/aimock';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ChannelConfig } from '../../../src/config/config.ts';
import type { Polled } from '../../../src/providers/media.ts';
import { atWork, mediaChannel, mediaOrder } from '../../support/media-upstream.ts';

const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGD4DwABBAEAX+XDSwAAAABJRU5ErkJggg==';
const MOST_LOOKS = 10;
const mock = new LLMock({
  port: 0,
  host: '127.0.0.1',
  falQueue: { pollsBeforeInProgress: 1, pollsBeforeCompleted: 2 },
});

beforeAll(async () => {
  mock.onImage('lighthouse', { images: [{ b64Json: PNG }, { b64Json: PNG }] });
  mock.onVideo('fox', {
    video: {
      id: 'v1',
      status: 'completed',
      url: 'https://cdn.example.com/fox.mp4',
      cost: 0.4,
      duration: 6,
      b64: 'AAAA',
    },
  });
  mock.onVideo('bear', { video: { id: 'v2', status: 'failed', error: 'The provider failed.' } });
  mock.on(
    { userMessage: 'whale', endpoint: 'video' },
    {
      json: {
        id: 'cgt-1',
        status: 'succeeded',
        content: { video_url: 'https://ark.example.com/whale.mp4' },
        usage: { completion_tokens: 108_900, total_tokens: 108_900 },
      },
    },
  );
  mock.onMusic('song', { audio: Buffer.from('ID3 song').toString('base64') });
  mock.onSoundEffect('thunder', { audio: Buffer.from('ID3 thunder').toString('base64') });
  mock.onFalQueue(/flux/, {
    images: [
      { url: 'https://fal.media/files/1.png', content_type: 'image/png', width: 1, height: 1 },
    ],
  });
  await mock.start();
});
afterAll(() => mock.stop());

type Work = Parameters<typeof atWork>;

/** From the submit to the end. */
async function made(
  provider: string,
  path: string,
  job: Omit<Work[1], 'channel' | 'upstreamModel'> & {
    channel?: Partial<ChannelConfig>;
    model?: string;
  },
): Promise<{ end: Polled; states: string[] }> {
  const { channel, model = 'm1', ...rest } = job;
  await using work = atWork(provider, {
    upstreamModel: model,
    ...rest,
    channel: mediaChannel(`${mock.url}${path}`, channel),
  });
  const started = await work.start();
  if (started.state !== 'started') return { end: started, states: [] };
  const states: string[] = [];
  for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
    const end = await work.poll(started.ref);
    states.push(end.state);
    if (end.state !== 'pending' && end.state !== 'processing') return { end, states };
  }
  throw new Error(`no end after ${states.join(', ')}`);
}

it('makes images, and edits of them', async () => {
  const order = mediaOrder({ n: 2, size: '1024x1024' });
  const fields = { prompt: 'A lighthouse.' };
  const { end } = await made('openai', '/v1', { type: 'image', fields, order });
  expect(end).toMatchObject({ state: 'completed', measured: { units: { image: 2 } } });
  const picture = `data:image/png;base64,${PNG}`;
  const edit = { prompt: 'A lighthouse at night.', image: [picture, picture], mask: picture };
  const edited = await made('openai', '/v1', { type: 'image_edit', fields: edit, order });
  expect(edited.end).toMatchObject({ state: 'completed', assets: [{}, {}] });
  const sent = mock.getRequests().at(-1)!;
  expect(sent.path).toBe('/v1/images/edits');
  expect(sent.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
});

it('makes a video as OpenRouter does, and gets it through its own door', async () => {
  const { end, states } = await made('openai', '/api/v1', {
    type: 'video',
    fields: { prompt: 'A fox.', image_url: 'https://example.com/first.png' },
    order: mediaOrder({ duration: 6, audio: true }),
    channel: { dialect: 'openrouter' },
  });
  expect(states.at(-1)).toBe('completed');
  if (end.state !== 'completed') throw new Error(end.state);
  expect(end.measured.upstreamCostUsd).toBe('0.4');
  const [asset] = end.assets;
  if (!asset || !('url' in asset)) throw new Error('no link');
  const file = await fetch(asset.url, { headers: asset.headers ?? {} });
  expect(file.status).toBe(200);
});

it('tells a failure of OpenRouter in its words', async () => {
  const { end } = await made('openai', '/api/v1', {
    type: 'video',
    fields: { prompt: 'A bear.' },
    channel: { dialect: 'openrouter' },
  });
  expect(end).toMatchObject({ state: 'failed', message: 'The provider failed.' });
});

it('makes a video as xAI does, with what it cost', async () => {
  const { end } = await made('openai', '/v1', {
    type: 'video',
    fields: { prompt: 'A fox.' },
    order: mediaOrder({ duration: 6 }),
    channel: { dialect: 'xai' },
  });
  expect(end).toMatchObject({
    state: 'completed',
    assets: [{ url: 'https://cdn.example.com/fox.mp4' }],
    measured: { units: { output_second: 6 }, upstreamCostUsd: '0.4' },
  });
});

it('makes a video as Ark does, measured in tokens', async () => {
  const { end } = await made('modelark', '/api/v3', {
    type: 'video',
    fields: { prompt: 'A whale.' },
    order: mediaOrder({ duration: 5, resolution: '720p', aspect_ratio: '16:9' }),
  });
  expect(end).toMatchObject({
    state: 'completed',
    assets: [{ url: 'https://ark.example.com/whale.mp4' }],
    measured: { units: { video_token: 108_900 } },
  });
});

it('makes music and sound as ElevenLabs does', async () => {
  const song = await made('elevenlabs', '/v1', {
    type: 'music',
    fields: { prompt: 'A song.', instrumental: true },
    order: mediaOrder({ duration: 30 }),
  });
  expect(song.end).toMatchObject({
    state: 'completed',
    assets: [{ contentType: expect.stringContaining('audio/') as string }],
  });
  const thunder = await made('elevenlabs', '/v1', { type: 'sound', fields: { prompt: 'thunder' } });
  expect(thunder.end).toMatchObject({ state: 'completed' });
});

it('makes an image over fal’s queue, at another address than fal’s', async () => {
  const { end, states } = await made('fal', '/fal', {
    type: 'image',
    model: 'fal-ai/flux/dev',
    fields: { prompt: 'A red fox.' },
    order: mediaOrder({ n: 1, size: '512x512' }),
    channel: { headers: { 'x-fal-target-host': 'queue.fal.run' } },
  });
  expect(states.at(-1)).toBe('completed');
  expect(states.length).toBeGreaterThan(1);
  expect(end).toMatchObject({
    state: 'completed',
    assets: [{ url: 'https://fal.media/files/1.png', contentType: 'image/png' }],
  });
});

it('comes again when it is told to, and knows what was not begun', async () => {
  const headers = { 'x-aimock-chaos-ratelimit': '1' };
  const busy = made('openai', '/v1', {
    type: 'image',
    fields: { prompt: 'lighthouse' },
    channel: { headers },
  });
  await expect(busy).rejects.toMatchObject({ code: 'upstream_busy' });
  const cut = made('openai', '/v1', {
    type: 'image',
    fields: { prompt: 'lighthouse' },
    channel: { headers: { 'x-aimock-chaos-disconnect': '1' } },
  });
  await expect(cut).rejects.toMatchObject({ details: { isSent: true } });
});
