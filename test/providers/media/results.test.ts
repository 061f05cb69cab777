/** What is read out of answers: results, figures, ends. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ChannelConfig } from '../../../src/config/config.ts';
import type { Json, Polled, Started } from '../../../src/providers/media.ts';
import {
  type Answer,
  atWork,
  CHANNEL_KEY,
  mediaChannel,
  mediaOrder,
  type MediaUpstream,
  startMediaUpstream,
} from '../../support/media-upstream.ts';

let upstream: MediaUpstream;
beforeAll(async () => {
  upstream = await startMediaUpstream();
});
afterAll(() => upstream[Symbol.asyncDispose]());
beforeEach(() => upstream.forget());

type Given = Omit<Parameters<typeof atWork>[1], 'channel' | 'upstreamModel'> & {
  channel?: Partial<ChannelConfig>;
};

const work = (provider: string, { channel, ...job }: Given) =>
  atWork(provider, {
    ...job,
    upstreamModel: 'm1',
    channel: mediaChannel(`${upstream.url}/v1`, channel),
  });

async function started(provider: string, job: Given, answer: Answer): Promise<Started> {
  await using at = work(provider, job);
  upstream.next(answer);
  return await at.start();
}

async function looked(
  provider: string,
  job: Given,
  { ref = 'j1', answers }: { ref?: Json; answers: Answer[] },
): Promise<Polled> {
  await using at = work(provider, job);
  upstream.next(...answers);
  return await at.poll(ref);
}

const video = (answer: object, channel: Partial<ChannelConfig> = {}) =>
  looked('openai', { type: 'video', channel }, { answers: [{ json: answer }] });
const key = { authorization: `Bearer ${CHANNEL_KEY}` };

describe('where a video lies', () => {
  it('behind the channel’s own door, with its key', async () => {
    const end = await video(
      { id: 'j1', status: 'completed', seconds: '8' },
      { headers: { 'x-team': 'blue' } },
    );
    expect(end).toEqual({
      state: 'completed',
      assets: [
        { url: `${upstream.url}/v1/videos/j1/content`, headers: { ...key, 'x-team': 'blue' } },
      ],
      measured: { units: { generation: 1, output_second: 8 } },
    });
  });

  it('at a signed link rather than behind the door', async () => {
    const end = await video(
      {
        status: 'completed',
        urls: ['https://cdn.example.com/v?sig=1'],
        unsigned_urls: ['https://b.example/v'],
      },
      { dialect: 'openrouter' },
    );
    expect(end).toMatchObject({ assets: [{ url: 'https://cdn.example.com/v?sig=1' }] });
    expect(JSON.stringify(end)).not.toContain(CHANNEL_KEY);
  });

  it('with the key only where the host is the channel’s own', async () => {
    const own = `${upstream.url}/v1/videos/j1/content?index=0`;
    const end = await video(
      {
        status: 'completed',
        unsigned_urls: [own, '/v1/videos/j1/content?index=1', 'https://evil.example/content'],
      },
      { dialect: 'openrouter' },
    );
    if (end.state !== 'completed') throw new Error(end.state);
    expect(end.assets).toEqual([
      { url: own, headers: key },
      { url: `${upstream.url}/v1/videos/j1/content?index=1`, headers: key },
      { url: 'https://evil.example/content' },
    ]);
  });

  it('is no link that only a browser or a file system would follow', async () => {
    for (const url of [
      'file:///etc/passwd',
      'javascript:alert(1)',
      'ftp://x.example/v',
      'nothing',
    ]) {
      const end = await video({ status: 'done', video: { url } }, { dialect: 'xai' });
      expect(end).toMatchObject({
        state: 'failed',
        message: 'The upstream finished without a result.',
      });
    }
  });
});

describe('words that nobody knows', () => {
  const ark = (answer: object) =>
    looked('modelark', { type: 'video' }, { answers: [{ json: answer }] });

  it('are what the rest of the answer says', async () => {
    const link = 'https://a.example/v.mp4';
    expect(await ark({ status: 'finalised', content: { video_url: link } })).toMatchObject({
      state: 'completed',
    });
    expect(
      await ark({ status: 'halted', error: { code: 'X', message: 'It broke.' } }),
    ).toMatchObject({
      state: 'failed',
      message: 'It broke.',
    });
    expect(await ark({ status: 'halted' })).toEqual({ state: 'processing' });
    expect(await ark({})).toEqual({ state: 'processing' });
  });

  it.each([
    ['cancelled', 'cancelled'],
    ['expired', 'expired'],
  ])('but Ark’s %s ends it', async (status, failure) => {
    expect(await ark({ status })).toMatchObject({ state: 'failed', failure });
  });
});

describe('images', () => {
  const order = mediaOrder({ n: 3 }, { image: 3 });
  const PNG = 'iVBORw0KGgo=';

  it('count as many as there are, without those that were filtered', async () => {
    const end = await started(
      'openai',
      { type: 'image', order },
      {
        json: {
          data: [
            { b64_json: PNG },
            { url: 'https://imgen.example/1.jpg', respect_moderation: false },
            { url: `data:image/webp;base64,${PNG}` },
          ],
          output_format: 'jpeg',
          usage: { input_tokens: 40, output_tokens: 2_112, cost_in_usd_ticks: 200_000_000 },
        },
      },
    );
    if (end.state !== 'completed') throw new Error(end.state);
    expect(end.assets).toEqual([
      { bytes: Buffer.from(PNG, 'base64'), contentType: 'image/jpeg' },
      { bytes: Buffer.from(PNG, 'base64'), contentType: 'image/webp' },
    ]);
    expect(end.measured).toEqual({
      units: { image: 2, input_token: 40, output_image_token: 2_112 },
      upstreamCostUsd: '0.02',
    });
  });

  it('are moderated where all of them were filtered', async () => {
    const ref = { id: 'r', status: '/s', response: '/r', cancel: '/c' };
    const answers = [
      { json: { status: 'COMPLETED' } },
      { json: { images: [{ url: 'https://f.example/black.png' }], has_nsfw_concepts: [true] } },
    ];
    const end = await looked('fal', { type: 'image', order }, { ref, answers });
    expect(end).toMatchObject({ state: 'failed', failure: 'moderated' });
  });

  it('are not what was asked for, said again', async () => {
    const ref = { id: 'r', status: '/s', response: '/r', cancel: '/c' };
    for (const prompt of ['https://me.example/cat.png', 'https://me.example/cat.png, in blue']) {
      const images = [{ url: 'https://f.example/1.png' }];
      const answers = [
        { json: { status: 'COMPLETED' } },
        { json: { prompt, images, revised: 'https://f.example is a place' } },
      ];
      const end = await looked('fal', { type: 'image', order }, { ref, answers });
      expect(end).toMatchObject({ state: 'completed', assets: images });
      expect(end.state === 'completed' && end.assets).toHaveLength(1);
    }
  });

  it('are found in any shape that Replicate’s models give', async () => {
    const links = async (output: unknown) => {
      const json = { id: 'j1', status: 'succeeded', output };
      const end = await looked('replicate', { type: 'image', order }, { answers: [{ json }] });
      return end.state === 'completed'
        ? end.assets.map((asset) => 'url' in asset && asset.url)
        : end.state;
    };
    expect(await links('https://r.example/1.png')).toEqual(['https://r.example/1.png']);
    expect(await links(['https://r.example/1.png', 'https://r.example/2.png'])).toHaveLength(2);
    expect(await links({ image: 'https://r.example/1.png', seed: 3 })).toEqual([
      'https://r.example/1.png',
    ]);
    expect(await links({ seed: 3 })).toBe('failed');
    expect(
      await links(Array.from({ length: 500 }, (_, n) => `https://r.example/${n}.png`)),
    ).toHaveLength(64);
  });

  it('that are half made are not shown', async () => {
    const json = { id: 'j1', status: 'processing', output: ['https://r.example/half.png'] };
    const end = await looked('replicate', { type: 'image' }, { answers: [{ json }] });
    expect(end).toEqual({ state: 'processing' });
  });
});

describe('venice', () => {
  it('is as far as its usual time says, and never quite done', async () => {
    const at = (now: number) =>
      looked(
        'venice',
        { type: 'video' },
        {
          ref: { id: 'q1' },
          answers: [
            {
              json: {
                status: 'PROCESSING',
                average_execution_time: 100_000,
                execution_duration: now,
              },
            },
          ],
        },
      );
    expect(await at(50_000)).toEqual({ state: 'processing', progress: 50 });
    expect(await at(900_000)).toEqual({ state: 'processing', progress: 95 });
    expect(upstream.requests.at(-1)).toMatchObject({
      path: '/v1/video/retrieve',
      json: { model: 'm1', queue_id: 'q1' },
    });
  });

  it('gives a private link at first, which counts once it is done', async () => {
    const first = await started(
      'venice',
      { type: 'video' },
      {
        json: { model: 'm1', queue_id: 'q1', download_url: 'https://vps.example/v.mp4' },
      },
    );
    expect(first).toMatchObject({ ref: { id: 'q1', download: 'https://vps.example/v.mp4' } });
    if (first.state !== 'started') throw new Error(first.state);
    const look = (status: string) =>
      looked('venice', { type: 'video' }, { ref: first.ref, answers: [{ json: { status } }] });
    expect(await look('PROCESSING')).toEqual({ state: 'processing' });
    expect(await look('COMPLETED')).toMatchObject({
      assets: [{ url: 'https://vps.example/v.mp4' }],
    });
  });
});

describe('texts of upstreams', () => {
  it('are short, on one line and without keys', async () => {
    const message = `line one\nBearer abc.def.ghi sk-abcdefgh12345678 ${'x'.repeat(2_000)}`;
    const end = await started(
      'openai',
      { type: 'image' },
      { status: 400, json: { error: { message } } },
    );
    if (end.state !== 'failed') throw new Error(end.state);
    expect(end.message.length).toBeLessThanOrEqual(500);
    expect(end.message).not.toMatch(/\n|Bearer|sk-abc/);
  });

  it.each([
    [{ detail: [{ loc: ['body', 'x'], msg: 'field required' }] }, 'field required'],
    [{ detail: { status: 'bad', message: 'Too long.' } }, 'Too long.'],
    [{ error: 'Just text.' }, 'Just text.'],
    [{ message: 'At the top.' }, 'At the top.'],
    [{ title: 'Input validation failed' }, 'Input validation failed'],
    ['<html>', 'The upstream refused the request.'],
  ])('are found in %j', async (body, message) => {
    const answer = typeof body === 'string' ? { bytes: Buffer.from(body) } : { json: body };
    const end = await started('openai', { type: 'image' }, { status: 422, ...answer });
    expect(end).toMatchObject({ state: 'failed', failure: 'refused', message });
  });

  it('say that another channel may have what this one has not', async () => {
    const answer = { status: 404, json: { error: { message: 'no such model' } } };
    expect(await started('openai', { type: 'image' }, answer)).toMatchObject({ isRetryable: true });
  });
});
