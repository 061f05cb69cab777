import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Catalogue } from '../../../src/catalogue.ts';
import { priceOf } from '../../../src/pricing/tokens.ts';
import type { Usage } from '../../../src/providers/provider.ts';
import { type Json, listOf, startApp, type TestApp, textOf } from '../../support/app.ts';
import { load } from '../../support/config.ts';
import { nano } from '../../support/billing.ts';
import { documentedApi } from '../../support/openapi.ts';
import { UPSTREAM_KEYS } from '../../support/upstream-keys.ts';

const venice = documentedApi('venice/models.yaml');
const TYPES = ['asr', 'embedding', 'image', 'music', 'text', 'tts', 'upscale', 'inpaint', 'video'];
const MILLION = 1_000_000;
const NO_USAGE: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
};

let shop: TestApp;
let catalogue: Catalogue;

beforeAll(async () => {
  // Everything that ships, with a margin that no price comes out even with.
  const { models } = load(null, UPSTREAM_KEYS);
  const dearer = models.map((model) => ({ ...model, price: { ...model.price, markup: '1.1' } }));
  catalogue = new Catalogue(dearer as typeof models);
  shop = await startApp({
    change: (config) => {
      config.models = dearer as typeof models;
    },
  });
});

afterAll(() => shop.stop());

async function listed(type: string): Promise<Json[]> {
  const { status, json } = await shop.get(`/api/v1/models?type=${type}`);
  expect([type, status]).toEqual([type, 200]);
  return listOf(json['data']);
}

/** The most that such a request costs, by the estimate. */
async function most(model: Json, asked: object): Promise<number> {
  const { status, json, text } = await shop.post('/v1/credits/estimate', {
    model: model['id'],
    ...asked,
  });
  expect([textOf(model['id']), status, text]).toEqual([textOf(model['id']), 200, text]);
  return nano(json['usd']!['max']);
}

/** What the catalogue charges for such a usage. */
function charged(model: Json, usage: Partial<Usage>): number {
  const entry = catalogue.tokenEntry(textOf(model['id']));
  return priceOf(entry.price, { ...NO_USAGE, ...usage });
}

/** What a figure of the list comes to, for so many. */
const times = (figure: Json | undefined, count = 1) =>
  Math.round(Number(figure!['usd']) * count * 1e9);

