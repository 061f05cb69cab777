import { describe, expect, it } from 'vitest';
import type { MediaEntry } from '../../src/catalogue.ts';
import { formatUsd } from '../../src/money.ts';
import type { Asked } from '../../src/orders/asked.ts';
import {
  ceilingOfOrder,
  deliveredCost,
  leastOfOrder,
  type Measured,
  orderOf,
} from '../../src/orders/order.ts';
import { mediaModel } from '../support/media-model.ts';

const most = (entry: MediaEntry, asked: Asked) =>
  formatUsd(ceilingOfOrder(entry, orderOf(entry.model, asked)).amount);

function delivered(entry: MediaEntry, asked: Asked, measured: Measured): string {
  return formatUsd(deliveredCost(entry, orderOf(entry.model, asked), measured).amount);
}

const MILLION = 1_000_000;
const CLIP = mediaModel(
  'video',
  [
    {
      unit: 'output_second',
      usd: '0.12',
      when: { resolution: '1080p', input_mode: ['text', 'image'], audio: true },
    },
    { unit: 'output_second', usd: '0.10', when: { resolution: '1080p' } },
    { unit: 'output_second', usd: '0.05', when: { resolution: '720p' } },
    { unit: 'input_second', usd: '0.03', when: { input_mode: 'video' } },
  ],
  { durations: [5, 10], resolutions: ['720p', '1080p'], audio: true, max_input_seconds: 30 },
);
const SEED = mediaModel('video', [{ unit: 'video_token', per: MILLION, usd: '7' }], {
  durations: [5, 10],
  resolutions: ['480p', '720p', '1080p'],
  aspect_ratios: ['16:9', '9:16', '1:1'],
  pixels: { '480p 16:9': [864, 480] },
  input_modes: ['text', 'video'],
  max_input_seconds: 15,
});
const SONG = mediaModel('music', [
  { unit: 'generation', usd: '0.69', when: { duration: { gte: 3, lte: 60 } } },
  { unit: 'generation', usd: '1.38', when: { duration: { gt: 60, lte: 120 } } },
]);
const PICTURE = mediaModel(
  'image',
  [
    { unit: 'image', usd: '0.02', when: { resolution: '1K', quality: 'low' } },
    { unit: 'image', usd: '0.26', when: { resolution: '1K', quality: 'high' } },
    { unit: 'image', usd: '0.50', when: { resolution: '2K' } },
    { unit: 'input_image', usd: '0.0092', included: 1 },
  ],
  { resolutions: ['1K', '2K'], qualities: ['low', 'high'], max_n: 4 },
);
const GPT_IMAGE = mediaModel(
  'image',
  [
    { unit: 'input_token', per: MILLION, usd: '10' },
    { unit: 'output_image_token', per: MILLION, usd: '40' },
  ],
  {
    sizes: ['1024x1024', '1536x1024'],
    qualities: ['low', 'high'],
    output_tokens: { low: 408, '1024x1024 high': 4_160, high: 6_240 },
  },
);

