/** What media models may say of themselves, and what is wrong with some of it. */
import { describe, expect, it } from 'vitest';
import type { MediaModel } from '../../src/config/config.ts';
import { ConfigError } from '../../src/config/load.ts';
import { load } from '../support/config.ts';

const CHANNEL = `
channels: [{ id: main, provider: venice, base_url: "https://api.example.com/v1", api_key: sk-test-key }]
models:
`;

const model = (lines: string) =>
  `${CHANNEL}  - { id: m, routes: [{ channel: main }], ${lines.replaceAll('\n', ' ')} }\n`;

function read(lines: string): MediaModel {
  return load(model(lines)).models[0] as MediaModel;
}

function faultsOf(file: string): string[] {
  try {
    load(file);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map((f) => `${f.path}: ${f.message}`);
    throw error;
  }
  return [];
}

const CLIP = `type: video, params: { durations: [5, 10], resolutions: [720p, 1080p],
  aspect_ratios: ["16:9", "9:16", "1:1"], audio: true, fps: 24, max_runtime: 20m, typical_runtime: 145s },
  price: { rules: [
    { unit: output_second, usd: "0.12", when: { resolution: 1080p, input_mode: [text, image], audio: true } },
    { unit: output_second, usd: "0.10", when: { resolution: 1080p } },
    { unit: output_second, usd: "0.05", when: { resolution: 720p } },
    { unit: input_second,  usd: "0.03", when: { input_mode: video } } ] }`;

describe('media models', () => {
  it('says what may be asked, in one form', () => {
    expect(read(CLIP)).toMatchObject({
      type: 'video',
      params: {
        durations: [5, 10],
        resolutions: ['720p', '1080p'],
        audio: true,
        fps: [24],
        inputModes: ['text', 'image', 'video'],
        typicalRuntimeMs: 145_000,
        maxRuntimeMs: 1_200_000,
        maxN: 1,
      },
    });
  });

  it.each([
    [
      'lengths by tiers',
      `type: music, price: { rules: [
         { unit: generation, usd: "0.69", when: { duration: { gte: 3,  lte: 60 } } },
         { unit: generation, usd: "1.38", when: { duration: { gt: 60, lte: 120 } } } ] }`,
      { duration: { min: 3, max: 120 }, durations: [] },
    ],
    [
      'factors',
      `type: upscale, price: { rules: [ { unit: upscale, usd: "0.02", when: { factor: 2x } },
         { unit: upscale, usd: "0.08", when: { factor: 4x } } ] }`,
      { factors: ['2x', '4x'], inputModes: ['image'] },
    ],
    [
      'qualities and resolutions',
      `type: image, price: { rules: [
         { unit: image, usd: "0.02", when: { resolution: 1K, quality: [low, medium] } },
         { unit: image, usd: "0.26", when: { resolution: [1K, 2K] } } ] }`,
      { resolutions: ['1K', '2K'], qualities: ['low', 'medium'], maxN: 10 },
    ],
  ])('takes %s from the rules where params does not say them', (_, lines, params) => {
    expect(read(lines).params).toMatchObject(params);
  });

  it('is sold at a markup on the first cost that is known', () => {
    const { price, routes } = load(
      `${CHANNEL}  - id: m
    type: image
    routes:
      - { channel: main, cost: { from: upstream } }
      - { channel: main, cost: { markup: "1.1", rules: [{ unit: image, usd: "0.04" }] } }
    price: { markup: "1.25" }
`,
    ).models[0]!;
    expect(price).toMatchObject({ markup: '1.375', rules: [{ unit: 'image', usd: '0.04' }] });
    expect(routes.map(({ cost }) => cost?.from)).toEqual(['upstream', 'rules']);
  });

  it.each([
    ['image', ''],
    ['text', 'context: 1000, max_output: 100, '],
  ])('is sold at what the upstream says: %s', (type, more) => {
    const { price } = read(
      `type: ${type}, ${more}price: { from: upstream, markup: "1.2", max_usd: "5" }`,
    );
    expect(price).toMatchObject({ rules: [], upstream: { markup: '1.2', maxUsd: '5' } });
  });

  it('has another price version for every other price', () => {
    const versions = [
      'rules: [{ unit: image, usd: "1" }]',
      'rules: [{ unit: image, usd: "1", min: 2 }]',
      'rules: [{ unit: image, usd: "1", step: 2 }]',
      'rules: [{ unit: image, usd: "1" }], from: upstream, max_usd: "5"',
      'from: upstream, max_usd: "5"',
      'from: upstream, max_usd: "6"',
      'from: upstream, max_usd: "6", markup: "2"',
    ].map((price) => read(`type: image, price: { ${price} }`).price.version);
    expect(new Set(versions).size).toBe(versions.length);
  });
});

