/** What each upstream is sent for the same wishes: videos. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formOf, type Given, sentTo } from '../../support/media-sent.ts';
import {
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
const wish = mediaOrder({
  duration: 6,
  resolution: '720p',
  aspect_ratio: '16:9',
  audio: true,
  n: 1,
});
/** In two spellings; what decides the price comes from the order alone. */
const spoken = {
  prompt: 'A fox.',
  seconds: '6',
  resolution: '720p',
  ratio: '16:9',
  generate_audio: true,
  seed: 7,
};

describe('videos from text', () => {
  it.each([
    [
      'openrouter',
      'openai',
      {
        prompt: 'A fox.',
        model: 'm1',
        duration: 6,
        resolution: '720p',
        aspect_ratio: '16:9',
        generate_audio: true,
        seed: 7,
      },
    ],
    [
      'xai',
      'openai',
      {
        prompt: 'A fox.',
        model: 'm1',
        duration: 6,
        resolution: '720p',
        aspect_ratio: '16:9',
        seed: 7,
      },
    ],
    [
      '-',
      'modelark',
      {
        content: [{ type: 'text', text: 'A fox.' }],
        model: 'm1',
        duration: 6,
        resolution: '720p',
        ratio: '16:9',
        generate_audio: true,
        seed: 7,
      },
    ],
    [
      '-',
      'venice',
      {
        prompt: 'A fox.',
        model: 'm1',
        duration: '6s',
        resolution: '720p',
        aspect_ratio: '16:9',
        audio: true,
        seed: 7,
      },
    ],
    [
      '-',
      'fal',
      {
        prompt: 'A fox.',
        num_images: 1,
        duration: '6',
        resolution: '720p',
        aspect_ratio: '16:9',
        generate_audio: true,
        seed: 7,
      },
    ],
    [
      '-',
      'replicate',
      {
        input: {
          prompt: 'A fox.',
          duration: 6,
          resolution: '720p',
          aspect_ratio: '16:9',
          generate_audio: true,
          seed: 7,
        },
      },
    ],
  ] as const)('%s %s', async (dialect, provider, body) => {
    const channel = dialect === '-' ? {} : { dialect };
    const { json } = await sent(provider, { type: 'video', fields: spoken, order: wish, channel });
    expect(json).toEqual(body);
  });
});

it('openai: the same as a form, as its own client sends it', async () => {
  const request = await sent('openai', { type: 'video', fields: spoken, order: wish });
  expect(Object.fromEntries(await formOf(request))).toEqual({
    prompt: 'A fox.',
    model: 'm1',
    seconds: '6',
    resolution: '720p',
    aspect_ratio: '16:9',
    generate_audio: 'true',
    seed: '7',
  });
});

