/** One request over several channels: each is tried once at most, and only while its caller has nothing of an answer. */
import { AppError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Outcome } from './breaker.ts';
import { outcomeOf, type Route } from './routing.ts';

export interface Turn {
  requestId: string;
  /** Aborted when the caller is gone. */
  signal: AbortSignal;
  log: Pick<Log, 'warn'>;
}

/**
 * Tries the routes in their order, until one answers or refuses the request's own content. `attempt` answers what it learnt of its
 * channel, and throws only while the caller has nothing; the last attempt's AppError is thrown on.
 */
export async function tryInTurn(
  routes: readonly Route[],
  { requestId, signal, log }: Turn,
  attempt: (route: Route) => Promise<Outcome | 'unknown'>,
): Promise<void> {
  let failure: AppError | null = null;
  for (const route of routes) {
    // Others may have found out meanwhile that it is not fit.
    if (failure && route.breaker.waitMs() > 0) continue;
    route.breaker.begin();
    try {
      route.breaker.end(await attempt(route));
      return;
    } catch (thrown) {
      failure = asAppError(thrown);
      const { code, retryAfterSeconds } = failure;
      route.breaker.end(
        outcomeOf(failure),
        retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1_000,
      );
      if (!mayTryElsewhere(failure) || signal.aborted) break;
      log.warn('attempt_failed', { requestId, channel: route.channel.id, code });
    }
  }
  throw failure ?? new AppError('no_channel', 'No channel serves this model at the moment.');
}

/** Whether the fault may be the channel's; what is wrong with the request is wrong everywhere. */
function mayTryElsewhere({ code, isRetryable }: AppError): boolean {
  if (isRetryable !== undefined) return isRetryable;
  return (
    code === 'upstream_failed' ||
    code === 'upstream_timeout' ||
    code === 'upstream_busy' ||
    code === 'no_channel'
  );
}

function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError('internal', 'The request could not be sent.', { cause: error });
}