describe('the most that an order can come to', () => {
  const cases: [name: string, entry: MediaEntry, asked: Asked, usd: string][] = [
    ['seconds, at the first resolution', CLIP, { duration: 5 }, '0.25'],
    ['seconds with sound', CLIP, { duration: 10, resolution: '1080p' }, '1.20'],
    ['seconds without', CLIP, { duration: 10, resolution: '1080p', audio: false }, '1.00'],
    ['a clip worked on, up to its longest', CLIP, { input_mode: 'video' }, '1.15'],
    [
      'a clip worked on, of a known length',
      CLIP,
      { input_mode: 'video', input_seconds: 4 },
      '0.37',
    ],
    ['any length that the upstream likes', CLIP, { duration: 'auto' }, '0.50'],
    // 1280 x 720 at 24 frames for 5 s are 108,900 tokens.
    ['video tokens', SEED, { duration: 5, resolution: '720p' }, '0.7623'],
    ['video tokens upright', SEED, { resolution: '720p', aspect_ratio: '9:16' }, '0.7623'],
    ['video tokens of declared pixels', SEED, { resolution: '480p' }, '0.343035'],
    [
      'video tokens of what is read, too',
      SEED,
      { duration: 5, resolution: '720p', input_mode: 'video', input_seconds: 5 },
      '1.5183',
    ],
    ['a song of the first tier', SONG, { duration: 60 }, '0.69'],
    ['a song of the second', SONG, { duration: 60.5 }, '1.38'],
    ['a song of any length', SONG, {}, '1.38'],
    ['images of one quality', PICTURE, { n: 3, quality: 'HIGH' }, '0.78'],
    ['images that are larger', PICTURE, { resolution: '2k' }, '0.50'],
    [
      'images, one of which comes free',
      PICTURE,
      { input_mode: 'image', input_images: 3 },
      '0.0384',
    ],
    ['images by tokens', GPT_IMAGE, { quality: 'high', input_tokens: 100 }, '0.1674'],
    [
      'two wide ones',
      GPT_IMAGE,
      { n: 2, quality: 'high', size: '1536x1024', input_tokens: 100 },
      '0.5002',
    ],
    [
      'megapixels, each image rounded up',
      mediaModel('image', [{ unit: 'megapixel', usd: '0.025', step: 1 }], {
        sizes: ['1024x1024', '512x512'],
      }),
      { n: 2 },
      '0.10',
    ],
    [
      'characters',
      mediaModel('tts', [{ unit: 'character', per: 1_000, usd: '0.015' }]),
      { characters: 7 },
      '0.000105',
    ],
    [
      'a second at least',
      mediaModel('stt', [{ unit: 'input_second', usd: '0.000167', min: 1 }]),
      { input_seconds: 0.2 },
      '0.000167',
    ],
    [
      'minutes',
      mediaModel('stt', [{ unit: 'minute', usd: '0.006' }]),
      { input_seconds: 90 },
      '0.009',
    ],
    [
      'minutes as sixty seconds',
      mediaModel('music', [{ unit: 'output_second', per: 60, usd: '0.5' }], {
        duration: { min: 1, max: 300 },
      }),
      { duration: 90 },
      '0.75',
    ],
    [
      'whole minutes',
      mediaModel('music', [{ unit: 'minute', usd: '0.5', step: 1 }], {
        duration: { min: 1, max: 300 },
      }),
      { duration: 61 },
      '1.00',
    ],
    [
      'an upscale',
      mediaModel('upscale', [
        { unit: 'upscale', usd: '0.02', when: { factor: '2x' } },
        { unit: 'upscale', usd: '0.08', when: { factor: '4x' } },
      ]),
      { factor: '4X' },
      '0.08',
    ],
  ];

  it.each(cases)('%s', (_, entry, asked, usd) => expect(most(entry, asked)).toBe(usd));

  it('says what was left out, and what it was taken for', () => {
    expect(orderOf(CLIP.model, {}).assumed).toEqual({
      duration: 5,
      resolution: '720p',
      audio: true,
      input_mode: 'text',
    });
    expect(orderOf(CLIP.model, { duration: 'auto', audio: false }).assumed).not.toHaveProperty(
      'audio',
    );
    const chosen = mediaModel('video', [{ unit: 'output_second', usd: '1' }], {
      durations: [5, 10],
      audio: true,
      defaults: { duration: 10, audio: false },
    });
    expect(orderOf(chosen.model, {}).asked).toMatchObject({ duration: 10, audio: false });
  });

  it('is the dearest of any length, also where a longer one is cheaper', () => {
    const odd = mediaModel('music', [
      { unit: 'output_second', usd: '0.10', when: { duration: { gte: 10, lt: 60 } } },
      { unit: 'output_second', usd: '0.02', when: { duration: { gte: 60, lte: 100 } } },
    ]);
    const order = orderOf(odd.model, {});
    expect(formatUsd(ceilingOfOrder(odd, order).amount)).toBe('5.9999999');
    expect(formatUsd(leastOfOrder(odd, order).amount)).toBe('1.00');
  });

  it('is the most of an upstream whose word is the price', () => {
    const reported = mediaModel('image', [], {}, { from: 'upstream', markup: '1.2', max_usd: '5' });
    expect(most(reported, { n: 3 })).toBe('5.00');
  });

  it.each([
    ['a length that is not sold', CLIP, { duration: 7 }, 'duration', /5, 10 seconds/],
    ['a length out of range', SONG, { duration: 121 }, 'duration', /from 3 to 120/],
    ['a resolution that is not sold', CLIP, { resolution: '4k' }, 'resolution', /720p, 1080p/],
    ['more at once than are sold', PICTURE, { n: 5 }, 'n', /at most 4/],
    ['sound that is not offered', SEED, { input_mode: 'image' }, 'input_mode', /text, video/],
    [
      'a clip longer than is read',
      CLIP,
      { input_mode: 'video', input_seconds: 31 },
      'file',
      /30 seconds/,
    ],
    [
      'longer text than is spoken',
      mediaModel('tts', [{ unit: 'character', usd: '1' }]),
      { characters: 4_097 },
      'input',
      /4096 characters/,
    ],
    [
      'silence of what always sounds',
      mediaModel('video', [{ unit: 'generation', usd: '1' }], { audio: 'always' }),
      { audio: false },
      'audio',
      /always/,
    ],
  ] as [string, MediaEntry, Asked, string, RegExp][])(
    'is nothing for %s',
    (_, { model }, asked, field, message) => {
      expect(() => orderOf(model, asked)).toThrow(
        expect.objectContaining({
          code: 'invalid_request',
          details: { field },
          message: expect.stringMatching(message),
        }),
      );
    },
  );
});

