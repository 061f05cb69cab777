/** Lengths at which a price can change: its greatest and its least are at one of them. */
import type { MediaParams } from '../config/config.ts';
import type { Prices } from '../pricing/rules.ts';

/** Quantities count to a millionth: on either side of a bound, as near as can be. */
const NEAR = 0.000_001;

/** Every length of the list, or of the range its ends and both sides of each bound that a rule sets. */
export function lengthsOf({ durations, duration: range }: MediaParams, rules: Prices): number[] {
  if (!range) return [...durations];
  const inside = rules
    .boundsOf('duration')
    .flatMap((bound) => [bound - NEAR, bound, bound + NEAR])
    .filter((seconds) => seconds > range.min && seconds < range.max);
  return [range.min, ...inside, range.max];
}