describe('the list of models', () => {
  it('is as Venice’s document has it, for every type', async () => {
    for (const type of [...TYPES, 'all', 'code']) {
      const { json } = await shop.get(`/api/v1/models?type=${type}`);
      const models = listOf(json['data']);
      expect([type, models.length > 0]).toEqual([type, true]);
      // Theirs says that all of them are Venice's own.
      const owned = models.map((model) => ({ ...model, owned_by: 'venice.ai' }));
      venice.expectAnswer('get', '/models', 200, { ...json, data: owned });
      expect(json['type']).toBe(type);
      if (TYPES.includes(type))
        expect(new Set(models.map((model) => model['type']))).toEqual(new Set([type]));
    }
    expect((await listed('all')).length).toBeGreaterThan(200);
    expect((await shop.get('/api/v1/models')).json['type']).toBe('all');
  });

  it('shows prices, but those of videos, that are what is charged: tokens', async () => {
    for (const model of [...(await listed('text')), ...(await listed('embedding'))]) {
      const { pricing } = model['model_spec']!;
      const { input, output, cache_input: cached = input, cache_write: written = input } = pricing!;
      const charges = [
        [charged(model, { inputTokens: 10_000 }), times(input, 0.01)],
        [charged(model, { inputTokens: 10_000, cachedInputTokens: 10_000 }), times(cached, 0.01)],
        [charged(model, { inputTokens: 10_000, cacheWriteTokens: 10_000 }), times(written, 0.01)],
        [charged(model, { outputTokens: 10_000 }), output ? times(output, 0.01) : 0],
      ];
      for (const [price, shown] of charges)
        expect([model['id'], price]).toEqual([model['id'], shown]);
    }
  });

  it('shows what a long input costs from where on', async () => {
    const models = await listed('text');
    const long = models.filter((model) => model['model_spec']!['pricing']!['extended']);
    expect(long.length).toBeGreaterThan(10);
    for (const model of long) {
      const { pricing } = model['model_spec']!;
      const { context_token_threshold: threshold, input, output } = pricing!['extended']!;
      const tokens = Number(threshold);
      const price = charged(model, { inputTokens: tokens, outputTokens: 10_000 });
      const shown = times(input, tokens / MILLION) + times(output, 0.01);
      expect([model['id'], price]).toEqual([model['id'], shown]);
      const before = charged(model, { inputTokens: tokens - 1, outputTokens: 10_000 });
      expect([model['id'], before < price * 0.9]).toEqual([model['id'], true]);
    }
  });

  it('shows prices that are what is charged: images, by resolution and quality', async () => {
    const models = [...(await listed('image')), ...(await listed('inpaint'))];
    for (const model of models) {
      const { pricing, constraints } = model['model_spec']!;
      const name = model['type'] === ('inpaint' as unknown as Json) ? 'inpaint' : 'generation';
      const points: [object, Json | undefined][] = [[{}, pricing![name]]];
      for (const [resolution, figure] of Object.entries(pricing!['resolutions'] ?? {})) {
        points.push([fieldOf(resolution), figure]);
      }
      for (const [resolution, qualities] of Object.entries(pricing!['quality'] ?? {})) {
        for (const [quality, figure] of Object.entries(qualities))
          points.push([{ ...fieldOf(resolution), quality }, figure]);
      }
      for (const [asked, figure] of points) {
        const price = await most(model, asked);
        expect([model['id'], asked, price]).toEqual([model['id'], asked, times(figure)]);
      }
      expect(constraints ?? {}).toBeTypeOf('object');
    }
  });

  it('shows what more images to work on cost', async () => {
    const models = await listed('inpaint');
    const [model] = models.filter(({ id }) => textOf(id) === 'gpt-image-2-edit');
    const { included, additional } = model!['model_spec']!['pricing']!['inputImages']!;
    expect(included).toBe(1);
    const image = 'https://example.com/a.png';
    const prices = [];
    for (const count of [1, 2, 3]) {
      prices.push(await most(model!, { images: Array.from({ length: count }, () => image) }));
    }
    expect(prices[1]! - prices[0]!).toBe(times(additional));
    expect(prices[2]! - prices[0]!).toBe(times(additional, 2));
  });

  it('shows prices that are what is charged: upscales, speech, songs and sounds', async () => {
    for (const model of await listed('upscale')) {
      const { upscale } = model['model_spec']!['pricing']!;
      for (const factor of ['2x', '4x'])
        expect(await most(model, { factor })).toBe(times(upscale![factor]));
    }
    for (const model of await listed('tts')) {
      const { pricing } = model['model_spec']!;
      const price = await most(model, { input: 'a'.repeat(1_000) });
      expect([model['id'], price]).toEqual([model['id'], times(pricing!['input'], 1e-3)]);
    }
    for (const model of await listed('music')) {
      const { pricing, max_duration: longest } = model['model_spec']!;
      if (pricing!['durations']) {
        for (const tier of Object.values(pricing!['durations'])) {
          for (const end of ['min_seconds', 'max_seconds'] as const)
            expect(await most(model, { duration: tier[end] })).toBe(times(tier));
        }
      } else if (pricing!['per_second']) {
        const price = await most(model, { duration: longest });
        expect(price).toBe(times(pricing!['per_second'], Number(longest)));
      } else expect(await most(model, {})).toBe(times(pricing!['generation']));
    }
  });

  it('shows what a second of sound to write down costs', async () => {
    const priced = (await listed('asr')).filter((model) => model['model_spec']!['pricing']);
    expect(priced.length).toBeGreaterThan(5);
    for (const model of priced) {
      const figure = model['model_spec']!['pricing']!['per_audio_second'];
      // An estimate without a recording is for the longest.
      const { json } = await shop.post('/v1/credits/estimate', { model: model['id'] });
      const seconds = Number(json['units']!['input_second']);
      const shown = times(figure, seconds);
      expect([model['id'], nano(json['usd']!['max']) - shown <= 1]).toEqual([model['id'], true]);
    }
  });

  it('says what a video may be', async () => {
    const models = await listed('video');
    const [seedance] = models.filter(({ id }) => textOf(id) === 'seedance-2-fast');
    const { constraints, pricing } = seedance!['model_spec']!;
    expect(pricing).toBeUndefined();
    expect(constraints).toMatchObject({
      durations: expect.arrayContaining(['4s', '15s']),
      resolutions: ['720p', '480p'],
      model_type: 'text-to-video',
      audio: true,
      audio_configurable: true,
    });
  });
});

