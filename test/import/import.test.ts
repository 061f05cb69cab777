import { describe, expect, it } from 'vitest';
import { type Imported, importPrices } from '../../src/import/import.ts';
import { AS_OF, take } from '../support/prices.ts';

function model(imported: Imported, id: string) {
  const found = imported.models.find((each) => each.id === id);
  if (!found)
    throw new Error(`${id} is not there: ${imported.models.map((each) => each.id).join()}`);
  return found;
}

function rulesOf(imported: Imported, id: string): string[] {
  return model(imported, id).rules.map(({ unit, per = 1, usd, when }) =>
    [unit, `${usd}/${per}`, ...(when ? [JSON.stringify(when)] : [])].join(' '),
  );
}

const whyNot = ({ skipped }: Imported) =>
  Object.fromEntries(skipped.map(({ id, why }) => [id, why]));

describe('models.dev', () => {
  const imported = take('models.dev');

  it('gives tokens for a million, the long context first', () => {
    expect(rulesOf(imported, 'gpt-5.4')).toEqual([
      'input_token 5/1000000 {"input_tokens":{"gt":272000}}',
      'cached_input_token 0.5/1000000 {"input_tokens":{"gt":272000}}',
      'output_token 22.5/1000000 {"input_tokens":{"gt":272000}}',
      'input_token 2.5/1000000',
      'cached_input_token 0.25/1000000',
      'output_token 15/1000000',
    ]);
    expect(model(imported, 'gpt-5.4')).toMatchObject({
      type: 'text',
      name: 'GPT-5.4',
      context: 1_050_000,
      maxOutput: 128_000,
      capabilities: ['tools', 'vision', 'reasoning', 'json_schema'],
      channel: 'openai',
      upstreamModel: 'gpt-5.4',
    });
  });

  it('gives what writing to a cache costs', () => {
    expect(rulesOf(imported, 'claude-opus-4-5')).toContain('cache_write_token 6.25/1000000');
  });

  it('gives what sound costs', () => {
    expect(rulesOf(imported, 'gemini-2.5-flash')).toContain('input_audio_token 1/1000000');
  });

  it('knows an embedding', () => {
    const embedding = model(imported, 'text-embedding-3-small');
    expect(embedding).toMatchObject({ type: 'embedding', context: 8191, capabilities: [] });
    expect(embedding).not.toHaveProperty('maxOutput');
    expect(rulesOf(imported, embedding.id)).toEqual(['input_token 0.02/1000000']);
  });

  it('leaves a price of 0 beside others out, so that such tokens cost what the others do', () => {
    expect(rulesOf(imported, 'gpt-3.5-turbo')).toEqual([
      'input_token 0.5/1000000',
      'output_token 1.5/1000000',
    ]);
    expect(model(imported, 'gpt-3.5-turbo').notes.join()).toContain('cached_input_token');
  });

  it('says what no rule can say, and why a model is left out', () => {
    expect(whyNot(imported)).toMatchObject({
      'gpt-image-2': expect.stringContaining('it makes image'),
      'claude-3-opus-20240229': 'it is deprecated',
      'gemma-4-31b-it': 'it has no price',
      'qwen/qwen3-coder:free': 'all its prices are 0',
      '~moonshotai/kimi-latest': 'it is a name whose model and price change',
    });
  });

  it('takes a model that two providers sell once, and whichever provider is asked for', () => {
    expect(whyNot(imported)['openai/gpt-oss-120b']).toContain('taken already');
    const groq = take('models.dev', { provider: 'groq', channel: 'fast' });
    expect(groq.models.map(({ id, channel }) => [id, channel])).toEqual([
      ['openai/gpt-oss-120b', 'fast'],
    ]);
    const unknown = take('models.dev', { provider: 'berget' });
    expect(unknown.models[0]).toMatchObject({ channel: 'berget' });
    expect(imported.models.some(({ provider }) => provider === 'berget')).toBe(false);
  });
});