describe('videos from pictures', () => {
  const frames = { prompt: 'x', image_url: LINK, end_image_url: LAST };
  const references = {
    prompt: 'x',
    reference_image_urls: [LINK, LAST],
    video_url: 'https://example.com/v.mp4',
  };
  const order = mediaOrder({ duration: 6 });

  it('openai: a form, with a file as a file and a link as a link', async () => {
    const file = { prompt: 'x', input_reference: PNG };
    const first = await formOf(await sent('openai-videos', { type: 'video', fields: file, order }));
    expect(first.get('input_reference')).toMatchObject({
      name: '0.png',
      type: 'image/png',
      size: 8,
    });
    const link = { prompt: 'x', image_url: LINK };
    const second = await formOf(await sent('openai', { type: 'video', fields: link, order }));
    expect(Object.fromEntries(second)).toEqual({
      model: 'm1',
      prompt: 'x',
      seconds: '6',
      'input_reference[image_url]': LINK,
    });
  });

  it('openrouter: frames and references', async () => {
    const channel = { dialect: 'openrouter' as const };
    const image = (url: string) => ({ type: 'image_url', image_url: { url } });
    const first = await sent('openai', { type: 'video', fields: frames, order, channel });
    expect(first.json['frame_images']).toEqual([
      { ...image(LINK), frame_type: 'first_frame' },
      { ...image(LAST), frame_type: 'last_frame' },
    ]);
    const second = await sent('openai', { type: 'video', fields: references, order, channel });
    expect(second.json).not.toHaveProperty('frame_images');
    expect(second.json['input_references']).toEqual([
      image(LINK),
      image(LAST),
      { type: 'video_url', video_url: { url: 'https://example.com/v.mp4' } },
    ]);
  });

  it('openrouter: its own form passes as it came', async () => {
    const own = {
      prompt: 'x',
      frame_images: [{ type: 'image_url', image_url: { url: LINK }, frame_type: 'last_frame' }],
    };
    const channel = { dialect: 'openrouter' as const };
    const { json } = await sent('openai', { type: 'video', fields: own, order, channel });
    expect(json['frame_images']).toEqual(own.frame_images);
  });

  it('xai: one picture, references, or a video to edit, which has its own length', async () => {
    const channel = { dialect: 'xai' as const };
    const { json } = await sent('openai', { type: 'video', fields: frames, order, channel });
    expect(json).toMatchObject({ image: { url: LINK }, duration: 6 });
    const edit = await sent('openai', {
      type: 'video',
      fields: { prompt: 'x', video_url: 'https://example.com/v.mp4' },
      order,
      channel,
    });
    expect(edit.path).toBe('/v1/videos/edits');
    expect(edit.json).toEqual({
      model: 'm1',
      prompt: 'x',
      video: { url: 'https://example.com/v.mp4' },
    });
  });

  it('modelark: every picture has its role; beside references all are references', async () => {
    const first = await sent('modelark', { type: 'video', fields: frames, order });
    expect(first.json['content']).toEqual([
      { type: 'text', text: 'x' },
      { type: 'image_url', image_url: { url: LINK }, role: 'first_frame' },
      { type: 'image_url', image_url: { url: LAST }, role: 'last_frame' },
    ]);
    const second = await sent('modelark', { type: 'video', fields: references, order });
    expect((second.json['content'] as { role?: string }[]).map(({ role }) => role)).toEqual([
      undefined,
      'reference_image',
      'reference_image',
      'reference_video',
    ]);
  });

  it('modelark: a prompt is no place for settings', async () => {
    const fields = { prompt: 'A fox -- red, well-known --dur 12 --RS 1080p\n---fps 60' };
    const { json } = await sent('modelark', { type: 'video', fields, order });
    expect(json['content']).toEqual([
      { type: 'text', text: 'A fox -- red, well-known —dur 12 —RS 1080p\n—fps 60' },
    ]);
  });

  it('modelark: a length that the model chooses', async () => {
    const { json } = await sent('modelark', {
      type: 'video',
      order: mediaOrder({ duration: 'auto' }),
    });
    expect(json['duration']).toBe(-1);
  });

  it('venice: in its own names', async () => {
    const { json } = await sent('venice', {
      type: 'video',
      fields: { ...frames, ...references },
      order,
    });
    expect(json).toEqual({
      model: 'm1',
      prompt: 'x',
      duration: '6s',
      image_url: LINK,
      end_image_url: LAST,
      reference_image_urls: [LINK, LAST],
      video_url: 'https://example.com/v.mp4',
    });
  });

  it.each([
    ['fal-ai/veo3.1', { duration: '6s' }],
    ['fal-ai/luma-dream-machine/ray-2', { duration: '6s' }],
    ['fal-ai/ltx-2', { duration: 6 }],
    ['fal-ai/bytedance/seedance/v1.5', { duration: '6' }],
    ['fal-ai/kling-video/v3/pro/image-to-video', { duration: '6' }],
  ])('fal: %s is told a length as %o', async (model, body) => {
    const { json } = await sent('fal', { type: 'video', model, order });
    expect(json).toMatchObject(body);
  });

  it.each([
    ['kwaivgi/kling-v2.6', { start_image: LINK, end_image: LAST }],
    ['minimax/hailuo-02', { first_frame_image: LINK, last_frame_image: LAST }],
    ['bytedance/seedance-1-pro', { image: LINK, last_frame_image: LAST }],
    ['acme/unheard-of', { image_url: LINK, end_image_url: LAST }],
  ])('replicate: %s has names of its own', async (model, input) => {
    const { json } = await sent('replicate', { type: 'video', model, fields: frames, order });
    expect(json['input']).toEqual({ prompt: 'x', duration: 6, ...input });
  });
});