function fieldOf(resolution: string): object {
  return /^[0-9]+x[0-9]+$/.test(resolution) ? { size: resolution } : { resolution };
}

describe('roles and other names', () => {
  it('are maps to models of the type, as Venice’s document has them', async () => {
    for (const path of ['/models/traits', '/models/compatibility_mapping']) {
      for (const type of TYPES) {
        const { status, json } = await shop.get(`/api/v1${path}?type=${type}`);
        expect(status).toBe(200);
        venice.expectAnswer('get', path, 200, json);
        const ids = (await listed(type)).map(({ id }) => textOf(id));
        for (const id of Object.values(json['data']!)) expect(ids).toContain(id);
      }
      expect((await shop.get(`/api/v1${path}`)).json['type']).toBe('text');
      expect((await shop.get(`/api/v1${path}?type=all`)).status).toBe(400);
    }
    const { data } = (await shop.get('/api/v1/models/traits?type=text')).json;
    expect(data).toMatchObject({ default: 'gpt-5.6-terra', default_code: 'gpt-5.6-sol' });
  });

  it('are what models are asked for by', async () => {
    const { data } = (await shop.get('/api/v1/models/compatibility_mapping?type=text')).json;
    expect(data).toMatchObject({ 'claude-haiku-4-5-20251001': 'claude-haiku-4-5' });
    for (const [name, id] of Object.entries(data!)) {
      expect((await shop.get(`/v1/models/${name}`)).json['id']).toBe(id);
      const { json } = await shop.post('/v1/credits/estimate', { model: name });
      expect(json['model']).toBe(id);
    }
  });

  it('are taken by a chat, which goes on under the upstream’s own name', async () => {
    await using small = await startApp({
      change: ({ models }) => {
        models[0]!.aliases.push('gpt-of-old');
        models[0]!.routes[0]!.model = 'the-real-one';
      },
    });
    const { secret } = await small.key();
    const answer = await small.chat({ authorization: `Bearer ${secret}` }, { model: 'gpt-of-old' });
    expect(answer.status).toBe(200);
    expect(small.upstream.requests[0]!.json['model']).toBe('the-real-one');
    const entries = await small.app.store.ledger.read.selectFrom('entries').selectAll().execute();
    expect(entries.find(({ kind }) => kind === 'CHARGE')?.model).toBe('demo-chat');
    await small.check();
  });
});

describe('/v1/models', () => {
  it('says of every model what may be asked and what it costs, and nothing of what the operator pays', async () => {
    const { json, text } = await shop.get('/v1/models');
    const models = listOf(json['data']);
    expect(models).toHaveLength((await listed('all')).length);
    for (const secret of ['"cost"', '"routes"', '"channel"', '"source"', 'litellm']) {
      expect([secret, text.includes(secret)]).toEqual([secret, false]);
    }
    const { json: video } = await shop.get('/v1/models/seedance-2.0-fast');
    expect(video).toMatchObject({
      id: 'seedance-2-fast',
      type: 'video',
      aliases: ['seedance-2.0-fast'],
      params: {
        duration: { min: 4, max: 15 },
        resolutions: ['720p', '480p'],
        input_modes: ['text'],
        audio: true,
        defaults: { duration: 5 },
      },
      pricing: {
        rules: [{ unit: 'video_token', per: MILLION, usd: '11.2' }],
        markup: '1.1',
      },
    });
    const { json: chat } = await shop.get('/v1/models/gpt-5.4');
    expect(chat).toMatchObject({
      type: 'text',
      context_window: 1_050_000,
      capabilities: expect.arrayContaining(['tools', 'vision']),
    });
  });
});
