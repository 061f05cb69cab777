/** Thousands of models and of orders to them: whatever is delivered inside of what was ordered costs no more than was held. */
import { describe, expect, it } from 'vitest';
import type { MediaEntry } from '../../src/catalogue.ts';
import { MEDIA_TYPES, type MediaType } from '../../src/config/config.ts';
import type { Asked } from '../../src/orders/asked.ts';
import { estimateOrder } from '../../src/orders/estimate.ts';
import { ceilingOfOrder, deliveredCost, type Order, orderOf } from '../../src/orders/order.ts';
import { UNITS_OF } from '../../src/orders/units.ts';
import { catalogueOf, type DescribedModel } from '../support/media-model.ts';

const MODELS = 2_000;
const ORDERS_EACH = 5;

/** Park and Miller's minimal standard generator. */
function generator(seed: number) {
  let state = seed;
  const next = () => {
    state = (state * 48_271) % 2_147_483_647;
    return (state - 1) / 2_147_483_646;
  };
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

type Random = ReturnType<typeof generator>;

const SIZES = ['512x512', '1024x1024', '1536x1024'];

function described(random: Random, id: string): DescribedModel {
  const type = random.one(MEDIA_TYPES);
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
      .flatMap((unit) => [{ unit, ...rate(random) }]),
  ];
  return { id, type, params, price: { rules, ...(random.chance(0.3) && { markup: '1.37' }) } };
}

/** By the values of one fact, or by lengths, and a last one for the rest. */
function rulesOf(
  random: Random,
  unit: string,
  type: MediaType,
  params: Record<string, unknown>,
): object[] {
  const range = params['duration'] as { min: number; max: number } | undefined;
  const byLength = (type === 'music' || type === 'sound' || type === 'video') && range;
  if (byLength && random.chance(0.5)) {
    const middle = random.whole(range.min, range.max - 1);
    return [
      { unit, ...rate(random), when: { duration: { lte: middle } } },
      { unit, ...rate(random), when: { duration: { gt: middle } } },
    ];
  }
  const facts: [string, string][] = [
    ['quality', 'qualities'],
    ['resolution', 'resolutions'],
    ['size', 'sizes'],
  ];
  const [fact, list] = random.one(facts);
  const [first, ...others] = params[list] as string[];
  if (!others.length || random.chance(0.3)) return [{ unit, ...rate(random) }];
  return [
    { unit, ...rate(random), when: { [fact]: first } },
    { unit, ...rate(random) },
  ];
}

function rate(random: Random): object {
  return {
    usd: `0.${String(random.whole(1, 999_999)).padStart(6, '0')}`,
    per: random.one([1, 1, 1, 60, 1_000]),
    ...(random.chance(0.2) && { step: random.one([0.5, 1, 10]) }),
    ...(random.chance(0.2) && { min: random.whole(1, 5) }),
    ...(random.chance(0.2) && { included: random.whole(1, 2) }),
  };
}

function askOf(random: Random, { model: { type, params } }: MediaEntry): Asked {
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
function measuredOf(random: Random, { model: { params } }: MediaEntry, order: Order) {
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
  }
  return { units };
}

describe('the ceiling of an order', () => {
  const random = generator(20_261_121);
  const catalogue = catalogueOf(
    ...Array.from({ length: MODELS }, (_, n) => described(random, `m${n}`)),
  );
  const entries = Array.from({ length: MODELS }, (_, n) => catalogue.mediaEntry(`m${n}`));

  it('covers whatever is delivered, and is the most of the estimate', () => {
    const types = new Set<MediaType>();
    let isLess = 0;
    for (const entry of entries) {
      types.add(entry.model.type);
      for (let times = 0; times < ORDERS_EACH; times++) {
        const asked = askOf(random, entry);
        const order = orderOf(entry.model, asked);
        const most = ceilingOfOrder(entry, order).amount;
        const measured = measuredOf(random, entry, order);
        const cost = deliveredCost(entry, order, measured).amount;
        const told = () => JSON.stringify({ model: entry.model, asked, order, measured }, null, 1);
        expect(cost, cost > most ? told() : '').toBeLessThanOrEqual(most);
        if (cost < most) isLess++;
      }
    }
    expect(types.size).toBe(MEDIA_TYPES.length);
    expect(isLess).toBeGreaterThan(MODELS);
  });

  it('is what the estimate of the same body says at most', () => {
    for (const entry of entries) {
      const { duration: range, durations } = entry.model.params;
      const body = {
        duration: range?.min ?? durations[0],
        n: entry.model.params.maxN,
        prompt: 'a fox',
        ...(entry.model.type === 'tts' && { input: 'hello' }),
      };
      const { order, min, expected, max } = estimateOrder(body, entry);
      expect(max).toBe(ceilingOfOrder(entry, order).amount);
      expect(min).toBeLessThanOrEqual(expected);
      expect(expected).toBeLessThanOrEqual(max);
    }
  });
});