describe('OpenRouter', () => {
  const imported = take('openrouter');

  it('gives prices a token as prices a million, and its overrides as tiers', () => {
    expect(rulesOf(imported, 'openai/gpt-5.6-terra')).toEqual([
      'input_token 2/1000000 {"input_tokens":{"gte":272000}}',
      'cached_input_token 0.2/1000000 {"input_tokens":{"gte":272000}}',
      'cache_write_token 2.5/1000000 {"input_tokens":{"gte":272000}}',
      'output_token 9/1000000 {"input_tokens":{"gte":272000}}',
      'input_token 1/1000000',
      'cached_input_token 0.1/1000000',
      'cache_write_token 1.25/1000000',
      'output_token 6/1000000',
    ]);
    const starts = model(imported, 'qwen/qwen3.7-flash').rules.flatMap(({ unit, when }) =>
      unit === 'input_token' ? [when?.['input_tokens'] ?? null] : [],
    );
    expect(starts).toEqual([{ gte: 256_000 }, { gte: 32_000 }, null]);
  });

  it('takes no price of keeping a cache for the price of writing it, nor reasoning apart that costs what output does', () => {
    const units = model(imported, 'google/gemini-3.5-flash').rules.map(({ unit }) => unit);
    expect(units).toEqual([
      'input_token',
      'cached_input_token',
      'input_audio_token',
      'output_token',
    ]);
  });

  it('gives sound, and what is cached for an hour', () => {
    expect(rulesOf(imported, 'mistralai/voxtral-small-24b-2507')).toContain(
      'input_audio_token 100/1000000',
    );
    const sonnet = rulesOf(imported, 'anthropic/claude-sonnet-4.5');
    expect(sonnet.filter((rule) => rule.startsWith('cache_write_1h_token'))).toEqual([
      'cache_write_1h_token 12/1000000 {"input_tokens":{"gte":200000}}',
      'cache_write_1h_token 6/1000000',
    ]);
  });

  it('says what it leaves out', () => {
    const { notes } = model(imported, 'anthropic/claude-sonnet-4.5');
    expect(notes).toEqual(['web_search: 0.01 each']);
    expect(whyNot(imported)).toMatchObject({
      'openrouter/auto': expect.stringContaining('makes text and image'),
      '~x-ai/grok-latest': 'it is a name whose model and price change',
      'google/gemini-3-pro-image': expect.stringContaining('makes image and text'),
      'poolside/laguna-s-2.1:free': 'all its prices are 0',
      'openai/gpt-5.3-chat': 'it ended on 2026-08-10',
    });
  });
});

