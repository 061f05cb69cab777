/** Venice's static model data as models of a settings file, and every price in it as a request and what it must cost. */
import { readFileSync } from 'node:fs';
import type { Usage } from '../../src/providers/provider.ts';

interface Figure {
  usd: number;
}

interface Pricing {
  input?: Figure;
  output?: Figure;
  cache_input?: Figure;
  cache_write?: Figure;
  extended?: Pricing & { context_token_threshold: number };
  generation?: Figure;
  inpaint?: Figure;
  resolutions?: Record<string, Figure>;
  quality?: Record<string, Record<string, Figure>>;
  inputImages?: { included: number; additional: Figure };
  upscale?: Record<string, Figure>;
  durations?: Record<string, Figure & { min_seconds: number; max_seconds: number }>;
  per_second?: Figure;
  per_audio_second?: Figure;
  per_thousand_characters?: Figure;
}

interface Listed {
  id: string;
  type: 'text' | 'embedding' | 'image' | 'inpaint' | 'upscale' | 'music' | 'tts' | 'asr';
  pricing: Pricing;
  context?: number;
}

/** A request, and what it must cost in nano-dollars. */
export interface Point {
  model: string;
  /** Of a media model; of others the usage. */
  fields?: Record<string, unknown>;
  usage?: Partial<Usage>;
  nano: number;
}

export interface Converted {
  /** In the settings file's own form. */
  models: Record<string, unknown>[];
  points: Point[];
}

const MILLION = 1_000_000;
const PICTURE = 'https://example.com/a.png';

export function convertedPrices(): Converted {
  const file = new URL('../fixtures/venice/static-prices.json', import.meta.url);
  return joined((JSON.parse(readFileSync(file, 'utf8')) as Listed[]).map(converted));
}

function joined(all: Converted[]): Converted {
  return {
    models: all.flatMap(({ models }) => models),
    points: all.flatMap(({ points }) => points),
  };
}

function converted(listed: Listed): Converted {
  const { id, type, pricing } = listed;
  switch (type) {
    case 'text':
    case 'embedding':
      return tokens(listed);
    case 'image':
      return joined([pictures(listed, 'image'), upscales(listed, `${id}/upscale`)]);
    case 'inpaint':
      return pictures(listed, 'image_edit');
    case 'upscale':
      return upscales(listed, id);
    case 'music':
      return pricing.durations ? songs(listed) : sound(listed);
    case 'tts':
      return flat(id, 'tts', 'character', pricing.input!, { input: 'é'.repeat(750) }, [
        750,
        MILLION,
      ]);
    case 'asr':
      return flat(id, 'stt', 'input_second', pricing.per_audio_second!, {}, [3_600, 1], {
        max_input_seconds: 3_600,
      });
  }
}

/** What was written down before it became a float: 0.028060000000000005 is 0.02806. */
function usdOf({ usd }: Figure): string {
  const text = Number(usd.toPrecision(12)).toFixed(12);
  return text.replace(/0+$/, '').replace(/\.$/, '');
}

/** So many of each figure, which is for `per`; a part of a nano-dollar counts as one. */
function cost(...parts: [figure: Figure, times: number, per: number][]): number {
  const common = BigInt(MILLION);
  const pico = parts.reduce((sum, [figure, times, per]) => {
    const [whole = '', fraction = ''] = usdOf(figure).split('.');
    return sum + (BigInt(whole + fraction.padEnd(12, '0')) * BigInt(times) * common) / BigInt(per);
  }, 0n);
  return Number((pico + common * 1_000n - 1n) / (common * 1_000n));
}

function model(id: string, type: string, rules: object[], more: object = {}) {
  return { id, type, ...more, routes: [{ channel: 'main' }], price: { rules } };
}

const INPUTS = [
  ['input', 'input_token', {}],
  ['cache_input', 'cached_input_token', { cachedInputTokens: 1 }],
  ['cache_write', 'cache_write_token', { cacheWriteTokens: 1 }],
] as const;

function tokens({ id, type, pricing, context = 8_192 }: Listed): Converted {
  const isText = type === 'text';
  const points: Point[] = [];
  const rulesOf = (prices: Pricing, count: number, when?: object) => {
    const rules = INPUTS.flatMap(([name, unit, of]) => {
      const figure = prices[name];
      if (!figure) return [];
      const usage = {
        inputTokens: count,
        ...Object.fromEntries(Object.keys(of).map((key) => [key, count])),
      };
      points.push({ model: id, usage, nano: cost([figure, count, MILLION]) });
      return [{ unit, per: MILLION, usd: usdOf(figure), ...(when && { when }) }];
    });
    // An embedding puts nothing out.
    const { input, output } = prices;
    if (!output || !isText) return rules;
    const usage = { inputTokens: count, outputTokens: 777 };
    points.push({ model: id, usage, nano: cost([input!, count, MILLION], [output, 777, MILLION]) });
    return [
      ...rules,
      { unit: 'output_token', per: MILLION, usd: usdOf(output), ...(when && { when }) },
    ];
  };
  const { extended } = pricing;
  const from = extended?.context_token_threshold ?? 0;
  const rules = [
    ...(extended ? rulesOf(extended, from + 1, { input_tokens: { gt: from } }) : []),
    ...rulesOf(pricing, from || 1_000),
  ];
  const limits = isText ? { context, max_output: Math.min(context, 8_192) } : { context };
  return { models: [model(id, type, rules, limits)], points };
}

