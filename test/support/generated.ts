/** Models with prices of every kind, orders to them, and what an upstream may make of those without going beyond them. */
import type { MediaEntry } from '../../src/catalogue.ts';
import { MEDIA_TYPES } from '../../src/config/config.ts';
import type { Asked } from '../../src/orders/asked.ts';
import type { Order } from '../../src/orders/order.ts';
import { UNITS_OF } from '../../src/orders/units.ts';
import type { DescribedModel } from './media-model.ts';
import { seeded } from './seeded.ts';

/** Settings that sell these, over a channel that can make what each is. */
export function fileWith(...models: readonly DescribedModel[]): string {
  const api_key = 'sk-test-key';
  const channels = ['openai', 'fal'].map((provider) => {
    return { id: provider, provider, base_url: 'https://api.example.com/v1', api_key };
  });
  const routed = models.map((model) => ({
    ...model,
    routes: [{ channel: MADE_ELSEWHERE.has(model.type ?? '') ? 'fal' : 'openai' }],
  }));
  return JSON.stringify({ channels, models: routed });
}

const MADE_ELSEWHERE = new Set(['upscale', 'background_remove', 'music', 'sound']);

export type Random = ReturnType<typeof randomOf>;

export function randomOf(seed: number) {
  const next = seeded(seed);
  const whole = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  return {
    next,
    whole,
    chance: (share: number) => next() < share,
    one: <T>(list: readonly T[]): T => list[whole(0, list.length - 1)]!,
    some: <T>(list: readonly T[]): T[] => {
      const chosen = list.filter(() => next() < 0.6);
      return chosen.length ? chosen : [list[0]!];
    },
  };
}

const SIZES = ['512x512', '1024x1024', '1536x1024'];

/** Of one of the types, or of any. */
export function mediaModelOf(random: Random, id: string, types = MEDIA_TYPES): DescribedModel {
  const type = random.one(types);
  const params: Record<string, unknown> = {
    sizes: random.some(SIZES),
    qualities: random.some(['low', 'medium', 'high']),
    resolutions: random.some(['480p', '720p', '1080p']),
    output_tokens: { low: 400, medium: 1_500, high: 6_000 },
    max_n: random.whole(1, 6),
    audio: true,
  };
  if (random.chance(0.5)) params['durations'] = random.some([4, 5, 8, 10]);
  else params['duration'] = { min: random.whole(1, 10), max: random.whole(11, 300) };
  if (type === 'upscale') params['factors'] = random.some(['2x', '4x']);
  const rules = [
    ...rulesOf(random, random.one(UNITS_OF[type].main), type, params),
    ...UNITS_OF[type].extra
      .filter(() => random.chance(0.4))
      .flatMap((unit) => [{ unit, ...rateOf(random) }]),
  ];
  return { id, type, params, price: { rules, ...(random.chance(0.3) && { markup: '1.37' }) } };
}

/** By the values of one fact, or by lengths, and a last one for the rest. */
function rulesOf(
  random: Random,
  unit: string,
  type: string,
  params: Record<string, unknown>,
): object[] {
  const range = params['duration'] as { min: number; max: number } | undefined;
  const byLength = (type === 'music' || type === 'sound' || type === 'video') && range;
  if (byLength && random.chance(0.5)) {
    const middle = random.whole(range.min, range.max - 1);
    return [
      { unit, ...rateOf(random), when: { duration: { lte: middle } } },
      { unit, ...rateOf(random), when: { duration: { gt: middle } } },
    ];
  }
  const facts: [string, string][] = [
    ['quality', 'qualities'],
    ['resolution', 'resolutions'],
    ['size', 'sizes'],
  ];
  const [fact, list] = random.one(facts);
  const [first, ...others] = params[list] as string[];
  if (!others.length || random.chance(0.3)) return [{ unit, ...rateOf(random) }];
  return [
    { unit, ...rateOf(random), when: { [fact]: first } },
    { unit, ...rateOf(random) },
  ];
}

function rateOf(random: Random): object {
  return {
    usd: `0.${String(random.whole(1, 999_999)).padStart(6, '0')}`,
    per: random.one([1, 1, 1, 60, 1_000]),
    ...(random.chance(0.2) && { step: random.one([0.5, 1, 10]) }),
    ...(random.chance(0.2) && { min: random.whole(1, 5) }),
    ...(random.chance(0.2) && { included: random.whole(1, 2) }),
  };
}

export function askOf(random: Random, { model: { type, params } }: MediaEntry): Asked {
  const asked: Asked = { n: random.whole(1, params.maxN) };
  if (random.chance(0.5)) asked.quality = random.one(params.qualities);
  if (random.chance(0.5)) asked.resolution = random.one(params.resolutions);
  if (random.chance(0.5)) asked.size = random.one(params.sizes);
  if (random.chance(0.5)) asked.audio = random.chance(0.5);
  if (random.chance(0.4)) asked.duration = 'auto';
  else if (params.duration) asked.duration = random.whole(params.duration.min, params.duration.max);
  if (type === 'tts') asked.characters = random.whole(1, 4_096);
  if (type === 'stt') asked.input_seconds = random.whole(1, 14_000) / 7;
  if (type === 'image' || type === 'video') asked.input_mode = random.one(['text', 'image']);
  if (asked.input_mode === 'image') asked.input_images = random.whole(1, 10);
  return asked;
}

/** Something that an upstream may report without going beyond what was ordered. */
export function measuredOf(random: Random, { model: { params } }: MediaEntry, order: Order) {
  const units: Record<string, number> = {};
  for (const [unit, most] of Object.entries(order.units)) {
    if (random.chance(0.5)) units[unit] = random.chance(0.2) ? most : most * random.next();
  }
  const { n = 1, duration } = order.asked;
  const made = units['image'] === undefined ? n : random.whole(0, n);
  if (units['image'] !== undefined) units['image'] = made;
  delete units['generation'];
  if (duration === 'auto' && units['output_second'] !== undefined) {
    const { durations, duration: range } = params;
    const seconds = range
      ? range.min + random.next() * (range.max - range.min)
      : random.one(durations);
    units['output_second'] = seconds * made;
    const longest = range?.max ?? Math.max(...durations);
    const tokens = units['video_token'];
    if (tokens !== undefined) units['video_token'] = Math.floor((tokens * seconds) / longest);
  }
  return { units };
}
