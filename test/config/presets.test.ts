import { describe, expect, it } from 'vitest';
import { load, errorOf } from '../support/config.ts';
import { UPSTREAM_KEYS } from '../support/upstream-keys.ts';

const SHOP = {
  channels: [{ id: 'main', provider: 'openai', base_url: 'https://api.openai.com/v1' }],
  models: [
    {
      id: 'editor',
      type: 'image_edit',
      aliases: ['painter'],
      params: { max_input_images: 2 },
      routes: [{ channel: 'main' }],
      price: { rules: [{ unit: 'image', usd: '0.03' }] },
    },
    {
      id: 'talker',
      context: 1000,
      max_output: 100,
      routes: [{ channel: 'main' }],
      price: {
        rules: [
          { unit: 'input_token', usd: '0.1' },
          { unit: 'output_token', usd: '0.1' },
        ],
      },
    },
  ],
};
const GOOD = {
  name: 'try-on',
  model: 'editor',
  inputs: { person: { type: 'image', required: true }, details: { default: 'plain' } },
  fields: { prompt: 'Wear it {details}', images: ['{person}'] },
};
const written = (...fashion: object[]) => JSON.stringify({ ...SHOP, fashion });
const faultsOf = (...fashion: object[]) =>
  errorOf(written(...fashion)).faults.map(({ path, message }) => `${path} ${message}`);

describe('fashion', () => {
  it('is read as it is written', () => {
    const { presets } = load(written(GOOD));
    expect(presets).toEqual([
      {
        name: 'try-on',
        description: null,
        model: 'editor',
        inputs: {
          person: expect.objectContaining({ type: 'image', isRequired: true, usual: null }),
          details: expect.objectContaining({ type: 'text', isRequired: false, usual: 'plain' }),
        },
        fields: GOOD.fields,
      },
    ]);
  });

  it('goes over the first model of a list that is sold, by any of its names', () => {
    for (const model of [['nobody', 'editor'], ['painter'], 'painter', ['editor', 'talker']]) {
      expect(load(written({ ...GOOD, model })).presets[0]!.model).toBe('editor');
    }
  });

  it.each([
    [{ model: 'edito' }, 'fashion[0].model must be the id of a model'],
    [{ model: 'talker' }, 'fashion[0].model must be a model of images'],
    [{ name: 'Try On' }, 'fashion[0].name must be a name of lower-case letters'],
    [{ fields: { prompt: '{person} {details} {mood}' } }, '{mood} is none'],
    [{ fields: { prompt: '{person}' } }, 'fashion[0].inputs.details must be used in fields'],
    [{ fields: { ...GOOD.fields, model: 'x' } }, 'fashion[0].fields.model must be left out'],
    [{ inputs: { ...GOOD.inputs, person: { type: 'choice' } } }, 'must list what can be chosen'],
    [
      { inputs: { ...GOOD.inputs, person: { type: 'choice', values: ['a'], default: 'b' } } },
      'fashion[0].inputs.person.default must be one of values',
    ],
    [{ inputs: { ...GOOD.inputs, person: { type: 'video' } } }, 'must be one of text, image'],
    [{ surprise: 1 }, 'there is no setting surprise'],
  ])('refuses %o, with the place', (change, message) => {
    expect(faultsOf({ ...GOOD, ...change }).join('\n')).toContain(message);
  });

  it('refuses two presets of one name', () => {
    expect(faultsOf(GOOD, GOOD)).toEqual(['fashion[1].name must be the only preset of this name']);
  });

  it('ships presets for what is sold, and none for what is not', () => {
    const names = (environment: Record<string, string>) =>
      load(null, environment).presets.map(({ name }) => name);
    const all = ['try-on', 'product-shot', 'look', 'lookbook-video'];
    expect(names(UPSTREAM_KEYS)).toEqual(all);
    expect(names({ SANDBOX: '1' })).toEqual(all);
    expect(names({ FAL_KEY: 'sk-one-12345' })).toEqual(all);
    expect(names({ ANTHROPIC_API_KEY: 'sk-one-12345' })).toEqual([]);
    expect(load(JSON.stringify(SHOP)).presets).toEqual([]);
    expect(load(written()).presets).toEqual([]);
  });
});
