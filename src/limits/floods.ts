/**
 * Answers that anybody gets for nothing, by address: 401 to credentials that do not work, 402 to nobody. Beyond a number a minute
 * they become 429, without a look at what was sent. Keys that have worked before are never asked for their address.
 */
import type { Clock } from '../clock.ts';
import type { FloodsConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { type Counters, createCounters } from './counters.ts';

export type Flood = 'unauthorized' | 'paymentRequired';

const WINDOW_SECONDS = 60;
const MAX_ADDRESSES = 50_000;
const V6_NETWORK_PARTS = 4;

export class Floods {
  #most: Record<Flood, number>;
  readonly #counters: Record<Flood, Counters>;

  constructor({ config, clock }: { config: FloodsConfig; clock: Clock }) {
    const create = () => createCounters({ clock, seconds: WINDOW_SECONDS, most: MAX_ADDRESSES });
    this.#most = mostOf(config);
    this.#counters = { unauthorized: create(), paymentRequired: create() };
  }

  /** Other limits from now on; what was counted stays counted. */
  replace(config: FloodsConfig): void {
    this.#most = mostOf(config);
  }

  /** Throws rate_limited where an address had as many of these answers as it may. */
  async require(flood: Flood, ip: string): Promise<void> {
    if (this.#most[flood] === 0) return;
    const had = await this.#counters[flood].get(networkOf(ip));
    if (had && had.consumedPoints >= this.#most[flood]) throw tooMany(flood, had.msBeforeNext);
  }

  /** Counts one such answer; the error to send instead where it is one too many. */
  async count(flood: Flood, ip: string): Promise<AppError | null> {
    const most = this.#most[flood];
    if (most === 0) return null;
    const { consumedPoints, msBeforeNext } = await this.#counters[flood].penalty(networkOf(ip));
    return consumedPoints > most ? tooMany(flood, msBeforeNext) : null;
  }
}

function mostOf(config: FloodsConfig): Record<Flood, number> {
  return {
    unauthorized: config.unauthorizedPerMinute,
    paymentRequired: config.paymentRequiredPerMinute,
  };
}

function tooMany(flood: Flood, waitMs: number): AppError {
  const what =
    flood === 'unauthorized'
      ? 'credentials that do not work'
      : 'requests without anybody who pays for them';
  return new AppError('rate_limited', `Too many ${what} from your address.`, {
    retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1_000)),
  });
}

/** Who has an IPv6 address has all of its /64; an IPv4 address stands for itself. */
export function networkOf(ip: string): string {
  if (!ip.includes(':')) return ip;
  const [head = '', tail] = (ip.split('%')[0] ?? '').split('::');
  const before = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const after = tail === '' ? [] : tail.split(':');
    const missing = Math.max(0, 8 - before.length - after.length);
    before.push(...Array<string>(missing).fill('0'), ...after);
  }
  const parts = before.slice(0, V6_NETWORK_PARTS);
  return `${parts.map((part) => part.replace(/^0+(?=.)/, '')).join(':')}::/64`;
}
