/**
 * Prices as Venice lists them: a few plain figures of what the rules come to. Each is asked of the rules themselves, so that it is what
 * is charged; what Venice's form has no place for, such as videos, is in /v1/models and in the quotes.
 */
import type { CatalogueEntry, MediaEntry, TokenEntry } from '../../catalogue.ts';
import { AppError } from '../../errors.ts';
import type { Asked } from '../../orders/asked.ts';
import { ceilingOfOrder, orderOf } from '../../orders/order.ts';
import type { Tier } from '../../pricing/tokens.ts';
import { type Range, type Rule, UnpricedError } from '../../pricing/rules.ts';

interface Figure {
  usd: number;
  /** Venice's other money; a diem is a dollar a day, and here a dollar. */
  diem: number;
}
type Pricing = Record<string, unknown>;

/** Null where Venice's form cannot say it. */
export function modelPricing(entry: CatalogueEntry): Pricing | null {
  if (entry.kind === 'tokens') return tokenPricing(entry);
  switch (entry.model.type) {
    case 'image':
    case 'background_remove':
      return imagePricing(entry, 'generation');
    case 'image_edit':
      return imagePricing(entry, 'inpaint');
    case 'upscale':
      return upscalePricing(entry);
    case 'tts':
      return spoken(entry, 'input', 1_000_000);
    case 'stt':
      return heard(entry);
    case 'music':
    case 'sound':
      return soundPricing(entry);
    case 'video':
      return null;
  }
}

function tokenPricing({ model, price: { tiers } }: TokenEntry): Pricing {
  const [base, longer] = tiers;
  if (model.type === 'embedding') return { input: perMillion(base, base.input) };
  return {
    ...tierPricing(base),
    ...(longer && { extended: { context_token_threshold: longer.from, ...tierPricing(longer) } }),
  };
}

function tierPricing(tier: Tier): Pricing {
  const { input, cachedInput, cacheWrite, output } = tier;
  return {
    input: perMillion(tier, input),
    output: perMillion(tier, output),
    ...(cachedInput !== input && { cache_input: perMillion(tier, cachedInput) }),
    ...(cacheWrite !== input && { cache_write: perMillion(tier, cacheWrite) }),
  };
}

/** Rates are nano-dollars a token: thousands of them are dollars a million. */
function perMillion({ denominator }: Tier, rate: bigint): Figure {
  return figure(Number((rate * 1_000_000_000n) / denominator) / 1e12);
}

function imagePricing(entry: MediaEntry, name: 'generation' | 'inpaint'): Pricing | null {
  const one = at(entry, {});
  if (!one) return null;
  const { resolutions, sizes, qualities } = entry.model.params;
  const field = resolutions.length ? 'resolution' : 'size';
  const named = resolutions.length ? resolutions : sizes;
  const perName = (ask: (name: string) => unknown) =>
    Object.fromEntries(named.map((each) => [each, ask(each)]));
  const isByName = named.length > 1 || (named.length > 0 && qualities.length > 0);
  return {
    [name]: one,
    ...(isByName && { resolutions: perName((each) => at(entry, { [field]: each })) }),
    ...(named.length &&
      qualities.length && {
        quality: perName((each) =>
          Object.fromEntries(
            qualities.map((quality) => [quality, at(entry, { [field]: each, quality })]),
          ),
        ),
      }),
    ...inputImages(entry),
  };
}

function inputImages(entry: MediaEntry): Pricing {
  const { rules } = entry.price.list;
  const { maxInputImages: most } = entry.model.params;
  const rule = rules.find(({ unit }) => unit === 'input_image');
  if (!rule || most < 2) return {};
  const { included = 0 } = rule;
  const before = Math.max(1, Math.min(included, most - 1));
  const [few, more] = [before, before + 1].map((count) => nanoAt(entry, { input_images: count }));
  if (few == null || more == null) return {};
  return { inputImages: { included, additional: figure((more - few) / 1e9) } };
}

function upscalePricing(entry: MediaEntry): Pricing | null {
  const { factors } = entry.model.params;
  const byFactor = factors.flatMap((factor) => {
    const price = at(entry, { factor });
    return price ? [[factor, price] as const] : [];
  });
  if (byFactor.length) return { upscale: Object.fromEntries(byFactor) };
  const one = at(entry, {});
  return one && { generation: one };
}

function soundPricing(entry: MediaEntry): Pricing | null {
  const { rules } = entry.price.list;
  const tiers = rules.flatMap((rule) => lengthsOf(rule, entry.model.params.duration?.min));
  if (tiers.length) {
    const priced = tiers.map(({ min, max }) => [
      String(max),
      { ...at(entry, { duration: max }), min_seconds: min, max_seconds: max },
    ]);
    return { durations: Object.fromEntries(priced) as Pricing };
  }
  const has = (unit: string) => rules.some((rule) => rule.unit === unit);
  if (has('output_second')) return timed(entry, 'output_second', 1);
  if (has('minute')) return timed(entry, 'minute', 60);
  if (has('character')) return spoken(entry, 'per_thousand_characters', 1_000);
  const one = at(entry, {});
  return one && { generation: one };
}

/** A rule for songs of some length, in whole seconds. */
function lengthsOf({ unit, when }: Rule, shortest = 1): { min: number; max: number }[] {
  const range = when?.['duration'];
  if (unit !== 'generation' || typeof range !== 'object' || Array.isArray(range)) return [];
  const { gt, gte, lt, lte } = range as Range;
  const max = lte ?? (lt === undefined ? undefined : Math.ceil(lt) - 1);
  const min = gte ?? (gt === undefined ? shortest : Math.floor(gt) + 1);
  return max === undefined ? [] : [{ min, max }];
}

function timed(entry: MediaEntry, unit: string, seconds: number): Pricing | null {
  const rate = ratePer(entry, unit, 1);
  return rate === null ? null : { per_second: figure(rate / seconds) };
}

function heard(entry: MediaEntry): Pricing | null {
  const second = ratePer(entry, 'input_second', 3_600) ?? null;
  const minute = second === null ? ratePer(entry, 'minute', 60) : null;
  const rate = second ?? (minute === null ? null : minute / 60);
  return rate === null ? null : { per_audio_second: figure(rate) };
}

function spoken(entry: MediaEntry, name: string, characters: number): Pricing | null {
  const rate = ratePer(entry, 'character', 1_000_000);
  return rate === null ? null : { [name]: figure(rate * characters) };
}

/** Dollars for one unit, measured over many so that nothing is rounded; null where it depends on more, or has no price. */
function ratePer({ price: { rules } }: MediaEntry, unit: string, many: number): number | null {
  if (!rules?.has(unit)) return null;
  try {
    return rules.price({ [unit]: many }, {}).amount / 1e9 / many;
  } catch (error) {
    if (error instanceof UnpricedError) return null;
    throw error;
  }
}

/** What one of it costs with everything else as usual; null where that cannot be asked. */
function at(entry: MediaEntry, asked: Asked): Figure | null {
  const nano = nanoAt(entry, asked);
  return nano === null ? null : figure(nano / 1e9);
}

function nanoAt(entry: MediaEntry, asked: Asked): number | null {
  try {
    return ceilingOfOrder(entry, orderOf(entry.model, asked)).amount;
  } catch (error) {
    if (error instanceof UnpricedError || error instanceof AppError) return null;
    throw error;
  }
}

function figure(usd: number): Figure {
  const plain = Number(usd.toPrecision(12));
  return { usd: plain, diem: plain };
}
