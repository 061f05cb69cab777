/** Everything that tells callers to slow down, over one clock. */
import type { Clock } from '../clock.ts';
import type { LimitsConfig } from '../config/config.ts';
import { Failures } from './failures.ts';
import { Floods } from './floods.ts';
import { Hits } from './hits.ts';
import { RateLimits } from './rates.ts';

export interface Guards {
  rates: RateLimits;
  failures: Failures;
  floods: Floods;
  hits: Hits;
}

export function createGuards(
  { rates, failedRequests, floods }: Pick<LimitsConfig, 'rates' | 'failedRequests' | 'floods'>,
  clock: Clock,
): Guards {
  const hits = new Hits(clock);
  return {
    hits,
    rates: new RateLimits({ tiers: rates, clock, hits }),
    failures: new Failures({ config: failedRequests, clock, hits }),
    floods: new Floods({ config: floods, clock }),
  };
}

/** What is told to whom changes at once; nobody's count begins anew. */
export function replaceGuards(
  guards: Guards,
  { rates, failedRequests, floods }: Pick<LimitsConfig, 'rates' | 'failedRequests' | 'floods'>,
): void {
  guards.rates.replace(rates);
  guards.failures.replace(failedRequests);
  guards.floods.replace(floods);
}