function pictures({ id, pricing }: Listed, type: 'image' | 'image_edit'): Converted {
  const { resolutions = {}, quality = {}, inputImages } = pricing;
  const one = pricing.generation ?? pricing.inpaint;
  const hasQualities = Object.keys(quality).length > 0;
  const priced: [figure: Figure, asked: object, when: object][] = [
    ...Object.entries(quality).flatMap(([resolution, figures]) =>
      Object.entries(figures).map(([name, figure]): (typeof priced)[number] => {
        const both = { resolution, quality: name };
        return [figure, both, both];
      }),
    ),
    // What nobody chooses has a price of its own beside those of the qualities.
    ...Object.entries(resolutions).map(([resolution, figure]): (typeof priced)[number] => [
      figure,
      { resolution },
      { resolution, ...(hasQualities && { quality: 'auto' }) },
    ]),
    ...(one ? [[one, {}, {}] as (typeof priced)[number]] : []),
  ];
  const isSized = Object.keys(resolutions).length > 0;
  const rules: object[] = priced
    .filter(([figure]) => figure !== one || !isSized)
    .map(([figure, , when]) => ({
      unit: 'image',
      usd: usdOf(figure),
      ...(Object.keys(when).length > 0 && { when }),
    }));
  if (inputImages) {
    const { included, additional } = inputImages;
    rules.push({ unit: 'input_image', usd: usdOf(additional), included });
  }
  const params = {
    ...(hasQualities && { defaults: { quality: 'auto' } }),
    ...(type === 'image_edit' && { input_modes: ['image'], max_input_images: 3 }),
  };
  const points = priced.flatMap(([figure, asked]) =>
    (inputImages ? [1, 3] : [0]).map((count) => {
      const more = Math.max(0, count - (inputImages?.included ?? 0));
      const images = { ...(count && { images: Array.from({ length: count }, () => PICTURE) }) };
      const extra = inputImages?.additional ?? { usd: 0 };
      return {
        model: id,
        fields: { ...asked, ...images },
        nano: cost([figure, 1, 1], [extra, more, 1]),
      };
    }),
  );
  return { models: [model(id, type, rules, { params })], points };
}

function upscales({ pricing }: Listed, id: string): Converted {
  const figures = Object.entries(pricing.upscale!);
  const rules = figures.map(([factor, figure]) => ({
    unit: 'upscale',
    usd: usdOf(figure),
    when: { factor },
  }));
  const points = figures.map(([factor, figure]) => ({
    model: id,
    fields: { scale: Number.parseInt(factor) },
    nano: cost([figure, 1, 1]),
  }));
  return { models: [model(id, 'upscale', rules)], points };
}

function sound({ id, pricing }: Listed): Converted {
  const { generation, per_second: second, per_thousand_characters: thousand } = pricing;
  if (generation) return flat(id, 'music', 'generation', generation, {}, [1, 1]);
  if (second) {
    const length = { duration: { min: 1, max: 60 } };
    return flat(id, 'sound', 'output_second', second, { duration_seconds: '20' }, [20, 1], length);
  }
  const prompt = 'a'.repeat(750);
  return flat(id, 'music', 'character', thousand!, { prompt }, [750, 1_000]);
}

function songs({ id, pricing }: Listed): Converted {
  const tiers = Object.values(pricing.durations!);
  const rules = tiers.map((tier, n) => {
    // Venice's lengths are whole seconds; between two tiers it is the longer one's price.
    const from = n ? { gt: tiers[n - 1]!.max_seconds } : { gte: tier.min_seconds };
    return {
      unit: 'generation',
      usd: usdOf(tier),
      when: { duration: { ...from, lte: tier.max_seconds } },
    };
  });
  const duration = { min: tiers[0]!.min_seconds, max: tiers.at(-1)!.max_seconds };
  const points = tiers.flatMap((tier) =>
    [tier.min_seconds, tier.max_seconds].map((seconds) => ({
      model: id,
      fields: { duration_seconds: seconds },
      nano: cost([tier, 1, 1]),
    })),
  );
  return { models: [model(id, 'music', rules, { params: { duration } })], points };
}

/** One figure for `per` of a unit, and a request for `times`. */
function flat(
  id: string,
  type: string,
  unit: string,
  figure: Figure,
  fields: Record<string, unknown>,
  [times, per]: [number, number],
  params: object = {},
): Converted {
  return {
    models: [model(id, type, [{ unit, per, usd: usdOf(figure) }], { params })],
    points: [{ model: id, fields, nano: cost([figure, times, per]) }],
  };
}
