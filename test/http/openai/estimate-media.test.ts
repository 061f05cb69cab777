import { describe, expect, it } from 'vitest';
import { formatUsd, parseUsd } from '../../../src/money.ts';
import { startApp, textOf } from '../../support/app.ts';
import { load } from '../../support/config.ts';
import { fileOf } from '../../support/media-model.ts';

const PATH = '/v1/credits/estimate';

const SEEDANCE = {
  id: 'seedance-2-fast',
  type: 'video',
  params: {
    durations: [4, 6, 8, 10],
    resolutions: ['480p', '720p'],
    aspect_ratios: ['16:9', '9:16'],
    input_modes: ['text', 'image'],
  },
  price: { rules: [{ unit: 'video_token', per: 1_000_000, usd: '5.6' }] },
} as const;
const SONG = {
  id: 'song',
  type: 'music',
  params: { duration: { min: 10, max: 300 } },
  price: { rules: [{ unit: 'output_second', usd: '0.002' }] },
} as const;
const VOICE = {
  id: 'voice',
  type: 'tts',
  price: { rules: [{ unit: 'character', per: 1_000, usd: '0.015' }] },
} as const;
const PICTURE = {
  id: 'picture',
  type: 'image',
  params: { max_n: 4 },
  price: { rules: [{ unit: 'image', usd: '0.04' }] },
} as const;
const REPORTED = {
  id: 'reported',
  type: 'image',
  price: { from: 'upstream', markup: '1.2', max_usd: '0.5' },
} as const;

const start = () =>
  startApp({
    change: (config) => {
      config.models.push(...load(fileOf(SEEDANCE, SONG, VOICE, PICTURE, REPORTED)).models);
    },
  });

describe('POST /v1/credits/estimate of media', () => {
  it('takes the example that agents are shown', async () => {
    await using app = await start();
    const { status, json } = await app.post(PATH, {
      model: 'seedance-2-fast',
      modality: 'video',
      duration: 6,
      resolution: '720p',
      input_mode: 'text-to-video',
      max_credits: 250,
    });
    expect(status).toBe(200);
    // 1280 x 720 at 24 frames a second: ceil(921,600 x 145 / 1024) tokens.
    const nano = 130_500 * 5_600;
    const usd = formatUsd(parseUsd((nano / 1e9).toFixed(9)));
    expect(json).toMatchObject({
      object: 'credits.estimate',
      model: 'seedance-2-fast',
      modality: 'video',
      currency: 'USD',
      credits: { min: nano / 1e7, expected: nano / 1e7, max: nano / 1e7 },
      usd: { min: usd, expected: usd, max: usd },
      units: { video_token: 130_500 },
      rules: [
        { unit: 'video_token', quantity: 130_500, billed: 130_500, usd: '5.6', per: 1_000_000 },
      ],
      assumed: { aspect_ratio: '16:9' },
      within_max_credits: true,
      affordable: null,
    });
    const less = await app.post(PATH, { model: 'seedance-2-fast', duration: 6, max_credits: 73 });
    expect(less.json).toMatchObject({ within_max_credits: true, assumed: { resolution: '480p' } });
    const dear = { model: 'seedance-2-fast', resolution: '720p', duration: 6, max_credits: 73 };
    expect((await app.post(PATH, dear)).json['within_max_credits']).toBe(false);
  });

  it('says the least, the usual and the most of a length that the upstream chooses', async () => {
    await using app = await start();
    const { json } = await app.post(PATH, { model: 'song', prompt: 'la la' });
    expect(json).toMatchObject({
      usd: { min: '0.02', expected: '0.31', max: '0.60' },
      assumed: { duration: 'up to 300' },
    });
  });

  it('says what it takes of what is not there yet', async () => {
    await using app = await start();
    expect((await app.post(PATH, { model: 'voice', input: 'Hello.' })).json).toMatchObject({
      units: { character: 6 },
      usd: { max: '0.00009' },
    });
    expect((await app.post(PATH, { model: 'voice', characters: 1_000 })).json).toMatchObject({
      usd: { max: '0.015' },
      assumed: {},
    });
    expect((await app.post(PATH, { model: 'voice' })).json).toMatchObject({
      units: { character: 4_096 },
      assumed: { characters: 'up to 4096' },
    });
  });

  it('says at most what an upstream may say', async () => {
    await using app = await start();
    expect((await app.post(PATH, { model: 'reported', n: 3 })).json).toMatchObject({
      usd: { min: '0.00', expected: '0.50', max: '0.50' },
      units: {},
      rules: [],
    });
  });

  it('tells a caller the most that it can afford', async () => {
    await using app = await start();
    const { secret } = await app.key('0.1');
    const affordable = async (body: object) => {
      const answer = await app.post(PATH, body, { authorization: `Bearer ${secret}` });
      return answer.json['affordable'];
    };
    const about = { available_usd: '0.10', is_affordable: false };
    expect(await affordable({ model: 'picture', n: 4 })).toEqual({ ...about, max_n: 2 });
    expect(await affordable({ model: 'song' })).toEqual({ ...about, max_n: null, max_seconds: 50 });
    const video = {
      model: 'seedance-2-fast',
      resolution: '480p',
      aspect_ratio: '9:16',
      duration: 10,
    };
    expect(await affordable(video)).toEqual({ ...about, max_n: null, max_seconds: null });
    expect(await affordable({ model: 'picture' })).toMatchObject({ is_affordable: true, max_n: 2 });
  });

  it('names what is wrong', async () => {
    await using app = await start();
    const wrong: [object, string][] = [
      [{ model: 'picture', modality: 'video' }, 'modality'],
      [{ model: 'picture', n: 5 }, 'n'],
      [{ model: 'seedance-2-fast', duration: 5 }, 'duration'],
      [{ model: 'seedance-2-fast', resolution: '4k' }, 'resolution'],
      [{ model: 'seedance-2-fast', input_mode: 'video-to-video' }, 'input_mode'],
      [{ model: 'song', duration: 301 }, 'duration'],
    ];
    for (const [body, field] of wrong) {
      const { status, json } = await app.post(PATH, body);
      expect([status, textOf(json['error']?.['message'])]).toEqual([
        400,
        expect.stringContaining(`"${field}"`),
      ]);
    }
    for (const modality of ['image', 'music', 'audio', 'speech']) {
      const models = { image: 'picture', music: 'song', audio: 'song', speech: 'voice' } as const;
      const body = { model: models[modality as keyof typeof models], modality };
      expect((await app.post(PATH, body)).status).toBe(200);
    }
  });
});
