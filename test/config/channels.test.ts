import { describe, expect, it } from 'vitest';
import schema from '../../config/farebox.schema.json' with { type: 'json' };
import type { ModelConfig } from '../../src/config/config.ts';
import { describeConfig } from '../../src/config/describe.ts';
import { isServing } from '../../src/config/served.ts';
import { errorOf, load, pathsOf } from '../support/config.ts';

const file = (lines: string) =>
  `channels: [{ id: a, provider: openai, base_url: "https://up.example.com/v1", ${lines} }]`;
const channelOf = (lines: string) => load(file(lines)).channels[0]!;
const at = (url: string) =>
  load(`channels: [{ id: a, provider: openai, base_url: "${url}" }]`).channels[0]!;

describe('a channel', () => {
  it('is like any server of its dialect where nothing is said', () => {
    expect(channelOf('weight: 1')).toMatchObject({
      queue: { size: 1_024, waitMs: 10_000 },
      removeHeaders: [],
      params: { set: {}, remove: [] },
      retryOn: null,
      statusMap: {},
      streamOptions: true,
      responses: true,
      reportedCost: null,
      dialect: 'openai',
    });
  });

  it('is known by its host', () => {
    expect(at('https://openrouter.ai/api/v1')).toMatchObject({
      reportedCost: 'usage.cost',
      dialect: 'openrouter',
    });
    expect(at('https://api.x.ai/v1')).toMatchObject({
      reportedCost: 'usage.cost_in_usd_ticks',
      dialect: 'xai',
    });
    expect(at('https://api.venice.ai/api/v1').reportedCost).toBe('cost.usd');
    expect(at('https://api.mistral.ai/v1').streamOptions).toBe(false);
    expect(at('https://api.openai.com/v1').outputLimitField).toBe('max_completion_tokens');
    expect(at('https://api.openai.com.example.org/v1').outputLimitField).toBe('max_tokens');
    expect(at('https://constructor/v1').vendor).toBeNull();
  });

  it('is what the operator says of it', () => {
    const channel = channelOf(`remove_headers: [User-Agent],
      params: { set: { reasoning_effort: low, logprobs: null, a: { b: [1.5] } }, remove: [user] },
      queue: { size: 0, wait_ms: 5 }, retry_on: [5xx, 404, 503], status_map: { 529: busy, "403": refused },
      stream_options: false, reported_cost: x-litellm-response-cost, dialect: xai`);
    expect(channel).toMatchObject({
      removeHeaders: ['user-agent'],
      params: {
        set: { reasoning_effort: '"low"', logprobs: 'null', a: '{"b":[1.5]}' },
        remove: ['user'],
      },
      queue: { size: 0, waitMs: 5 },
      statusMap: { 529: 'busy', 403: 'refused' },
      streamOptions: false,
      reportedCost: 'x-litellm-response-cost',
      dialect: 'xai',
    });
    expect(channel.retryOn).toHaveLength(101);
    expect(channel.retryOn).toContain(404);
    expect(channel.retryOn).toContain(599);
    expect(channelOf('reported_cost: none').reportedCost).toBeNull();
  });

  it.each([
    ['params: { set: { model: other } }', 'channels[0].params.set.model'],
    ['params: { set: { max_tokens: 5 } }', 'channels[0].params.set.max_tokens'],
    ['params: { remove: [user, stream] }', 'channels[0].params.remove[1]'],
    ['retry_on: [200]', 'channels[0].retry_on[0]'],
    ['retry_on: [500, 2xx]', 'channels[0].retry_on[1]'],
    ['status_map: { "200": sick }', 'channels[0].status_map.(a key of 3 characters)'],
    ['status_map: { "500": ill }', 'channels[0].status_map[500]'],
    ['remove_headers: ["a b"]', 'channels[0].remove_headers[0]'],
    ['queue: { wait_ms: 0 }', 'channels[0].queue.wait_ms'],
    ['dialect: sora', 'channels[0].dialect'],
    ['reported_cost: total', 'channels[0].reported_cost'],
    ['stream_options: 1', 'channels[0].stream_options'],
  ])('is refused with %s', (lines, path) => {
    expect(pathsOf(file(lines))).toEqual([path]);
  });

  it('of a provider that there is not is refused with the list of those that there are', () => {
    const { message } = errorOf(file('weight: 1').replace('openai', 'opnai'));
    expect(message).toMatch(/channels\[0\]\.provider: must be one of openai, anthropic, .*fal/);
  });

  it('shows the names of what it sets, and not the values', () => {
    const shown = JSON.stringify(
      describeConfig(load(file('params: { set: { safety_identifier: hush-hush } }'))),
    );
    expect(shown).toContain('safety_identifier');
    expect(shown).not.toContain('hush-hush');
  });
});

