import { describe, expect, it } from 'vitest';
import type { MediaType } from '../../src/config/config.ts';
import { type Asked, codePoints, readAsked } from '../../src/orders/asked.ts';

const URL = 'https://files.example/a';
const DATA = 'A'.repeat(64);

describe('what is asked', () => {
  const cases: [name: string, type: MediaType, body: object, asked: Asked][] = [
    [
      'a video of the seed',
      'video',
      {
        model: 'seedance-2-fast',
        modality: 'video',
        duration: 6,
        resolution: '720p',
        input_mode: 'text-to-video',
        max_credits: 250,
      },
      { duration: 6, resolution: '720p', input_mode: 'text' },
    ],
    [
      'a video of OpenAI',
      'video',
      { seconds: '8', size: '1280x720', input_reference: URL },
      { duration: 8, size: '1280x720', input_mode: 'image', input_images: 1 },
    ],
    [
      'a video of Venice',
      'video',
      { duration: '5s', audio: true, upscale_factor: 2, aspect_ratio: '16:9', image_url: DATA },
      {
        duration: 5,
        audio: true,
        factor: '2x',
        aspect_ratio: '16:9',
        input_mode: 'image',
        input_images: 1,
      },
    ],
    ['a length that the upstream decides', 'video', { duration: -1 }, { duration: 'auto' }],
    [
      'a clip that is worked on, and pictures in it',
      'video',
      { video_url: URL, elements: [{ frontal_image_url: URL, reference_image_urls: [URL, URL] }] },
      { input_mode: 'video', input_images: 3 },
    ],
    [
      'parts of a message, as Ark has them',
      'video',
      {
        content: [
          { type: 'text', text: 'a cat' },
          { type: 'image_url', image_url: { url: URL }, role: 'first_frame' },
          { type: 'image_url', image_url: { url: URL }, role: 'last_frame' },
        ],
      },
      { input_mode: 'image', input_images: 2 },
    ],
    [
      'sound that a video is made to',
      'video',
      { audio: URL, generate_audio: false },
      { audio: false, input_mode: 'audio' },
    ],
    [
      'parameters inside of a member',
      'video',
      { input: { duration: 10, num_outputs: 2 }, duration: '10' },
      { duration: 10, n: 2 },
    ],
    [
      'names in other spellings',
      'video',
      { Parameters: { durationSeconds: 8, sampleCount: 2 }, AspectRatio: '9:16', mode: 'pro' },
      { duration: 8, n: 2, aspect_ratio: '9:16', quality: 'pro' },
    ],
    [
      'images of OpenAI, at its own choice of size',
      'image',
      { n: 2, size: 'auto', quality: 'high' },
      { n: 2, quality: 'high' },
    ],
    [
      'images of Venice',
      'image',
      { width: 1024, height: 768, variants: 3 },
      { size: '1024x768', n: 3 },
    ],
    ['images of fal', 'image', { image_size: { width: 512, height: 768 } }, { size: '512x768' }],
    [
      'an upscale',
      'upscale',
      { image: DATA, scale: 4 },
      { input_mode: 'image', input_images: 1, factor: '4x' },
    ],
    [
      'files of a form',
      'image_edit',
      { image: [{ bytes: Buffer.from('x') }], n: '2' },
      { n: 2, input_mode: 'image', input_images: 1 },
    ],
    ['music in milliseconds', 'music', { music_length_ms: 90_500 }, { duration: 90.5 }],
  ];

  it.each(cases)('is read from %s', (_, type, body, asked) => {
    expect(readAsked(type, body as Record<string, unknown>)).toEqual(asked);
  });

  it('counts the text that is sold by its length in code points', () => {
    const asked = readAsked('tts', { input: 'añ𝒳👩‍🚀', voice: 'hum' });
    expect(asked.characters).toBe(Array.from('añ𝒳👩‍🚀').length);
    for (const text of ['', 'plain', '\ud83d', 'x\ude80\ud83d', '🚀🚀']) {
      expect(codePoints(text)).toBe(Array.from(text).length);
    }
  });

  it('counts the tokens of a prompt, never low', () => {
    const { input_tokens: tokens } = readAsked('image', { prompt: 'a red fox in deep snow' });
    expect(tokens).toBeGreaterThanOrEqual(6);
    expect(tokens).toBeLessThan(60);
  });

  it.each([
    ['two lengths', 'video', { duration: 5, seconds: '12' }, 'seconds'],
    [
      'two lengths, one of them inside',
      'video',
      { duration: 5, input: { duration: 12 } },
      'duration',
    ],
    ['two lengths, in two spellings', 'video', { duration: 5, Duration: 50 }, 'Duration'],
    ['frames in another spelling', 'video', { numFrames: 900 }, 'numFrames'],
    ['two numbers', 'image', { n: 1, num_images: 4 }, 'num_images'],
    [
      'sound, in two words',
      'video',
      { generate_audio: false, generateAudio: 'Yes' },
      'generateAudio',
    ],
    ['sound as a number', 'video', { sound: 1, audio: false }, 'sound'],
    [
      'a clip beside a mode without one',
      'video',
      { input_mode: 'text', video_url: URL },
      'input_mode',
    ],
    ['a mode that is none', 'video', { input_mode: 'smell' }, 'input_mode'],
    ['a size and other pixels', 'image', { size: '8x8', width: 4_096, height: 4_096 }, 'width'],
    ['a width alone', 'image', { width: 4_096 }, 'height'],
    ['half an image', 'image', { n: 0.5 }, 'n'],
    ['no length', 'video', { duration: 'long' }, 'duration'],
    ['frames, which no price knows', 'video', { num_frames: 900 }, 'num_frames'],
    ['frames, inside', 'video', { parameters: { frames: 900 } }, 'frames'],
    ['lengths of shots', 'video', { duration: 3, multi_prompt: [{ duration: '15' }] }, 'duration'],
    [
      'lengths of parts',
      'music',
      { duration: 3, input: { plan: { sections: [{ durationMs: 120_000 }] } } },
      'durationMs',
    ],
    ['lengths deep inside', 'video', { input: { parameters: { seconds: 12 } } }, 'seconds'],
    ['a song by its parts', 'music', { composition_plan: { chunks: [] } }, 'composition_plan'],
    ['a dearer way', 'image', { rendering_speed: 'QUALITY' }, 'rendering_speed'],
    ['a dearer service', 'video', { service_tier: 'priority' }, 'service_tier'],
    ['pictures on the way', 'image', { partial_images: 3 }, 'partial_images'],
    [
      'more images by another name',
      'image',
      { sequential_image_generation: 'auto' },
      'sequential_image_generation',
    ],
  ] as [string, MediaType, Record<string, unknown>, string][])(
    'is refused by name: %s',
    (_, type, body, field) => {
      expect(() => readAsked(type, body)).toThrow(expect.objectContaining({ details: { field } }));
    },
  );

  it('lets through what only has such a name', () => {
    const asked = readAsked('video', {
      duration: 6,
      metadata: { duration: 99 },
      parameters: { duration: 6, camera: { zoom: 2, duration: null } },
      rendering_speed: 'TURBO',
    });
    expect(asked).toEqual({ duration: 6 });
  });

  it('counts links that are written as only their readers read them', () => {
    for (const url of [
      'ht\ntps://h/x.png',
      '\u0001https://h/x.png',
      'h\tttps://h/x.png',
      '//h/x',
    ]) {
      expect(readAsked('video', { image_url: url }), url).toMatchObject({
        input_mode: 'image',
        input_images: 1,
      });
    }
  });
});
