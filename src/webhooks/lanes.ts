/**
 * Whose turn it is. A lane is one account's deliveries to one origin. A receiver that hangs holds up its own lane and no other; one that
 * fails is asked less and less often until it answers again, however many deliveries wait for it.
 */
import type { Clock } from '../clock.ts';

/** Attempts under way … */
export const MOST_AT_ONCE = 32;
/** … of which so many may be retries: what fails again and again leaves room for what is new. */
const MOST_RETRIES = 16;
const MOST_OF_LANE = 2;
const MOST_OF_ORIGIN = 6;
const MOST_OF_ACCOUNT = 8;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 5 * 60_000;
/** Lanes whose failures are remembered; the longest unused is forgotten first, and then asked as if nothing had been. */
const MAX_REMEMBERED = 10_000;

export interface Lane {
  accountId: string;
  origin: string;
}

interface Failing {
  failures: number;
  untilMs: number;
}

export class Lanes {
  readonly #clock: Clock;
  readonly #running = new Map<string, number>();
  readonly #failing = new Map<string, Failing>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many of a lane may begin now. */
  room(lane: Lane): number {
    const failing = this.#failing.get(laneName(lane));
    if (failing && this.#clock.nowMs() < failing.untilMs) return 0;
    return Math.min(
      // One finds out whether it answers again.
      (failing ? 1 : MOST_OF_LANE) - this.#count(laneName(lane)),
      MOST_OF_ORIGIN - this.#count(`origin ${lane.origin}`),
      MOST_OF_ACCOUNT - this.#count(`account ${lane.accountId}`),
      MOST_AT_ONCE - this.#count('all'),
    );
  }

  isFull(): boolean {
    return this.#count('all') >= MOST_AT_ONCE;
  }

  roomForRetry(): boolean {
    return this.#count('retries') < MOST_RETRIES;
  }

  /** `end` says whether the receiver answered well. */
  begin(lane: Lane, isRetry: boolean): (isGood: boolean) => void {
    const names = [
      laneName(lane),
      `origin ${lane.origin}`,
      `account ${lane.accountId}`,
      'all',
      ...(isRetry ? ['retries'] : []),
    ];
    for (const name of names) this.#running.set(name, this.#count(name) + 1);
    return (isGood) => {
      for (const name of names) {
        const left = this.#count(name) - 1;
        if (left > 0) this.#running.set(name, left);
        else this.#running.delete(name);
      }
      if (isGood) this.#failing.delete(laneName(lane));
      else this.#fail(laneName(lane));
    };
  }

  #fail(name: string): void {
    const failures = (this.#failing.get(name)?.failures ?? 0) + 1;
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS);
    this.#failing.delete(name);
    this.#failing.set(name, { failures, untilMs: this.#clock.nowMs() + pause });
    const oldest = this.#failing.keys().next();
    if (this.#failing.size > MAX_REMEMBERED && !oldest.done) this.#failing.delete(oldest.value);
  }

  #count(name: string): number {
    return this.#running.get(name) ?? 0;
  }
}

export function laneName({ accountId, origin }: Lane): string {
  return `${accountId} ${origin}`;
}
