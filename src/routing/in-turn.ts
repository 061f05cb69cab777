/** One request over several channels: each is tried once at most, and only while its caller has nothing of an answer. */
import type { ChannelConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Log } from '../log.ts';
import { traced } from '../traces/trace.ts';
import type { Outcome } from './breaker.ts';
import { outcomeOf, type Route } from './routing.ts';

export interface Turn {
  requestId: string;
  /** Aborted when the caller is gone. */
  signal: AbortSignal;
  log: Pick<Log, 'warn'>;
  /** Whether every connection of a channel is in use. */
  isBusy?(channel: ChannelConfig): boolean;
}

/**
 * Tries the routes in their order, until one answers or refuses the request's own content. `attempt` answers what it learnt of its
 * channel, and throws only while the caller has nothing; the last attempt's AppError is thrown on. Answers the route that answered.
 */
export async function tryInTurn(
  routes: readonly Route[],
  { requestId, signal, log, isBusy }: Turn,
  attempt: (route: Route) => Promise<Outcome | 'unknown'>,
): Promise<Route> {
  let failure: AppError | null = null;
  for (const route of routes) {
    // Others may have found out meanwhile that it is not fit.
    if (failure && route.breaker.waitMs() > 0) continue;
    // Who has waited for one does not wait for the next.
    if (failure?.code === 'no_channel' && isBusy?.(route.channel)) continue;
    const startedMs = performance.now();
    route.breaker.begin();
    try {
      const outcome = await inSpan(route, requestId, attempt);
      route.breaker.end(outcome);
      if (outcome === 'good') route.traffic?.whole.add(performance.now() - startedMs);
      return route;
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

function inSpan(
  route: Route,
  requestId: string,
  attempt: (route: Route) => Promise<Outcome | 'unknown'>,
): Promise<Outcome | 'unknown'> {
  const spec = () => ({
    name: 'upstream attempt',
    kind: 'client' as const,
    attributes: {
      'farebox.request_id': requestId,
      'farebox.channel': route.channel.id,
      'farebox.provider': route.channel.provider,
      'farebox.upstream_model': route.upstreamModel,
      'farebox.byok': route.own !== undefined,
    },
  });
  return traced(spec, async (span) => {
    const outcome = await attempt(route);
    span?.set({ 'farebox.outcome': outcome });
    return outcome;
  });
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
