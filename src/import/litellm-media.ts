/** LiteLLM's prices of pictures, videos and sound. */
import type { Rule } from '../pricing/rules.ts';
import { decimal, isZero, times } from './decimal.ts';
import type { SizedPrice } from './litellm.ts';
import { type Fields, NotForSale, requirePriced, type Suggestion, textOf } from './suggestion.ts';

type Media = Pick<Suggestion, 'type' | 'rules' | 'notes' | 'params'>;

export function mediaOf(model: Fields, sized: readonly SizedPrice[]): Media {
  const mode = textOf(model['mode']) ?? 'not said';
  switch (mode) {
    case 'image_generation':
      return imageOf('image', model, sized);
    case 'image_edit':
      return imageOf('image_edit', model, sized);
    case 'video_generation':
      return videoOf(model);
    case 'audio_speech':
      return speechOf(model);
    case 'audio_transcription':
      return transcriptionOf(model);
    default:
      throw new NotForSale(`its mode is ${mode}, which is not sold here`);
  }
}

function imageOf(type: string, model: Fields, sized: readonly SizedPrice[]): Media {
  const notes: string[] = [];
  if (model['input_cost_per_token'] !== undefined)
    notes.push('input_cost_per_token: the prompt is sold with the picture');
  if (sized.length) return sizedOf(type, sized, notes);
  const usd = decimal(model['output_cost_per_image']) ?? decimal(model['input_cost_per_image']);
  if (usd === null) throw new NotForSale('it has no price of a picture');
  const rules = [{ unit: 'image', usd }];
  requirePriced(rules, 'image');
  notes.push('image: the price of its usual size; name larger ones in params and rules');
  return { type, rules, notes, params: {} };
}

/** A quality that has no price of some size cannot be offered; a size alone is what nobody's quality costs, which we always name. */
function sizedOf(type: string, all: readonly SizedPrice[], notes: string[]): Media {
  const sizes = [...new Set(all.map(({ size }) => size))];
  const named = all.filter(({ quality }) => quality !== undefined);
  const byQuality = Map.groupBy(named.length ? named : all, ({ quality }) => quality);
  const whole = [...byQuality].filter(([, prices]) => prices.length === sizes.length);
  if (!whole.length) throw new NotForSale('no quality of it is priced in every size');
  for (const [quality, prices] of byQuality) {
    if (prices.length < sizes.length) notes.push(`quality ${quality}: not priced in every size`);
  }
  const rules = whole.flatMap(([quality, prices]) =>
    prices.map(({ size, usd }): Rule => ({
      unit: 'image',
      usd,
      when: { ...(quality !== undefined && { quality }), size },
    })),
  );
  const qualities = whole.flatMap(([quality]) => quality ?? []);
  return { type, rules, notes, params: { sizes, ...(qualities.length && { qualities }) } };
}

function videoOf(model: Fields): Media {
  const second =
    decimal(model['output_cost_per_second']) ?? decimal(model['output_cost_per_video_per_second']);
  const large = decimal(model['output_cost_per_second_1080p']);
  if (second === null) throw new NotForSale('it has no price of a second');
  const rules: Rule[] = [{ unit: 'output_second', usd: second }];
  requirePriced(rules, 'output_second');
  if (large !== null) {
    rules.unshift({ unit: 'output_second', usd: large, when: { resolution: '1080p' } });
  }
  const params = large === null ? {} : { resolutions: ['720p', '1080p'] };
  return { type: 'video', rules, notes: ['durations: say in params which it takes'], params };
}

function speechOf(model: Fields): Media {
  const usd = decimal(model['input_cost_per_character'], 6);
  if (usd === null) throw new NotForSale('it is not priced by characters');
  const rules = [{ unit: 'character', per: 1_000_000, usd }];
  requirePriced(rules, 'character');
  return { type: 'tts', rules, notes: [], params: {} };
}

function transcriptionOf(model: Fields): Media {
  const { input_cost_per_second: input, output_cost_per_second: output } = model;
  const usd = [input, output]
    .map((value) => decimal(value))
    .find((found) => found && !isZero(found));
  if (!usd) throw new NotForSale('it is not priced by seconds of sound');
  return { type: 'stt', rules: [byTime(usd)], notes: [], params: {} };
}

/** Of a figure that was divided, the digits that are too many for a price by the second. */
const LONG = /[1-9][0-9]{6,}$/;

/** By the minute or the hour where the second is no round figure: 0.0002833333 a second was meant as 0.017 a minute. */
function byTime(second: string): Rule {
  for (const per of LONG.test(second.replace('.', '')) ? [60, 3_600] : []) {
    const usd = decimal(Number(Number(times(second, String(per))).toPrecision(6)));
    if (usd !== null && !LONG.test(usd.replace('.', ''))) return { unit: 'input_second', per, usd };
  }
  return { unit: 'input_second', usd: second };
}
