/** What an upstream says that it made, held against what was ordered. */
import type { MediaType } from '../config/config.ts';
import type { Units } from '../pricing/rules.ts';

/** A clip is whole frames, and servers report what they like: within this of what was ordered it is what was ordered. What was heard is no clip. */
const SECONDS_SLACK = 0.5;
const SECONDS = ['output_second', 'input_second'] as const;
/** Of these each of n things has its part. */
const PER_ITEM = [
  'image',
  'generation',
  'upscale',
  'megapixel',
  'output_image_token',
  'output_second',
  'video_token',
];
/** More is no measure of anything. */
const MOST_UNITS = 2 ** 33;

/** How many of `n` things there are; more than were ordered are a gift. */
export function deliveredItems({ image, generation }: Units, n: number): number {
  return Math.min(n, image ?? generation ?? n);
}

/** A unit that is not reported, or that nobody can have meant, is as it was ordered, for as many things as there are. */
export function deliveredUnits(type: MediaType, ordered: Units, measured: Units, n: number): Units {
  const items = deliveredItems(measured, n);
  const units: Record<string, number> = { ...ordered };
  for (const name of PER_ITEM) {
    if (units[name] !== undefined) units[name] = (units[name] * items) / n;
  }
  for (const [name, quantity] of Object.entries(measured)) {
    const isItems = name === 'image' || name === 'generation';
    if (isItems || units[name] === undefined) continue;
    if (quantity >= 0 && quantity <= MOST_UNITS) units[name] = quantity;
  }
  for (const name of SECONDS) {
    const whole = ordered[name];
    if (type !== 'stt' && whole !== undefined && Math.abs(units[name]! - whole) < SECONDS_SLACK)
      units[name] = whole;
  }
  const seconds = units[type === 'stt' ? 'input_second' : 'output_second'];
  if (units['minute'] !== undefined && seconds !== undefined) units['minute'] = seconds / 60;
  return units;
}