describe('a model', () => {
  const routed = (provider: string, type: string) => `
channels: [{ id: a, provider: ${provider}, base_url: "https://up.example.com/v1" }]
models:
  - id: m
    type: ${type}
    ${type === 'text' ? 'context: 100\n    max_output: 10' : 'params: { sizes: [1024x1024] }'}
    routes: [{ channel: a }]
    price: { rules: [{ unit: image, usd: "1" }, { unit: input_token, usd: "1" }, { unit: output_token, usd: "1" }] }
`;
  const text = (provider: string) =>
    routed(provider, 'text').replace('{ unit: image, usd: "1" }, ', '');
  const image = (provider: string) =>
    routed(provider, 'image').replace(/, \{ unit: input_token.*(?=\] \})/, '');

  it('is routed to channels that serve what it is', () => {
    for (const provider of ['openai', 'anthropic', 'venice']) {
      expect(load(text(provider)).models).toHaveLength(1);
    }
    for (const provider of ['openai', 'venice', 'fal', 'replicate']) {
      expect(load(image(provider)).models).toHaveLength(1);
    }
    expect(errorOf(text('fal')).message).toContain(
      'models[0].routes[0].channel: must be a channel that chats; none of the provider fal does',
    );
    expect(pathsOf(image('anthropic'))).toEqual(['models[0].routes[0].channel']);
  });

  it('may name every provider that the schema lists, and each serves something', () => {
    const names = schema.definitions.channel.properties.provider.enum;
    const types = schema.definitions.model.properties.type.enum as ModelConfig['type'][];
    for (const name of names) {
      expect([name, types.some((type) => isServing(name, type))]).toEqual([name, true]);
    }
  });
});

describe('channels made from variables', () => {
  const keys: Record<string, [variable: string, provider: string]> = {
    openai: ['OPENAI_API_KEY', 'openai'],
    openrouter: ['OPENROUTER_API_KEY', 'openai'],
    anthropic: ['ANTHROPIC_API_KEY', 'anthropic'],
    gemini: ['GEMINI_API_KEY', 'openai'],
    xai: ['XAI_API_KEY', 'openai'],
    groq: ['GROQ_API_KEY', 'openai'],
    together: ['TOGETHER_API_KEY', 'openai'],
    deepseek: ['DEEPSEEK_API_KEY', 'openai'],
    mistral: ['MISTRAL_API_KEY', 'openai'],
    venice: ['VENICE_API_KEY', 'venice'],
    elevenlabs: ['ELEVENLABS_API_KEY', 'elevenlabs'],
    fal: ['FAL_KEY', 'fal'],
    replicate: ['REPLICATE_API_TOKEN', 'replicate'],
    modelark: ['ARK_API_KEY', 'modelark'],
  };

  it('are one for each key, each of a vendor that is known', () => {
    const environment = Object.values(keys).map(([name], n) => [name, `key-${n}-0123456789`]);
    const { channels } = load(null, Object.fromEntries(environment));
    expect(channels.map(({ id, provider }) => [id, provider])).toEqual(
      Object.entries(keys).map(([id, [, provider]]) => [id, provider]),
    );
    expect(channels.every(({ vendor }) => vendor !== null)).toBe(true);
  });

  it.each(Object.entries(keys))('lead elsewhere for %s where a variable says so', (id, [name]) => {
    const address = name.replace(/_(API_KEY|KEY|API_TOKEN)$/, '_BASE_URL');
    const { channels } = load(null, {
      [name]: 'key-0-0123456789',
      [address]: 'http://127.0.0.1:9/v1',
    });
    expect(channels).toMatchObject([{ id, baseUrl: 'http://127.0.0.1:9/v1', vendor: null }]);
  });
});