const image = (rules: string, params = '') =>
  model(`type: image, params: { ${params} }, price: { rules: [ ${rules} ] }`);

describe('what is wrong with a media model is said', () => {
  const PRICE = 'models[0].price.rules';
  const cases: [name: string, file: string, fault: RegExp][] = [
    [
      'a combination without a price',
      image(
        '{ unit: image, usd: "1", when: { resolution: 1K } }, { unit: image, usd: "2", when: { resolution: 2K, quality: low } }',
        'resolutions: [1K, 2K], qualities: [low, high]',
      ),
      /^models\[0\]\.price\.rules: must price .*resolution 2K, quality high has none/,
    ],
    [
      'a rule behind one that takes all',
      image('{ unit: image, usd: "1" }, { unit: image, usd: "2", when: { quality: low } }'),
      /rules\[1\]\.unit: must not come twice/,
    ],
    [
      'a rule for what is not offered',
      image(
        '{ unit: image, usd: "1", when: { quality: hgih } }, { unit: image, usd: "2" }',
        'qualities: [low, high]',
      ),
      /rules\[0\]: can never apply/,
    ],
    [
      'megapixels of sizes that nobody knows',
      image('{ unit: megapixel, usd: "1" }'),
      /must price .*megapixel has none/,
    ],
    [
      'images by tokens without the most of them',
      image('{ unit: output_image_token, usd: "1" }', 'sizes: ["1024x1024"]'),
      /output_image_token with size 1024x1024 has none/,
    ],
    [
      'nothing but what comes on top',
      image('{ unit: input_image, usd: "1" }'),
      /must price image or generation/,
    ],
    [
      'a unit of other media',
      model('type: tts, price: { rules: [{ unit: image, usd: "1" }] }'),
      /rules\[0\]\.unit: must be one of character.*a tts model/,
    ],
    [
      'seconds of no length',
      model('type: video, price: { rules: [{ unit: output_second, usd: "1" }] }'),
      /params\.durations/,
    ],
    [
      'a length without an end',
      model(
        'type: music, price: { rules: [{ unit: generation, usd: "1", when: { duration: { gte: 3 } } }] }',
      ),
      /models\[0\]\.params\.duration: must say the longest/,
    ],
    [
      'too many combinations',
      model(
        `type: video, params: { resolutions: [${Array.from({ length: 60 }, (_, n) => `r${n}`).join(', ')}],
          qualities: [${Array.from({ length: 60 }, (_, n) => `q${n}`).join(', ')}], durations: [1, 2, 3, 4, 5, 6, 7] },
          price: { rules: [{ unit: output_second, usd: "1", when: { quality: q1, resolution: r1 } }, { unit: output_second, usd: "1" }] }`,
      ),
      /models\[0\]\.params: must offer at most 20000 combinations.*25200/,
    ],
    [
      'a word of the upstream without a most',
      model('type: image, price: { from: upstream }'),
      /models\[0\]\.price\.max_usd: must be there/,
    ],
    [
      'a most without a word',
      image('{ unit: image, usd: "1" }').replace('price: {', 'price: { max_usd: "1",'),
      /price\.max_usd: must be left out/,
    ],
    ['no price at all', model('type: image, price: {}'), /price\.rules: is missing/],
    [
      'tokens',
      image('{ unit: image, usd: "1" }').replace('type:', 'context: 5, type:'),
      /models\[0\]\.context: must be left out/,
    ],
    [
      'a default that is not offered',
      image('{ unit: image, usd: "1" }', 'qualities: [low], defaults: { quality: high }'),
      /params\.defaults\.quality: must be one of low/,
    ],
    [
      'a misspelled parameter',
      image('{ unit: image, usd: "1" }', 'qualitys: [low]'),
      /params\.qualitys: .*did you mean qualities/,
    ],
    [
      'a misspelled circumstance',
      image('{ unit: image, usd: "1", when: { qualiti: low } }'),
      /when\.qualiti: .*did you mean quality/,
    ],
    [
      'bounds that are none',
      image('{ unit: image, usd: "1", when: { n: { above: 5 } } }'),
      /when\.n\.above: there is no setting/,
    ],
  ];

  it.each(cases)('%s', (_, file, fault) => {
    const faults = faultsOf(file);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(fault);
  });

  it('params of a text model', () => {
    const file = model(
      'type: text, context: 10, max_output: 5, params: { max_n: 2 }, price: { rules: [{ unit: input_token, usd: "1" }, { unit: output_token, usd: "1" }] }',
    );
    expect(faultsOf(file)).toEqual([
      expect.stringMatching(/^models\[0\]\.params: must be left out/),
    ]);
  });

  it('a tier of a text model that an earlier one takes', () => {
    const rules = `{ unit: input_token, usd: "1", when: { input_tokens: { gt: 10 } } },
      { unit: input_token, usd: "2", when: { input_tokens: { gt: 20 } } },
      { unit: input_token, usd: "3" }, { unit: output_token, usd: "1" }`;
    const file = model(`context: 10, max_output: 5, price: { rules: [ ${rules} ] }`);
    expect(faultsOf(file)).toEqual([
      `${PRICE}[1]: can never apply: an earlier rule takes every length of input`,
    ]);
  });

  it('a name that two models have', () => {
    const one = (id: string, aliases: string) =>
      `  - { id: ${id}, aliases: [${aliases}], context: 10, max_output: 5, routes: [{ channel: main }], price: { rules: [{ unit: input_token, usd: "1" }, { unit: output_token, usd: "1" }] } }\n`;
    const several = (...models: string[]) => faultsOf(`${CHANNEL}${models.join('')}`);
    const fault = (path: string) => `${path}: must not be the id or an alias of another model`;
    expect(several(one('a', 'b'), one('b', ''))).toEqual([fault('models[0].aliases[0]')]);
    expect(several(one('a', 'x, y'), one('b', 'z, x'))).toEqual([fault('models[1].aliases[1]')]);
    expect(several(one('a', ''), one('a', ''))).toEqual([
      'models[1].id: must be the only model of this id',
    ]);
    expect(several(one('a', 'x, y'), one('b', 'z'))).toEqual([]);
  });

  it('names of other catalogues are understood', () => {
    const rules = ['input_token', 'output_token', 'cache_read_token', 'cache_write_5m_token']
      .map((unit) => `{ unit: ${unit}, per: 1000000, usd: "1" }`)
      .join(', ');
    const file = model(`context: 10, max_output: 5, price: { rules: [ ${rules} ] }`);
    expect(load(file).models[0]!.price.rules.map(({ unit }) => unit)).toEqual([
      'input_token',
      'output_token',
      'cached_input_token',
      'cache_write_token',
    ]);
  });
});

it('says of a price that is the upstream’s word where nobody will say it', () => {
  const text = (price: string) =>
    load(
      model(`type: text, context: 1000, max_output: 100, price: { ${price} }`),
    ).origin?.notes.join('\n');
  const upstream = 'from: upstream, max_usd: "5"';
  expect(text(upstream)).toMatch(/model m costs what its upstream says, and the channel main/);
  const rules = '{ unit: input_token, usd: "1" }, { unit: output_token, usd: "1" }';
  expect(text(`${upstream}, rules: [${rules}]`)).not.toMatch(/what its upstream says/);
  expect(text(upstream)).not.toMatch(/is free/);
});
