/** A sandbox that sells images over stubs of Venice and OpenAI, a cent each. */
import type { Config, MediaModel } from '../../src/config/config.ts';
import { type Answer, startApp, type TestApp } from './app.ts';
import { load } from './config.ts';
import { png } from './media.ts';
import { type DescribedModel, fileOf } from './media-model.ts';
import { type MediaUpstream, type Recorded, startMediaUpstream } from './media-upstream.ts';
import { documentedApi } from './openapi.ts';

export const venice = documentedApi('venice/media.yaml');
const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
export const PNG = png();
export const BASE64 = PNG.toString('base64');
const CENT = 10_000_000;

const price = (unit: string) => ({ rules: [{ unit, usd: '0.01' }] });
const VENICE: DescribedModel[] = [
  {
    id: 'boats',
    type: 'image',
    params: { max_n: 4, styles: ['Anime', 'Noir'] },
    price: price('image'),
  },
  { id: 'larger', type: 'upscale', params: { factors: ['2x', '4x'] }, price: price('upscale') },
  {
    id: 'brush',
    type: 'image_edit',
    params: { max_input_images: 3, aspect_ratios: ['1:1', '16:9'], resolutions: ['1K', '2K'] },
    price: price('image'),
  },
  { id: 'scissors', type: 'background_remove', price: price('image') },
];
const OPENAI: DescribedModel[] = [
  {
    id: 'gpt-image-9',
    type: 'image',
    params: { sizes: ['1024x1024', '1536x1024'], qualities: ['low', 'high'] },
    price: price('image'),
  },
];

export interface Shop {
  app: TestApp;
  upstream: MediaUpstream;
  secret: string;
  /** What is left, in cents. */
  cents(): Promise<number>;
}

export async function openShop(
  change: (config: Config) => void = () => {},
): Promise<Shop & AsyncDisposable> {
  const upstream = await startMediaUpstream();
  upstream.otherwise(answer);
  const app = await startApp({
    demoUrl: upstream.url,
    change: (config) => {
      const [demo] = config.channels;
      config.models = config.models.filter(({ type }) => type === 'text');
      for (const [provider, models] of [
        ['venice', VENICE],
        ['openai', OPENAI],
      ] as const) {
        config.channels.push({ ...demo!, id: provider, provider, apiKey: 'up-key-0123456789' });
        const routes = [{ channel: provider, model: 'up' }];
        const read = load(fileOf(...models)).models as MediaModel[];
        config.models.push(...read.map((model) => ({ ...model, routes })));
      }
      change(config);
    },
  });
  const { secret, accountId } = await app.key('1');
  return {
    app,
    upstream,
    secret,
    cents: async () => (await app.app.store.accounts.balance(accountId)).posted / CENT,
    [Symbol.asyncDispose]: async () => {
      await app[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

/** As Venice and OpenAI answer. */
function answer({ path, json }: Recorded) {
  if (path === '/images/generations') return { json: { data: [{ b64_json: BASE64 }] } };
  if (path !== '/image/generate') return { headers: { 'content-type': 'image/png' }, bytes: PNG };
  const count = typeof json['variants'] === 'number' ? json['variants'] : 1;
  return { json: { id: 'x', images: Array.from({ length: count }, () => BASE64), timing: {} } };
}

export function post(
  { app, secret }: Shop,
  path: string,
  body: object,
  headers = {},
): Promise<Answer> {
  return app.post(`/api/v1${path}`, body, { ...bearer(secret), ...headers });
}

/** The bytes of the answer. */
export async function raw({ app, secret }: Shop, path: string, body: object | FormData) {
  const isForm = body instanceof FormData;
  const response = await fetch(`${app.url}/api/v1${path}`, {
    method: 'POST',
    headers: { ...bearer(secret), ...(!isForm && { 'content-type': 'application/json' }) },
    body: isForm ? body : JSON.stringify(body),
  });
  const bytes = Buffer.from(await response.clone().arrayBuffer());
  return { status: response.status, headers: response.headers, bytes };
}
