import { beforeAll, describe, expect, it } from 'vitest';
import { Catalogue } from '../../src/catalogue.ts';
import { readAsked } from '../../src/orders/asked.ts';
import { ceilingOfOrder, deliveredCost, orderOf } from '../../src/orders/order.ts';
import { priceOf } from '../../src/pricing/tokens.ts';
import type { Usage } from '../../src/providers/provider.ts';
import { load } from '../support/config.ts';
import { type Converted, convertedPrices, type Point } from '../support/venice-prices.ts';

const NO_USAGE: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
};

let converted: Converted;
let catalogue: Catalogue;

beforeAll(() => {
  converted = convertedPrices();
  const channels = [{ id: 'main', provider: 'venice', base_url: 'https://api.venice.ai/api/v1' }];
  const settings = { channels, models: converted.models };
  catalogue = new Catalogue(load(JSON.stringify(settings)).models);
});

function priced({ model, fields, usage }: Omit<Point, 'nano'>): number {
  const entry = catalogue.entry(model);
  if (entry.kind === 'tokens') return priceOf(entry.price, { ...NO_USAGE, ...usage });
  const order = orderOf(entry.model, readAsked(entry.model.type, fields ?? {}));
  const { amount } = ceilingOfOrder(entry, order);
  // What is held is what is charged, when all of it is delivered.
  expect(deliveredCost(entry, order, { units: order.units }).amount).toBe(amount);
  return amount;
}

