/** Everything that a media model offers is ordered once, on paper: what is for sale has a price, and a price is of something for sale. */
import { AppError } from '../errors.ts';
import type { Asked } from '../orders/asked.ts';
import { lengthsOf } from '../orders/lengths.ts';
import { orderOf } from '../orders/order.ts';
import { priceUnits } from '../orders/price.ts';
import { UNITS_OF } from '../orders/units.ts';
import { compileMediaPrice } from '../pricing/media.ts';
import { type Prices, type Rule, UnpricedError } from '../pricing/rules.ts';
import type { MediaModel } from './config.ts';
import type { Faults, Path } from './fault.ts';
import { isBehindAll } from './prices.ts';

const MAX_COMBINATIONS = 20_000;
/** Units that pixels decide, and the facts that decide pixels. */
const BY_PIXELS = ['megapixel', 'video_token', 'output_image_token'];
const OF_PIXELS = ['size', 'resolution', 'aspect_ratio', 'quality'];
const BY_LENGTH = ['output_second', 'minute', 'video_token'];

type Values = Record<string, readonly unknown[]>;

/** `path`: of the model. `at`: of its rules, or of whatever they were made from. */
export function walkMedia(model: MediaModel, path: Path, at: Path, faults: Faults): void {
  const rules = readablePrices(model, at, faults);
  if (!rules || !requireMain(model, rules, at, faults)) return;
  const values = valuesOf(model, rules);
  const count = Object.values(values).reduce((product, list) => product * list.length, 1);
  if (count > MAX_COMBINATIONS) {
    const right = `must offer at most ${MAX_COMBINATIONS} combinations of what the price depends on, and these are ${count}`;
    faults.add([...path, 'params'], right);
    return;
  }
  const used = new Set<Rule>();
  const unpriced: string[] = [];
  for (const asked of combinations(values)) {
    try {
      const { units, circumstances } = orderOf(model, asked);
      const { lines } = priceUnits(model.type, rules, units, circumstances);
      for (const { unit } of lines) used.add(rules.ruleOf(unit, circumstances));
    } catch (error) {
      if (error instanceof UnpricedError) unpriced.push(unpricedText(error, asked));
      else if (error instanceof AppError) faults.add([...path, 'params'], error.message);
      else throw error;
    }
  }
  if (unpriced.length) {
    const more = unpriced.length > 1 ? ` (and ${unpriced.length - 1} more like it)` : '';
    faults.add(at, `must price everything that is offered: ${unpriced[0]}${more}`);
  }
  for (const [n, rule] of model.price.rules.entries()) {
    if (used.has(rule) || unpriced.length || isBehindAll(model.price.rules, n)) continue;
    faults.add(
      [...at, n],
      `can never apply: nothing that is offered fits it, or an earlier rule takes it all`,
    );
  }
}

function readablePrices(model: MediaModel, at: Path, faults: Faults): Prices | null {
  try {
    return compileMediaPrice(model.price).rules;
  } catch (error) {
    faults.add(at, `must be rules: ${error instanceof Error ? error.message : 'they are not'}`);
    return null;
  }
}

function requireMain(
  { type, params }: MediaModel,
  rules: Prices,
  at: Path,
  faults: Faults,
): boolean {
  const { main } = UNITS_OF[type];
  if (!main.some((unit) => rules.has(unit))) {
    faults.add(at, `must price ${main.join(' or ')}: what has no price is not sold`);
    return false;
  }
  const isByLength = type !== 'stt' && BY_LENGTH.some((unit) => rules.has(unit));
  if (!isByLength || params.durations.length || params.duration) return true;
  faults.add(
    at,
    'must be about declared lengths: params.durations, or params.duration as { min, max }',
  );
  return false;
}

/** Of every fact that the price depends on, the values at which it can change. */
function valuesOf({ type, params }: MediaModel, rules: Prices): Values {
  const depends = rules.circumstances();
  if (BY_PIXELS.some((unit) => rules.has(unit))) for (const fact of OF_PIXELS) depends.add(fact);
  if (BY_LENGTH.some((unit) => rules.has(unit))) depends.add('duration');
  if (rules.has('input_second') || rules.has('input_image')) depends.add('input_mode');
  if (rules.has('input_image') && !params.inputModes.length) depends.add('input_images');
  const { audio, maxN } = params;
  const all: Values = {
    size: params.sizes,
    resolution: params.resolutions,
    quality: params.qualities,
    aspect_ratio: params.aspectRatios,
    factor: params.factors,
    fps: params.fps,
    audio: audio === true ? [true, false] : audio === null ? [] : [audio === 'always'],
    input_mode: type === 'stt' || type === 'tts' ? [] : params.inputModes,
    input_images: [0, params.maxInputImages],
    duration: lengthsOf(params, rules),
    n: around(rules.boundsOf('n')).filter((n) => n >= 1 && n <= maxN),
    input_tokens: around(rules.boundsOf('input_tokens')),
  };
  return Object.fromEntries(
    Object.entries(all).filter(([name, list]) => depends.has(name) && list.length > 0),
  );
}

function around(bounds: readonly number[]): number[] {
  return [...new Set([1, ...bounds.flatMap((bound) => [bound - 1, bound, bound + 1])])].filter(
    (value) => value >= 1,
  );
}

function* combinations(values: Values): Generator<Asked> {
  const entries = Object.entries(values);
  const total = entries.reduce((product, [, list]) => product * list.length, 1);
  for (let index = 0; index < total; index++) {
    let left = index;
    const asked: Record<string, unknown> = {};
    for (const [name, list] of entries) {
      asked[name] = list[left % list.length];
      left = Math.floor(left / list.length);
    }
    yield asked;
  }
}

function unpricedText({ unit }: UnpricedError, asked: Asked): string {
  const facts = Object.entries(asked).map(([name, value]) => `${name} ${value}`);
  return `${unit}${facts.length ? ` with ${facts.join(', ')}` : ''} has none`;
}
