/** A sandbox that sells a voice and ears over the scripted upstream, at prices that can be read off. */
import type { Config, MediaModel } from '../../src/config/config.ts';
import { type AppOptions, startApp, type TestApp } from './app.ts';
import { load } from './config.ts';
import { type DescribedModel, fileOf } from './media-model.ts';
import type { Behaviour } from './upstream.ts';

/** 15 nano-dollars a character, 100,000 a second. */
export const CHARACTER = 15_000;
export const SECOND = 100_000;

const PRICES = {
  voice: { rules: [{ unit: 'character', per: 1_000_000, usd: '15' }] },
  ears: { rules: [{ unit: 'input_second', usd: '0.0001' }] },
  tokens: {
    rules: [
      { unit: 'input_token', per: 1_000_000, usd: '6' },
      { unit: 'output_token', per: 1_000_000, usd: '10' },
    ],
  },
};

export const AUDIO_MODELS: DescribedModel[] = [
  { id: 'voice', type: 'tts', params: { max_characters: 100 }, price: PRICES.voice },
  { id: 'ears', type: 'stt', params: { max_input_seconds: 600 }, price: PRICES.ears },
  {
    id: 'token-ears',
    type: 'stt',
    params: { max_input_seconds: 600, tokens_per_second: { input: 25, output: 12 } },
    price: PRICES.tokens,
  },
];

export interface AudioAppOptions extends AppOptions {
  /** Of the channels that serve the models, best first; one of OpenAI's by default. */
  providers?: string[];
}

export function startAudioApp(options: AudioAppOptions = {}): Promise<TestApp> {
  const { providers = ['openai'], ...others } = options;
  return startApp({
    ...others,
    change: (config) => {
      sellSound(config, providers);
      options.change?.(config);
    },
  });
}

export function sellSound(config: Config, providers: string[], more: DescribedModel[] = []): void {
  const [demo] = config.channels;
  for (const [n, provider] of providers.entries()) {
    config.channels.push({
      ...demo!,
      id: `sound-${n}`,
      provider,
      priority: -n,
      apiKey: 'up-key-0123456789',
    });
  }
  const routes = providers.map((_provider, n) => ({ channel: `sound-${n}`, model: `up-${n}` }));
  const { models } = load(fileOf(...AUDIO_MODELS, ...more));
  config.models.push(...models.map((model) => ({ ...(model as MediaModel), routes })));
}

/** Sound in so many pieces, then the end, or a break. */
export function sound(
  pieces: (string | Buffer)[] = ['some ', 'sound'],
  { type = 'audio/mpeg', ending = 'end' as 'end' | 'cut' | 'hang', headers = {} } = {},
): Behaviour {
  return async (response, request) => {
    response.writeHead(200, { 'content-type': type, ...headers });
    response.flushHeaders();
    for (const piece of pieces) {
      await new Promise<void>((resolve) => response.write(piece, () => setImmediate(resolve)));
    }
    if (ending === 'end') response.end();
    else if (ending === 'cut') response.destroy();
    else await request.closed;
  };
}

export function form(
  fields: Record<string, string>,
  file: Buffer | null,
  filename = 'a.wav',
): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  if (file) data.append('file', new Blob([new Uint8Array(file)], { type: 'audio/wav' }), filename);
  return data;
}
