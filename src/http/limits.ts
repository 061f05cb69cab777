/** Limits as HTTP knows them: the step before what is paid for, the six x-ratelimit headers, and 429 in the place of too many 401 and 402. */
import type { ChatCall } from '../chat/call.ts';
import type { Clock } from '../clock.ts';
import type { Guards } from '../limits/guards.ts';
import { type Bucket, RateLimitedError, type RateStanding } from '../limits/rates.ts';
import type { Flood } from '../limits/floods.ts';
import type { ClientIp } from './client-ip.ts';
import { FACES, toAppError } from './errors.ts';
import type { Context, Next, State } from './request.ts';

export interface GuardOptions {
  guards: Guards;
  clientIp: ClientIp;
  clock: Clock;
}

/** A caller whose requests keep failing waits; those of this route count. */
export function whileSound({ guards: { failures } }: GuardOptions) {
  return async ({ state }: Context, next: Next): Promise<void> => {
    if (state.principal) await failures.require(state.principal);
    try {
      await next();
    } catch (error) {
      if (state.principal) await failures.count(state.principal, error);
      throw error;
    }
  };
}

/** Counts a request in its caller's limits and writes the headers that say so, also where it is refused. */
export function admitted(
  ctx: Context,
  { guards: { rates }, clock }: GuardOptions,
): ChatCall['admit'] {
  const { state, res } = ctx;
  return async (principal, model, tokens) => {
    try {
      const { standing, settle } = await rates.admit(principal, model, tokens);
      sayStanding(state.headers, standing, clock);
      return {
        settle: (used) => {
          settle(used);
          if (standing.tokens && !res.headersSent) sayTokens(state.headers, standing.tokens, clock);
        },
      };
    } catch (error) {
      if (error instanceof RateLimitedError) sayStanding(state.headers, error.standing, clock);
      throw error;
    }
  };
}

function sayStanding(
  headers: State['headers'],
  { requests, tokens }: RateStanding,
  clock: Clock,
): void {
  if (requests) {
    headers['x-ratelimit-limit-requests'] = String(requests.limit);
    headers['x-ratelimit-remaining-requests'] = String(requests.remaining);
    // Venice's: an instant for requests, a duration for tokens.
    headers['x-ratelimit-reset-requests'] = String(Math.ceil(requests.endsAtMs / 1_000));
  }
  if (tokens) sayTokens(headers, tokens, clock);
}

function sayTokens(headers: State['headers'], tokens: Bucket, clock: Clock): void {
  const leftMs = Math.max(0, tokens.endsAtMs - clock.nowMs());
  headers['x-ratelimit-limit-tokens'] = String(tokens.limit);
  headers['x-ratelimit-remaining-tokens'] = String(tokens.remaining);
  headers['x-ratelimit-reset-tokens'] = String(Math.ceil(leftMs / 1_000));
}

/** Throws rate_limited where the address of a request had too many of these answers. */
export function requireNoFlood(
  { guards, clientIp }: Pick<GuardOptions, 'guards' | 'clientIp'>,
  { req }: Pick<Context, 'req'>,
  flood: Flood,
): Promise<void> {
  return guards.floods.require(flood, clientIp(req));
}

/** Counts an error that anybody gets for nothing; answers what is said instead where it is one too many. */
export async function orFlood(
  { req, state }: Context,
  { guards, clientIp }: GuardOptions,
  thrown: unknown,
): Promise<unknown> {
  const { status } = FACES[toAppError(thrown).code];
  // A 402 to somebody with an account is bounded by the limits of that account.
  const isChallenge = status === 402 && (state.principal?.accountId ?? null) === null;
  if (status !== 401 && !isChallenge) return thrown;
  const flood = status === 401 ? 'unauthorized' : 'paymentRequired';
  return (await guards.floods.count(flood, clientIp(req))) ?? thrown;
}
