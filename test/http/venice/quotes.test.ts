import { describe, expect, it } from 'vitest';
import { startApp } from '../../support/app.ts';
import { load } from '../../support/config.ts';
import { fileOf } from '../../support/media-model.ts';
import { documentedApi } from '../../support/openapi.ts';

const venice = documentedApi('venice/quotes.yaml');

const CLIP = {
  id: 'clip',
  type: 'video',
  params: { durations: [5, 10], resolutions: ['720p', '1080p'], audio: true },
  price: {
    rules: [
      { unit: 'output_second', usd: '0.12', when: { audio: true } },
      { unit: 'output_second', usd: '0.10' },
      { unit: 'input_second', usd: '0.03' },
    ],
  },
} as const;
const SONG = {
  id: 'song',
  type: 'music',
  price: {
    rules: [
      { unit: 'generation', usd: '0.75', when: { duration: { gte: 10, lte: 60 } } },
      { unit: 'generation', usd: '1.5', when: { duration: { gt: 60, lte: 300 } } },
    ],
  },
} as const;
const VOICE = {
  id: 'voice',
  type: 'tts',
  price: { rules: [{ unit: 'character', per: 1_000, usd: '0.015' }] },
} as const;

const start = () =>
  startApp({
    change: (config) => {
      config.models.push(...load(fileOf(CLIP, SONG, VOICE)).models);
    },
  });

describe('Venice’s quotes', () => {
  it.each([
    ['video', { model: 'clip', duration: '5s' }, 0.6],
    ['video', { model: 'clip', duration: '10s', resolution: '1080p', audio: false }, 1],
    ['video', { model: 'clip', duration: 'auto', aspect_ratio: '16:9', upscale_factor: 1 }, 1.2],
    [
      'video',
      {
        model: 'clip',
        duration: '5s',
        video_url: 'https://files.example/a.mp4',
        reference_video_total_duration: 4,
      },
      0.72,
    ],
    ['audio', { model: 'song', duration_seconds: 60 }, 0.75],
    ['audio', { model: 'song', duration_seconds: '61' }, 1.5],
    ['audio', { model: 'song' }, 1.5],
    ['audio', { model: 'voice', character_count: 100 }, 0.0015],
  ])('say the most, in dollars: %s %o', async (kind, body, quote) => {
    await using app = await start();
    expect(venice.allowsBody('post', `/${kind}/quote`, body)).toBe(true);
    const answer = await app.post(`/api/v1/${kind}/quote`, body);
    expect([answer.status, answer.json]).toEqual([200, { quote }]);
    venice.expectAnswer('post', `/${kind}/quote`, 200, answer.json);
  });

  it('name what is wrong, in Venice’s shape', async () => {
    await using app = await start();
    const wrong: [string, object, number, RegExp][] = [
      ['video', {}, 400, /model/],
      ['video', { model: 'song', duration: '5s' }, 400, /video/],
      ['video', { model: 'clip', duration: '7s' }, 400, /duration/],
      ['video', { model: 'nope', duration: '5s' }, 404, /nope/],
      ['audio', { model: 'song', duration: 5 }, 400, /duration/],
      ['audio', { model: 'clip' }, 400, /music or sound or tts/],
      ['audio', { model: 'song', duration_seconds: 9 }, 400, /from 10 to 300/],
    ];
    for (const [kind, body, status, said] of wrong) {
      const answer = await app.post(`/api/v1/${kind}/quote`, body);
      expect([answer.status, answer.json['error']]).toEqual([status, expect.stringMatching(said)]);
      if (status === 400) venice.expectAnswer('post', `/${kind}/quote`, 400, answer.json);
    }
  });
});
