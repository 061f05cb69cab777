/** How long until something is tried again. */
const FIRST_MS = 2_000;
const LONGEST_LOOK_MS = 15_000;
const LONGEST_PAUSE_MS = 60_000;
/** An upstream that asks for more is asked again all the same. */
const LONGEST_ASKED_MS = 5 * 60_000;
const MAX_STEPS = 40;

/** Between looks at a task that is being made: 2 s, half as long again each time, 15 s at most. */
export function lookAfter(looks: number): number {
  return Math.min(LONGEST_LOOK_MS, Math.round(FIRST_MS * 1.5 ** Math.min(looks, MAX_STEPS)));
}

/** After something failed: 2 s, twice as long each time, a minute at most. */
export function pauseAfter(failures: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_MS * 2 ** Math.min(Math.max(0, failures - 1), MAX_STEPS));
}

export function askedPause(retryAfterSeconds: number | undefined): number {
  return Math.min(LONGEST_ASKED_MS, (retryAfterSeconds ?? 0) * 1_000);
}
