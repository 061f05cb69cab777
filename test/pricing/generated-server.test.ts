/** Hundreds of generated requests of every type through the whole server: none costs more than it held, or was told that it may cost. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  Catalogue,
  type CatalogueEntry,
  type MediaEntry,
  type TokenEntry,
} from '../../src/catalogue.ts';
import { EMBEDDINGS, MESSAGES, CHAT, RESPONSES } from '../../src/chat/kinds.ts';
import { planRequest } from '../../src/chat/plan.ts';
import { type Config, MEDIA_TYPES } from '../../src/config/config.ts';
import type { TaskHttp } from '../../src/config/task-http.ts';
import { parseUsd } from '../../src/money.ts';
import { estimateOrder } from '../../src/orders/estimate.ts';
import { UNITS_OF } from '../../src/orders/units.ts';
import type { Usage } from '../../src/providers/provider.ts';
import { type Answer, startApp, type TestApp, textOf } from '../support/app.ts';
import { load } from '../support/config.ts';
import { message, response } from '../support/dialects.ts';
import { askOf, fileWith, measuredOf, mediaModelOf, randomOf } from '../support/generated.ts';
import { type Dialect, requestOf, tokenModelOf, usageOf } from '../support/generated-tokens.ts';
import { mp4, png, wav } from '../support/media.ts';
import type { DescribedModel } from '../support/media-model.ts';
import {
  type Answer as Made,
  startMediaUpstream,
  type MediaUpstream,
} from '../support/media-upstream.ts';
import { wav as speech } from '../support/sound.ts';
import { wholeBody } from '../support/upstream.ts';

const MODELS = 110;
const REQUESTS_EACH = 3;
/** More than that no balance here covers. */
const MOST_USD = '3000';
const UNITS = [
  ...new Set(Object.values(UNITS_OF).flatMap(({ main, extra }) => [...main, ...extra])),
];

/** The answer to the submit is what was made, and what of it was counted. */
const STUDIO: TaskHttp = {
  types: [...MEDIA_TYPES],
  create: [{ path: '/jobs', body: { model: '{model}' }, is_result: true }],
  result: { base64: ['/files/*'] },
  measured: Object.fromEntries(UNITS.map((unit) => [unit, `/units/${unit}`])),
};

const UNLIMITED = { requestsPerMinute: 0, requestsPerDay: 0, tokensPerMinute: 0, tokensPerDay: 0 };
const KINDS = { chat: CHAT, responses: RESPONSES, messages: MESSAGES, embeddings: EMBEDDINGS };
const PATHS: Record<string, string> = {
  chat: '/v1/chat/completions',
  responses: '/v1/responses',
  messages: '/v1/messages',
  embeddings: '/v1/embeddings',
  tts: '/v1/audio/speech',
  stt: '/v1/audio/transcriptions',
  image: '/v1/images/generations',
  image_edit: '/v1/images/edits',
  video: '/v1/videos',
  music: '/v1/music/generations',
  sound: '/v1/music/generations',
  upscale: '/api/v1/image/upscale',
  background_remove: '/api/v1/image/background-remove',
};

interface Sample {
  what: string;
  path: string;
  /** What an estimate is asked with, and, but for forms, the body itself. */
  fields: Record<string, unknown>;
  seconds?: number;
  /** What its upstream is to answer. */
  made: Made;
}

const random = randomOf(7_777_777);
const described = Array.from({ length: MODELS }, (_, n) =>
  random.chance(0.4) ? tokenModelOf(random, `m${n}`) : mediaModelOf(random, `m${n}`),
) as DescribedModel[];
let upstream: MediaUpstream;
let app: TestApp;
let catalogue: Catalogue;
let headers: Record<string, string>;