describe('Venice’s prices', () => {
  it('are all expressible: each is what a request for it costs', () => {
    expect(catalogue.models().length).toBe(212 + 38);
    const wrong = converted.points.flatMap((point) => {
      const nano = priced(point);
      return nano === point.nano ? [] : [{ ...point, priced: nano }];
    });
    expect(wrong).toEqual([]);
    expect(converted.points.length).toBeGreaterThan(600);
  });

  /** Read off Venice's list by hand: the model, what is asked, and dollars. */
  const BY_HAND: [model: string, ask: object, usd: string][] = [
    // Tokens in, tokens out, of those in read from a cache or written to one.
    ['zai-org-glm-5-2', { in: 1_000_000 }, '1.4'],
    ['zai-org-glm-5-2', { in: 1_000, out: 500 }, '0.0036'],
    ['zai-org-glm-5-2', { in: 1_000, cached: 1_000 }, '0.00026'],
    ['deepseek-v4-pro-0813', { in: 1_000, cached: 900, out: 100 }, '0.0008085'],
    ['kimi-k3', { in: 7, out: 3 }, '0.0000825'],
    ['kimi-k3', { in: 1_000_000, cached: 1_000_000 }, '0.375'],
    ['llama-3.3-70b', { in: 128, out: 64 }, '0.0002688'],
    ['venice-uncensored-1-2', { in: 10, out: 10 }, '0.000011'],
    ['grok-4-6', { in: 200_000, out: 1_000 }, '0.4608'],
    ['grok-4-6', { in: 200_001, out: 1_000 }, '0.91960453'],
    ['grok-4-6', { in: 200_001, cached: 200_001 }, '0.22600113'],
    ['qwen-3-7-plus', { in: 256_000, written: 256_000 }, '0.16'],
    ['qwen-3-7-plus', { in: 256_001, written: 256_001 }, '0.480001875'],
    ['qwen-3-7-plus', { in: 256_001, out: 1_000 }, '0.3900015'],
    ['text-embedding-bge-m3', { in: 1_000 }, '0.00015'],
    ['text-embedding-3-large', { in: 1_000_000 }, '0.1625'],
    ['text-embedding-qwen3-8b', { in: 1 }, '0.000000013'],
    // Images.
    ['z-image-turbo', {}, '0.01'],
    ['z-image-turbo', { variants: 4 }, '0.04'],
    ['flux-2-max', {}, '0.09'],
    ['flux-2-max', { n: 3 }, '0.27'],
    ['wan-2-7-text-to-image', {}, '0.0375'],
    ['wan-2-7-pro-text-to-image', { n: 2 }, '0.1875'],
    ['gpt-image-2', { resolution: '1K', quality: 'high' }, '0.26'],
    ['gpt-image-2', { resolution: '1K' }, '0.27'],
    ['gpt-image-2', { resolution: '4K', quality: 'low' }, '0.05'],
    ['gpt-image-2', { resolution: '4K', quality: 'high', n: 2 }, '1.66'],
    ['nano-banana-pro', { resolution: '2K' }, '0.23'],
    ['nano-banana-pro', { resolution: '4k' }, '0.35'],
    ['grok-imagine-image-2-0', { resolution: '2K', quality: 'low' }, '0.07'],
    ['grok-imagine-image-2-0', { resolution: '2K' }, '0.1'],
    ['qwen-image-3', { resolution: '2K', n: 5 }, '0.2'],
    ['bria-bg-remover', {}, '0.03'],
    // Edits, and what further images to work on cost.
    ['firered-image-edit', { image: 'https://a.example/1.png' }, '0.04'],
    ['flux-2-max-edit', { images: urls(1) }, '0.12'],
    ['flux-2-max-edit', { images: urls(3) }, '0.189'],
    ['gpt-image-1-5-edit', { images: urls(2) }, '0.33806'],
    ['gpt-image-2-edit', { resolution: '2K', quality: 'medium', images: urls(3) }, '0.1584'],
    ['grok-imagine-edit', { resolution: '1K', images: urls(1) }, '0.0323'],
    ['grok-imagine-quality-edit', { resolution: '2K', images: urls(2) }, '0.113'],
    ['seedream-v5-pro-edit', { resolution: '2K', images: urls(2) }, '0.11345'],
    ['wan-2-7-pro-edit', { image_url: 'https://a.example/1.png' }, '0.094'],
    // Upscales.
    ['upscaler', { scale: 2 }, '0.02'],
    ['upscaler', { scale: 4 }, '0.08'],
    ['upscaler', { factor: '4x' }, '0.08'],
    // Speech, by the character as Unicode has it.
    ['tts-kokoro', { input: 'a'.repeat(1_000) }, '0.0035'],
    ['tts-kokoro', { input: '🙂'.repeat(10) }, '0.000035'],
    ['tts-minimax-speech-02-hd', { input: 'ü'.repeat(8) }, '0.001'],
    ['tts-gemini-3-1-flash', { input: 'a' }, '0.0001875'],
    ['elevenlabs-tts-v3', { prompt: 'a'.repeat(100) }, '0.0115'],
    // Sound to write down: an hour.
    ['elevenlabs/scribe-v2', {}, '0.6012'],
    ['nvidia/parakeet-tdt-0.6b-v3', {}, '0.36'],
    ['stt-xai-v1', {}, '0.113328'],
    // Songs and sounds.
    ['elevenlabs-music', { duration_seconds: 3 }, '0.69'],
    ['elevenlabs-music', { duration_seconds: 60 }, '0.69'],
    ['elevenlabs-music', { duration_seconds: '61' }, '1.38'],
    ['elevenlabs-music', { duration_seconds: 600 }, '6.9'],
    ['ace-step-15', { duration_seconds: 60 }, '0.03'],
    ['ace-step-15', { duration_seconds: 151 }, '0.07'],
    ['ace-step-15', { duration_seconds: 210 }, '0.08'],
    ['lyria-3-pro', { prompt: 'rain' }, '0.1'],
    ['minimax-music-v26', { prompt: 'rain', lyrics_prompt: 'la' }, '0.18'],
    ['stable-audio-25', {}, '0.19'],
    ['elevenlabs-sound-effects-v2', { duration_seconds: 10 }, '0.023'],
    ['mmaudio-v2-text-to-audio', { duration_seconds: 8 }, '0.00736'],
    ['sonilo-v1-1-sound-effects', { duration_seconds: 7 }, '0.01449'],
  ];

  it(`are exact to the nano-dollar: ${BY_HAND.length} of all types, by hand`, () => {
    expect(BY_HAND.length).toBeGreaterThanOrEqual(60);
    const table = BY_HAND.map(([model, ask, usd]) => {
      const {
        in: inputTokens = 0,
        out = 0,
        cached = 0,
        written = 0,
      } = ask as Record<string, number>;
      const counts = { cachedInputTokens: cached, cacheWriteTokens: written };
      const usage = { inputTokens, outputTokens: out, ...counts };
      const nano = priced({ model, fields: ask as Record<string, unknown>, usage });
      return [model, ask, usd, nano] as const;
    });
    const wrong = table.filter(([, , usd, nano]) => Math.round(Number(usd) * 1e9) !== nano);
    expect(wrong).toEqual([]);
  });
});

function urls(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `https://a.example/${n}.png`);
}
