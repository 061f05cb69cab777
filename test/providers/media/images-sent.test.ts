/** What each upstream is sent for the same wishes: images and sound. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Given, sentTo } from '../../support/media-sent.ts';
import {
  atWork,
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

const sent = (provider: string, job: Given) => sentTo(upstream, provider, job);

const PNG = 'data:image/png;base64,iVBORw0KGgo=';
const LINK = 'https://example.com/1.png';
const LAST = 'https://example.com/2.png';
describe('images', () => {
  const order = mediaOrder({ n: 2, size: '1024x1536', quality: 'high' });
  const fields = {
    prompt: 'x',
    size: '1024x1536',
    n: 2,
    quality: 'high',
    background: 'transparent',
    response_format: 'url',
    stream: false,
  };

  it('openai: as OpenAI has it', async () => {
    const { path, json } = await sent('openai', { type: 'image', fields, order });
    expect(path).toBe('/v1/images/generations');
    expect(json).toEqual({
      model: 'm1',
      prompt: 'x',
      n: 2,
      size: '1024x1536',
      quality: 'high',
      background: 'transparent',
    });
  });

  it('openai: edits by file, and by link where that is what there is', async () => {
    const files = await sent('openai', {
      type: 'image_edit',
      fields: { ...fields, image: [PNG, PNG], mask: PNG },
      order,
    });
    expect(files.path).toBe('/v1/images/edits');
    const body = files.body.toString('latin1');
    expect(body.match(/name="image\[\]"; filename="\d\.png"/g)).toHaveLength(2);
    expect(body).toContain('name="mask"; filename="0.png"');
    expect(body).toContain('name="n"\r\n\r\n2\r\n');
    const links = await sent('openai', {
      type: 'image_edit',
      fields: { ...fields, image: [PNG, LINK] },
      order,
    });
    expect(links.json['images']).toEqual([{ image_url: PNG }, { image_url: LINK }]);
  });

  it('xai: edits in its own form', async () => {
    const { json } = await sent('openai', {
      type: 'image_edit',
      fields: { prompt: 'x', image: LINK },
      order: mediaOrder({ n: 1 }),
      channel: { dialect: 'xai' },
    });
    expect(json).toEqual({
      model: 'm1',
      prompt: 'x',
      n: 1,
      image: { type: 'image_url', url: LINK },
    });
  });

  it('venice: nothing that its route refuses', async () => {
    const { path, json } = await sent('venice', {
      type: 'image',
      fields: { ...fields, seed: 3, safe_mode: false, output_format: 'png', made_up: 1 },
      order: mediaOrder({ n: 2, size: '1024x768' }),
    });
    expect(path).toBe('/v1/image/generate');
    expect(json).toEqual({
      model: 'm1',
      prompt: 'x',
      variants: 2,
      width: 1024,
      height: 768,
      seed: 3,
      safe_mode: false,
      format: 'png',
    });
  });

  it.each([
    ['image_edit', '/v1/image/edit', { image: LINK }, { model: 'm1', prompt: 'x', image: LINK }],
    [
      'image_edit',
      '/v1/image/multi-edit',
      { images: [LINK, PNG] },
      { modelId: 'm1', prompt: 'x', images: [LINK, 'iVBORw0KGgo='] },
    ],
    ['upscale', '/v1/image/upscale', { image: PNG, scale: 4 }, { image: 'iVBORw0KGgo=', scale: 4 }],
    ['background_remove', '/v1/image/background-remove', { image_url: LINK }, { image_url: LINK }],
    ['background_remove', '/v1/image/background-remove', { image: PNG }, { image: 'iVBORw0KGgo=' }],
  ] as const)('venice: %s over %s', async (type, path, inputs, body) => {
    const order = mediaOrder(type === 'upscale' ? { factor: '4x' } : {});
    const request = await sent('venice', { type, fields: { prompt: 'x', ...inputs }, order });
    expect(request.path).toBe(path);
    expect(request.json).toEqual(body);
  });

  it('modelark: links, sizes, and no more images than were ordered', async () => {
    const one = await sent('modelark', {
      type: 'image',
      fields,
      order: mediaOrder({ n: 1, resolution: '2K' }),
    });
    expect(one.json).toEqual({
      model: 'm1',
      prompt: 'x',
      size: '2K',
      response_format: 'url',
      background: 'transparent',
    });
    const two = await sent('modelark', {
      type: 'image_edit',
      fields: { prompt: 'x', images: [LINK, LAST] },
      order: mediaOrder({ n: 2 }),
    });
    expect(two.json).toMatchObject({
      image: [LINK, LAST],
      sequential_image_generation_options: { max_images: 2 },
    });
  });

  it('fal: sizes as it has them', async () => {
    const { json } = await sent('fal', { type: 'image', model: 'fal-ai/flux/dev', fields, order });
    expect(json).toMatchObject({ image_size: { width: 1024, height: 1536 }, num_images: 2 });
    const openai = await sent('fal', { type: 'image', model: 'fal-ai/gpt-image-2', fields, order });
    expect(openai.json['image_size']).toBe('1024x1536');
  });
});

describe('sound', () => {
  it('elevenlabs: music in milliseconds, effects in seconds', async () => {
    const song = await sent('elevenlabs', {
      type: 'music',
      fields: { prompt: 'x', instrumental: true, output_format: 'mp3_44100_192' },
      order: mediaOrder({ duration: 30.5 }),
    });
    expect(song.path).toBe('/v1/music?output_format=mp3_44100_192');
    expect(song.json).toEqual({
      prompt: 'x',
      model_id: 'm1',
      music_length_ms: 30_500,
      force_instrumental: true,
    });
    const effect = await sent('elevenlabs', {
      type: 'sound',
      fields: { prompt: 'x', loop: true },
      order: mediaOrder({ duration: 4 }),
    });
    expect(effect.path).toBe('/v1/sound-generation');
    expect(effect.json).toEqual({ text: 'x', model_id: 'm1', duration_seconds: 4, loop: true });
  });

  it('elevenlabs: tells its two kinds of busy apart', async () => {
    const busy = async (status: string) => {
      upstream.next({ status: 429, json: { detail: { status, message: 'x' } } });
      await using work = atWork('elevenlabs', {
        type: 'music',
        upstreamModel: 'm1',
        channel: mediaChannel(upstream.url),
      });
      return await work.start();
    };
    await expect(busy('too_many_concurrent_requests')).rejects.toMatchObject({
      retryAfterSeconds: 2,
    });
    await expect(busy('system_busy')).rejects.toMatchObject({ retryAfterSeconds: 15 });
  });

  it('venice: nothing that its queue refuses', async () => {
    const { path, json } = await sent('venice', {
      type: 'music',
      fields: { prompt: 'x', lyrics: 'la', force_instrumental: false, made_up: 1 },
      order: mediaOrder({ duration: 60 }),
    });
    expect(path).toBe('/v1/audio/queue');
    expect(json).toEqual({
      model: 'm1',
      prompt: 'x',
      lyrics_prompt: 'la',
      force_instrumental: false,
      duration_seconds: 60,
    });
  });
});

describe('every body', () => {
  it('is changed by its channel last', async () => {
    const { json, headers } = await sent('openai', {
      type: 'image',
      fields: { prompt: 'x', user: 'me', style: 'vivid' },
      channel: {
        params: { set: { moderation: '"low"', n: '1' }, remove: ['user'] },
        headers: { 'X-Team': 'blue-team' },
        removeHeaders: ['user-agent'],
      },
    });
    expect(json).toEqual({ model: 'm1', prompt: 'x', style: 'vivid', moderation: 'low', n: 1 });
    expect(headers['x-team']).toBe('blue-team');
    expect(headers).not.toHaveProperty('user-agent');
  });

  it('takes pictures in any of their forms', async () => {
    const forms = [
      PNG,
      { url: PNG },
      { image_url: PNG },
      { image_url: { url: PNG } },
      ['iVBORw0KGgo='],
    ];
    for (const image of forms) {
      const { json } = await sent('modelark', { type: 'video', fields: { prompt: '', image } });
      expect(json['content']).toEqual([
        { type: 'image_url', image_url: { url: PNG }, role: 'first_frame' },
      ]);
    }
  });
});
