import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { toYaml } from '../../src/import/yaml.ts';
import { run } from '../support/cli.ts';
import { errorOf, load } from '../support/config.ts';
import { AS_OF, take } from '../support/prices.ts';

describe('what comes out', () => {
  it.each(['models.dev', 'litellm', 'openrouter'] as const)(
    'of %s goes into the settings file as it is, and sells at the markup',
    (source) => {
      const imported = take(source);
      // What a clip may be is for the operator to say.
      const models = imported.models.filter(({ type }) => type !== 'video');
      const terms = { markup: '1.2', source, asOf: AS_OF };
      const channels = ['openai', 'openrouter', 'anthropic', 'gemini', 'groq', 'fal', 'elevenlabs'];
      const file = [
        'channels:',
        ...channels.map(
          (id) => `  - { id: ${id}, provider: openai, base_url: https://api.example.com/v1 }`,
        ),
        toYaml({ models, skipped: [] }, terms),
      ].join('\n');
      const config = load(file);
      expect(config.models.map(({ id }) => id)).toEqual(models.map(({ id }) => id));
      for (const [n, { price, routes, asOf }] of config.models.entries()) {
        expect(price.markup).toBe('1.2');
        expect(price.rules).toEqual(models[n]!.rules.map((rule) => ({ per: 1, ...rule })));
        expect(routes[0]!.channel).toBe(models[n]!.channel);
        expect(asOf).toBe(AS_OF);
      }
    },
  );

  it('of a video names what has to be said', () => {
    const { models } = take('litellm', { models: ['veo-*'] });
    const file = `channels: [{ id: gemini, provider: openai, base_url: https://api.example.com/v1 }]\n`;
    const terms = { markup: '1', source: 'litellm', asOf: AS_OF };
    const { faults } = errorOf(file + toYaml({ models, skipped: [] }, terms));
    expect(faults.map(({ path }) => path).join()).toContain('models[0]');
    expect(faults.map(({ message }) => message).join()).toMatch(/duration/);
  });

  it('quotes what YAML would read as something else', () => {
    const { models } = take('litellm', { models: ['gpt-image-1'] });
    const [model] = models;
    const odd = { ...model!, id: 'no', name: "it's 16:9", capabilities: ['on', '1e3', 'a b'] };
    const text = toYaml({ models: [odd], skipped: [] }, { markup: '1', source: 'x: y', asOf: '1' });
    expect((parse(text) as { models: object[] }).models[0]).toMatchObject({
      id: 'no',
      name: "it's 16:9",
      capabilities: ['on', '1e3', 'a b'],
      source: 'x: y (openai)',
      as_of: '1',
    });
  });
});

describe('farebox catalogue import', () => {
  const file = fileURLToPath(new URL('../fixtures/prices/litellm.json', import.meta.url));

  it('prints YAML, and what it left out beside it', async () => {
    const words = ['catalogue', 'import', '--from', 'litellm', file, '--markup', '1.25'];
    const { code, out, err } = await run({}, ...words, '--type', 'tts');
    expect(code).toBe(0);
    expect(parse(out)).toMatchObject({
      models: [{ id: 'tts-1', type: 'tts', price: { markup: '1.25' } }],
    });
    expect(err).toContain('1 taken');
    expect(err).toContain('it answers on /responses alone: gpt-5-pro');
    const { json } = await run({}, ...words, '--json');
    expect(json).toMatchObject({ models: expect.any(Array), skipped: expect.any(Array) });
  });

  it('says how it is called, and what is wrong with a call', async () => {
    const wrong = [
      ['catalogue'],
      ['catalogue', 'import', file],
      ['catalogue', 'import', '--from', 'somewhere', file],
      ['catalogue', 'import', '--from', 'litellm', file, '--markup', '20%'],
    ];
    const refused = await Promise.all(wrong.map((words) => run({}, ...words)));
    for (const { code } of refused) expect(code).toBe(2);
    const help = await run({}, 'catalogue', '--help');
    expect([help.code, help.out]).toEqual([0, expect.stringContaining('--markup')]);
    const nothing = await run({}, 'catalogue', 'import', '--from', 'openrouter', file);
    expect([nothing.code, nothing.err]).toEqual([1, expect.stringContaining('has no such model')]);
  });
});