beforeAll(async () => {
  upstream = await startMediaUpstream();
  catalogue = new Catalogue(modelsOf(described));
  app = await startApp({ demoUrl: upstream.url, change: sell });
  headers = { authorization: `Bearer ${(await app.key('900000')).secret}` };
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

/** Text over channels of both kinds, media over the studio. */
function sell(config: Config): void {
  const [demo] = config.channels;
  const channel = { ...demo!, apiKey: 'up-key-0123456789', responses: true };
  config.channels = [
    { ...channel, id: 'openai', provider: 'openai' },
    { ...channel, id: 'anthropic', provider: 'anthropic' },
    { ...channel, id: 'studio', provider: 'task-http', task: STUDIO },
  ];
  config.models = modelsOf(described);
  for (const tier of Object.values(config.limits.rates)) Object.assign(tier, UNLIMITED);
}

function modelsOf(list: DescribedModel[]): Config['models'] {
  return load(fileWith(...list)).models.map((model, n) => {
    const isSound = model.type === 'tts' || model.type === 'stt' || model.type === 'embedding';
    const text = n % 2 ? 'anthropic' : 'openai';
    const channel = isSound ? 'openai' : model.type === 'text' ? text : 'studio';
    return { ...model, routes: [{ ...model.routes[0]!, channel, model: model.id }] };
  });
}

function sampleOf(entry: CatalogueEntry): Sample {
  return entry.kind === 'tokens' ? ofTokens(entry) : ofMedia(entry);
}

function ofTokens(entry: TokenEntry): Sample {
  const isClaude = entry.model.routes[0]!.channel === 'anthropic';
  const chats: Dialect[] = isClaude ? ['messages'] : ['chat', 'responses', 'messages'];
  const dialect = entry.model.type === 'embedding' ? 'embeddings' : random.one(chats);
  const fields = requestOf(random, dialect, entry);
  const plan = planRequest(KINDS[dialect].parse(Buffer.from(JSON.stringify(fields))), entry);
  const usage = usageOf(random, plan);
  const shown = isClaude
    ? message([{ type: 'text', text: 'Hello.' }], { usage: claudes(usage) })
    : null;
  const json = shown ?? openAis(dialect, usage);
  return { what: dialect, path: PATHS[dialect]!, fields, made: { json } };
}

function claudes(usage: Usage): object {
  const { inputTokens, cachedInputTokens: read, cacheWriteTokens: written } = usage;
  const long = usage.longCacheWriteTokens ?? 0;
  return {
    input_tokens: inputTokens - read - written,
    cache_read_input_tokens: read,
    cache_creation_input_tokens: written,
    cache_creation: { ephemeral_5m_input_tokens: written - long, ephemeral_1h_input_tokens: long },
    output_tokens: usage.outputTokens,
  };
}

function openAis(dialect: Dialect, usage: Usage): object {
  const cached_tokens = usage.cachedInputTokens;
  const read = { cached_tokens, audio_tokens: usage.inputAudioTokens };
  const written = { reasoning_tokens: usage.reasoningTokens };
  const { inputTokens, outputTokens } = usage;
  if (dialect === 'responses') {
    const more = { input_tokens_details: read, output_tokens_details: written };
    return response({ usage: { input_tokens: inputTokens, output_tokens: outputTokens, ...more } });
  }
  const prompt = { prompt_tokens: inputTokens, prompt_tokens_details: read };
  if (dialect === 'embeddings') {
    const data = [{ object: 'embedding', index: 0, embedding: [0.5] }];
    return { object: 'list', data, model: 'x', usage: { ...prompt, total_tokens: inputTokens } };
  }
  const more = { completion_tokens: outputTokens, completion_tokens_details: written };
  return wholeBody({ usage: { ...prompt, ...more } });
}

function ofMedia(entry: MediaEntry): Sample {
  const { type, id } = entry.model;
  const what = { what: type, path: PATHS[type]! };
  if (type === 'tts') {
    const fields = { model: id, voice: 'x', input: 'ä'.repeat(random.whole(1, 4_000)) };
    const bytes = Buffer.from('some sound');
    return { ...what, fields, made: { headers: { 'content-type': 'audio/mpeg' }, bytes } };
  }
  if (type === 'stt') {
    const seconds = random.whole(1, 20);
    const json = { text: 'Hello.', duration: seconds * random.next() };
    return { ...what, fields: { model: id, input_seconds: seconds }, seconds, made: { json } };
  }
  const fields = { model: id, ...mediaFields(entry) };
  const { order } = estimateOrder(fields, entry);
  const { units } = measuredOf(random, entry, order);
  const made = Math.max(1, units['image'] ?? order.asked.n ?? 1);
  if (units['image'] !== undefined) units['image'] = made;
  const file = type === 'video' ? mp4() : type === 'music' || type === 'sound' ? wav() : png();
  const files = Array.from({ length: made }, () => file.toString('base64'));
  return { ...what, fields, made: { json: { files, units } } };
}

function mediaFields(entry: MediaEntry): Record<string, unknown> {
  const { type, params } = entry.model;
  const picture = `data:image/png;base64,${png().toString('base64')}`;
  if (type === 'upscale') return { image: picture, scale: Number(random.one(params.factors)[0]) };
  if (type === 'background_remove') return { image_url: picture };
  const { input_mode: mode, input_images: images, ...others } = askOf(random, entry);
  const isEdit = type === 'image_edit';
  const count = isEdit ? random.whole(1, 4) : mode === 'image' ? images! : 0;
  return {
    prompt: 'A fox.',
    ...others,
    ...(count > 0 && { image: Array.from({ length: count }, () => picture) }),
  };
}

interface Told {
  quoteId: string;
  maxNano: number;
}

async function estimated({ fields }: Sample): Promise<Told> {
  const { status, json, text } = await app.post('/v1/credits/estimate', fields);
  expect([status, status === 200 ? '' : text]).toEqual([200, '']);
  const { id, max_usd } = json['quote'] as unknown as { id: string; max_usd: string };
  return { quoteId: id, maxNano: parseUsd(max_usd) };
}

/** To its end; answers with its request's id. */
async function sent({ path, fields, seconds, made }: Sample, quoteId?: string): Promise<string> {
  upstream.next(made);
  const quoted = quoteId === undefined ? {} : { quote_id: quoteId };
  const answer =
    seconds === undefined
      ? await app.post(path, { ...fields, ...quoted }, headers)
      : await heard(String(fields['model']), seconds, quoted);
  expect([answer.status, answer.status === 200 ? '' : answer.text]).toEqual([200, '']);
  if (path.startsWith('/v1/') && answer.text.includes('"task_')) {
    const done = await app.get(`/v1/tasks/${textOf(answer.json['id'])}?wait=20`, headers);
    expect(done.json['status'], done.text).toBe('completed');
  }
  return answer.headers.get('x-request-id')!;
}

async function heard(
  model: string,
  seconds: number,
  more: Record<string, string>,
): Promise<Answer> {
  const form = new FormData();
  for (const [name, value] of Object.entries({ model, ...more })) form.append(name, value);
  form.append('file', new Blob([new Uint8Array(speech(seconds))]), 'a.wav');
  const answer = await fetch(app.url + PATHS['stt']!, { method: 'POST', headers, body: form });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, text, json: {} };
}

async function holdOf(requestId: string) {
  return app.app.store.ledger.read
    .selectFrom('holds')
    .selectAll()
    .where('request_id', '=', requestId)
    .executeTakeFirstOrThrow();
}

it('holds at most what was told and charges at most what was held, of every type', async () => {
  const counted = new Map<string, number>();
  let isLess = 0;
  for (const entry of catalogue.entries()) {
    for (let times = 0; times < REQUESTS_EACH; times++) {
      const sample = sampleOf(entry);
      const { maxNano } = await estimated(sample);
      if (maxNano > parseUsd(MOST_USD)) continue;
      const hold = await holdOf(await sent(sample));
      const { state, shortfall, captured, amount } = hold;
      const facts = { ...sample, made: null, maxNano, captured, amount };
      expect([state, shortfall], JSON.stringify(facts).slice(0, 900)).toEqual(['captured', 0]);
      expect(captured).toBeLessThanOrEqual(amount);
      expect(amount, JSON.stringify(facts).slice(0, 900)).toBeLessThanOrEqual(maxNano);
      if (captured < amount) isLess++;
      counted.set(sample.what, (counted.get(sample.what) ?? 0) + 1);
    }
  }
  console.log(Object.fromEntries(counted));
  expect([...counted.keys()].toSorted()).toEqual(Object.keys(PATHS).toSorted());
  expect([...counted.values()].reduce((sum, count) => sum + count)).toBeGreaterThan(250);
  expect(isLess).toBeGreaterThan(100);
  expect(app.logged.filter(({ event }) => event === 'charge_above_hold')).toEqual([]);
  await app.check();
});

it('charges under a quote at most what it said, though all is a hundred times as dear now', async () => {
  const samples: { sample: Sample; told: Told }[] = [];
  for (const entry of catalogue.entries()) {
    const sample = sampleOf(entry);
    const told = await estimated(sample);
    if (told.maxNano <= parseUsd(MOST_USD)) samples.push({ sample, told });
  }
  const dearer = described.map((model) => {
    const price = model.price as { from?: string; markup?: string };
    return {
      ...model,
      price: price.from ? { ...price, max_usd: '75' } : { ...price, markup: '100' },
    };
  });
  await app.app.reload({ ...app.app.config, models: modelsOf(dearer) });
  let isDearer = 0;
  for (const { sample, told } of samples) {
    if ((await estimated(sample)).maxNano > 10 * told.maxNano) isDearer++;
    const { captured, amount, shortfall, state } = await holdOf(await sent(sample, told.quoteId));
    expect([state, shortfall]).toEqual(['captured', 0]);
    expect(amount).toBeLessThanOrEqual(told.maxNano);
    expect(captured).toBeLessThanOrEqual(amount);
  }
  expect(samples.length).toBeGreaterThan(80);
  expect(isDearer).toBeGreaterThan(samples.length * 0.8);
  await app.check();
});
