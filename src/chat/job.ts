/** One request between its hold and its end. */
import type { Clock } from '../clock.ts';
import type { LimitsConfig } from '../config/config.ts';
import type { Log } from '../log.ts';
import type { ChatRequest, Measured, Provider } from '../providers/provider.ts';
import { NO_OUTLAY, tokenOutlay } from '../pricing/outlay.ts';
import type { CostDrift } from '../routing/drift.ts';
import type { Route } from '../routing/routing.ts';
import type { Upstream } from '../upstream.ts';
import { type Charge, chargeFor, type Ending } from './charge.ts';
import type { ChatCall } from './call.ts';
import { balanceHeaders, type Headers, type Standing } from './headers.ts';
import type { Plan } from './plan.ts';
import type { Settlement } from './settlement.ts';
import type { RefusedBy } from './upstream-errors.ts';

export interface Tools {
  upstream: Upstream;
  limits: Pick<LimitsConfig, 'sseLineBytes' | 'sseKeepAliveMs'>;
  clock: Clock;
  log: Log;
  drift?: CostDrift;
}

export interface Job {
  call: ChatCall;
  request: ChatRequest;
  plan: Plan;
  provider: Provider;
  route: Route;
  /** The output limit that is sent, covered by the hold. */
  outputLimit: number;
  settlement: Settlement;
  /** What must not be passed on, whatever the upstream echoes. */
  secrets: string[];
}

/** By whom a refusal is read. */
export function refusedBy({ route, secrets }: Job, { clock }: Tools): RefusedBy {
  return { channel: route.channel, secrets, nowMs: clock.nowMs() };
}

/** What the ending calls for; null where nothing is charged. */
export function chargeOf(
  { plan, outputLimit, settlement, route }: Job,
  { drift }: Tools,
  ending: Ending,
  measured: Measured,
): Charge | null {
  const charge = chargeFor(plan, ending, measured, outputLimit, settlement.hold.amount);
  if (!charge) return null;
  const channel = route.channel.id;
  if (route.own) return { ...charge, byok: route.own.vendor, channel, outlay: NO_OUTLAY };
  const outlay = tokenOutlay(route.cost, charge.usage, measured.upstreamCostUsd);
  // What was counted by ourselves says nothing of the rules.
  if (!charge.isEstimated) drift?.add(channel, plan.entry.model.id, outlay);
  return { ...charge, channel, outlay };
}

export function answerHeaders(job: Job, contentType: string, standing: Standing | null): Headers {
  const headers: Headers = { 'content-type': contentType };
  if (job.outputLimit !== job.request.outputLimit) {
    headers['x-max-tokens-applied'] = String(job.outputLimit);
  }
  if (job.route.own) headers['x-byok'] = 'used';
  if (standing) balanceHeaders(headers, standing);
  // Which way an answer came is the operator's business.
  if (job.call.principal.role === 'operator') headers['x-channel'] = job.route.channel.id;
  return headers;
}