describe('what was delivered', () => {
  it.each([
    ['costs what was ordered where nothing is said', CLIP, { duration: 10 }, {}, '0.50'],
    [
      'costs what was ordered, a few frames more or less',
      CLIP,
      { duration: 10 },
      { output_second: 10.042 },
      '0.50',
    ],
    ['costs less where it is shorter', CLIP, { duration: 10 }, { output_second: 8 }, '0.40'],
    [
      'costs its length where the upstream chose it',
      CLIP,
      { duration: 'auto' },
      { output_second: 5 },
      '0.25',
    ],
    ['is in the tier of its length', SONG, {}, { output_second: 30 }, '0.69'],
    ['costs the longest where the length is not said', SONG, {}, {}, '1.38'],
    ['costs the images that there are', PICTURE, { n: 4, quality: 'high' }, { image: 3 }, '0.78'],
    ['is a gift beyond what was ordered', PICTURE, { n: 1, quality: 'high' }, { image: 4 }, '0.26'],
    [
      'costs the tokens that were used',
      GPT_IMAGE,
      { quality: 'high', input_tokens: 100 },
      { output_image_token: 4_000, input_token: 20 },
      '0.1602',
    ],
    [
      'costs its part of the most tokens where none are said',
      GPT_IMAGE,
      { n: 2, quality: 'low', input_tokens: 100 },
      { image: 1 },
      '0.01732',
    ],
    [
      'costs the video tokens that were used',
      SEED,
      { duration: 5, resolution: '720p' },
      { video_token: 100_000 },
      '0.70',
    ],
    [
      'costs what was ordered where the count is absurd',
      SEED,
      { duration: 5, resolution: '720p' },
      { video_token: -5, output_second: Number.NaN },
      '0.7623',
    ],
  ] as [string, MediaEntry, Asked, Record<string, number>, string][])(
    '%s',
    (_, entry, asked, units, usd) => expect(delivered(entry, asked, { units })).toBe(usd),
  );

  const reported = (rules: object[]) =>
    mediaModel('image', rules, {}, { from: 'upstream', markup: '1.2', max_usd: '5' });

  it('costs what the upstream says, times the markup', () => {
    const entry = reported([]);
    const cost = (upstreamCostUsd: string) => delivered(entry, {}, { units: {}, upstreamCostUsd });
    expect(cost('0.04')).toBe('0.048');
    expect(cost('0.0000000001')).toBe('0.000000001');
    expect(cost('0.12345678901234567890')).toBe('0.148148147');
  });

  it('costs its share of the most, or what rules say, where the upstream says nothing', () => {
    expect(delivered(reported([]), { n: 4 }, { units: { image: 1 } })).toBe('1.25');
    expect(delivered(reported([]), {}, { units: {}, upstreamCostUsd: 'NaN' })).toBe('5.00');
    const ruled = reported([{ unit: 'image', usd: '2' }]);
    expect(delivered(ruled, { n: 2 }, { units: {} })).toBe('4.00');
    expect(delivered(ruled, { n: 4 }, { units: {} })).toBe('5.00');
  });
});
