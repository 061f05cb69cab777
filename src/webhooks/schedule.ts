/** When a delivery is tried again: at once, then after longer and longer waits, for a little more than three days in all. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Waits after each failed attempt: ten attempts over 75 hours and more. */
export const WAITS_MS: readonly number[] = [
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
];

/** Never earlier, so that the last attempt is after three days; later by up to that share, so that crowds disperse. */
const JITTER = 0.2;
/** A receiver may ask for that much patience. */
const LONGEST_ASKED_MS = 24 * HOUR;
/** Behind others of the same receiver that fail, a delivery may wait longer than its own schedule; then it is over all the same. */
export const LAST_ATTEMPT_MS = 5 * 24 * HOUR;

/** Null after the last attempt. `attempts`: those that were made. `askedMs`: what the receiver asked for, in Retry-After. */
export function waitMs(attempts: number, askedMs: number, random: () => number): number | null {
  const wait = WAITS_MS[attempts - 1];
  if (wait === undefined) return null;
  const asked = Math.min(askedMs, LONGEST_ASKED_MS);
  return Math.ceil(Math.max(wait, asked) * (1 + JITTER * random()));
}