describe('LiteLLM', () => {
  const imported = take('litellm');

  it('gives tokens, with the tiers that are names of fields', () => {
    expect(rulesOf(imported, 'claude-sonnet-4-5').slice(0, 5)).toEqual([
      'cache_write_1h_token 12/1000000 {"input_tokens":{"gt":200000}}',
      'input_token 6/1000000 {"input_tokens":{"gt":200000}}',
      'output_token 22.5/1000000 {"input_tokens":{"gt":200000}}',
      'cache_write_token 7.5/1000000 {"input_tokens":{"gt":200000}}',
      'cached_input_token 0.6/1000000 {"input_tokens":{"gt":200000}}',
    ]);
    expect(rulesOf(imported, 'gpt-5.6-sol')).toContain('output_token 30/1000000');
    // Priority, flex and batch prices are of requests that are refused.
    expect(rulesOf(imported, 'gpt-5.6-sol')).toHaveLength(8);
  });

  it('gives tiers that are a list, to whoever asks for their provider', () => {
    const dashscope = take('litellm', { provider: 'dashscope' });
    expect(rulesOf(dashscope, 'qwen-flash')).toEqual([
      'input_token 0.25/1000000 {"input_tokens":{"gt":256000}}',
      'output_token 2/1000000 {"input_tokens":{"gt":256000}}',
      'input_token 0.05/1000000',
      'output_token 0.4/1000000',
    ]);
  });

  it('gives pictures by quality and size where they are priced so, else by the piece', () => {
    expect(rulesOf(imported, 'gpt-image-1')).toHaveLength(9);
    expect(rulesOf(imported, 'gpt-image-1')).toContain(
      'image 0.167/1 {"quality":"high","size":"1024x1024"}',
    );
    expect(model(imported, 'gpt-image-1').params).toEqual({
      sizes: ['1024x1024', '1024x1536', '1536x1024'],
      qualities: ['low', 'high', 'medium'],
    });
    // Its sizes without a quality are prices of one that it would choose itself.
    expect(rulesOf(imported, 'gpt-image-1.5')).toHaveLength(12);
    expect(rulesOf(imported, 'fal-ai/flux/schnell')).toEqual(['image 0.003/1']);
    expect(model(imported, 'fal-ai/flux/schnell')).toMatchObject({ type: 'image', channel: 'fal' });
    expect(rulesOf(imported, 'gemini-3-pro-image')).toEqual(['image 0.134/1']);
  });

  it('gives seconds of video, characters of speech and seconds of sound', () => {
    expect(rulesOf(imported, 'veo-3.1-lite-generate-preview')).toEqual([
      'output_second 0.08/1 {"resolution":"1080p"}',
      'output_second 0.05/1',
    ]);
    expect(model(imported, 'veo-3.1-lite-generate-preview').notes.join()).toContain('durations');
    expect(rulesOf(imported, 'tts-1')).toEqual(['character 15/1000000']);
    expect(rulesOf(imported, 'whisper-1')).toEqual(['input_second 0.0001/1']);
    expect(rulesOf(imported, 'scribe_v1')).toEqual(['input_second 0.0000611/1']);
    // Written as 0.0002833333333333333 a second.
    expect(rulesOf(imported, 'gpt-realtime-whisper')).toEqual(['input_second 0.017/60']);
    const runway = take('litellm', { provider: 'runwayml' });
    expect(rulesOf(runway, 'gen4_turbo')).toEqual(['output_second 0.05/1']);
  });

  it('says why a model is left out', () => {
    expect(whyNot(imported)).toMatchObject({
      'gpt-5-pro': 'it answers on /responses alone',
      'gpt-4o-mini-tts': 'it is not priced by characters',
      'gpt-4o-transcribe': 'it is not priced by seconds of sound',
      'gpt-image-2': 'it has no price of a picture',
      'gemini-2.0-flash': 'it ended on 2026-06-01',
      'mistral-ocr-latest': 'its mode is ocr, which is not sold here',
      'gemini-exp-1206': 'all its prices are 0',
    });
    const ids = imported.models.map(({ id }) => id);
    for (const id of ['sample_spec', 'last_updated', 'ft:gpt-4o-2024-11-20'])
      expect(ids).not.toContain(id);
  });
});

describe('what is asked for', () => {
  it('is one type, and names with stars', () => {
    const speech = take('litellm', { type: 'tts' });
    expect(speech.models.map(({ id }) => id)).toEqual(['tts-1']);
    const some = take('models.dev', { models: ['gpt-5*', '*-2.5-pro'] });
    expect(some.models.map(({ id }) => id)).toEqual(['gpt-5.4', 'gpt-5.4-pro', 'gemini-2.5-pro']);
  });

  it('is refused where the file has nothing of it, or is no such file', () => {
    for (const wanted of [{ provider: 'nobody' }, { channel: 'mine' }, { models: ['x'] }]) {
      expect(() => take('models.dev', wanted)).toThrow('has no such model');
    }
    const all = { provider: null, channel: null, type: null, models: [], asOf: AS_OF };
    expect(() => importPrices('litellm', 'models: []', all)).toThrow('is no JSON');
    expect(() => importPrices('litellm', '[]', all)).toThrow('is no JSON object');
  });
});
