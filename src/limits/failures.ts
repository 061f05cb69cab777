/** Callers whose requests fail again and again are told to wait: Venice's 20 failed requests in 30 seconds. */
import { type Principal, principalName } from '../auth/principal.ts';
import type { Clock } from '../clock.ts';
import type { FailedRequestsConfig } from '../config/config.ts';
import { AppError, type ErrorCode } from '../errors.ts';
import { type Counters, createCounters } from './counters.ts';
import type { Hits } from './hits.ts';

const MAX_CALLERS = 50_000;

/**
 * What does not count although it is no success: faults of ours and of upstreams, answers that only say when or how to come again
 * (402, 429, 503), and a caller that left.
 */
const NOT_COUNTED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'internal',
  'unavailable',
  'not_configured',
  'no_channel',
  'upstream_failed',
  'upstream_timeout',
  'upstream_busy',
  'payment_required',
  'insufficient_balance',
  'credit_exhausted',
  'spend_limit_exceeded',
  'payment_pending',
  'rate_limited',
  'request_timeout',
  'client_closed',
]);

export class Failures {
  #config: FailedRequestsConfig;
  readonly #counters: Counters;
  readonly #hits: Hits;

  constructor({ config, clock, hits }: { config: FailedRequestsConfig; clock: Clock; hits: Hits }) {
    this.#config = config;
    this.#hits = hits;
    this.#counters = createCounters({ clock, seconds: config.seconds, most: MAX_CALLERS });
  }

  /** Other limits from now on; what was counted stays counted. */
  replace(config: FailedRequestsConfig): void {
    this.#config = config;
  }

  /** Throws rate_limited while the caller is to wait. */
  async require(principal: Principal): Promise<void> {
    const { count, seconds } = this.#config;
    if (count === 0) return;
    const failed = await this.#counters.get(principalName(principal));
    if (!failed || failed.consumedPoints < count) return;
    this.#hits.add(principal, '', 'FAILED_REQUESTS');
    const waitSeconds = Math.max(1, Math.ceil(failed.msBeforeNext / 1_000));
    throw new AppError(
      'rate_limited',
      `Too many failed attempts (${count} in ${seconds} s) resulting in a non-success status code. Please wait ${waitSeconds}s and try again.`,
      { retryAfterSeconds: waitSeconds },
    );
  }

  /** A request failed; the last one that is allowed begins the wait, in full. */
  async count(principal: Principal, error: unknown): Promise<void> {
    const { count, seconds } = this.#config;
    if (count === 0 || !(error instanceof AppError) || NOT_COUNTED.has(error.code)) return;
    const name = principalName(principal);
    const { consumedPoints } = await this.#counters.penalty(name, 1, {
      customDuration: seconds,
    });
    if (consumedPoints === count) await this.#counters.set(name, count, seconds);
  }
}
