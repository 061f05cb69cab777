/**
 * Counters that end by themselves, behind rate-limiter-flexible's interface: the one place where their store is chosen. In memory
 * for now; `new RateLimiterRedis({ storeClient, points, duration })` or RateLimiterPostgres would share them among servers.
 */
import { type RateLimiterAbstract, RateLimiterRes } from 'rate-limiter-flexible';
import type { Clock } from '../clock.ts';

/** Of a limiter only counting is used (`penalty`, `reward`, `get`, `set`): limits differ by caller, so they are compared here. */
export type Counters = Pick<RateLimiterAbstract, 'penalty' | 'reward' | 'get' | 'set'>;

export interface CountersOptions {
  clock: Clock;
  /** Seconds that a counter lives, where nothing else is said when it begins. */
  seconds: number;
  /** Most counters kept. When there are more, the one that began first is forgotten. */
  most: number;
}

export function createCounters(options: CountersOptions): Counters {
  return new MemoryCounters(options);
}

interface Counter {
  value: number;
  endsAtMs: number;
}

/** How many of the oldest are looked at for ended ones whenever a new one comes: what has ended is gone before it is missed. */
const SWEPT = 4;

/**
 * The library's own memory store keeps a timer for each counter, has no bound and reads the system's clock. Everything here happens
 * at once, so that requests which come together are counted one after the other.
 */
export class MemoryCounters implements Counters {
  readonly #clock: Clock;
  readonly #seconds: number;
  readonly #most: number;
  /** In the order in which they began. */
  readonly #counters = new Map<string, Counter>();

  constructor({ clock, seconds, most }: CountersOptions) {
    this.#clock = clock;
    this.#seconds = seconds;
    this.#most = most;
  }

  get size(): number {
    return this.#counters.size;
  }

  penalty(
    key: string,
    points = 1,
    options: { customDuration?: number } = {},
  ): Promise<RateLimiterRes> {
    const nowMs = this.#clock.nowMs();
    const found = this.#counters.get(key);
    if (!found || found.endsAtMs <= nowMs) {
      const counter = this.#begin(key, points, options.customDuration ?? this.#seconds, nowMs);
      return Promise.resolve(resultOf(counter, nowMs));
    }
    found.value += points;
    return Promise.resolve(resultOf(found, nowMs));
  }

  /** Gives nothing back to a counter that has ended. */
  reward(key: string, points = 1): Promise<RateLimiterRes> {
    const nowMs = this.#clock.nowMs();
    const found = this.#counters.get(key);
    if (!found || found.endsAtMs <= nowMs) return Promise.resolve(new RateLimiterRes(0, 0, 0));
    found.value = Math.max(0, found.value - points);
    return Promise.resolve(resultOf(found, nowMs));
  }

  get(key: string): Promise<RateLimiterRes | null> {
    const found = this.#counters.get(key);
    if (!found) return NOTHING;
    const nowMs = this.#clock.nowMs();
    return found.endsAtMs <= nowMs ? NOTHING : Promise.resolve(resultOf(found, nowMs));
  }

  set(key: string, points: number, seconds: number): Promise<RateLimiterRes> {
    const nowMs = this.#clock.nowMs();
    return Promise.resolve(resultOf(this.#begin(key, points, seconds, nowMs), nowMs));
  }

  #begin(key: string, value: number, seconds: number, nowMs: number): Counter {
    this.#counters.delete(key);
    this.#makeRoom(nowMs);
    const counter = { value, endsAtMs: nowMs + seconds * 1_000 };
    this.#counters.set(key, counter);
    return counter;
  }

  #makeRoom(nowMs: number): void {
    let seen = 0;
    for (const [key, { endsAtMs }] of this.#counters) {
      const isFull = this.#counters.size >= this.#most;
      if (!isFull && (seen >= SWEPT || endsAtMs > nowMs)) return;
      this.#counters.delete(key);
      seen += 1;
    }
  }
}

const NOTHING = Promise.resolve(null);

function resultOf({ value, endsAtMs }: Counter, nowMs: number): RateLimiterRes {
  return new RateLimiterRes(0, endsAtMs - nowMs, value);
}
