/** What channels served, took and cost, as the operator's routes say it. */
import { z } from 'zod';
import { formatBigUsd } from '../../money.ts';
import type { ChannelTraffic } from '../../routing/traffic.ts';
import type { Tally } from '../../tally.ts';
import type { Attempts, Served } from '../../usage/channels.ts';

/** Exact decimal US dollars. */
export const served = {
  requests: z.int(),
  /** Charged for them. */
  revenueUsd: z.string(),
  /** What those of them cost whose cost is known: by what the upstream says, else by the cost rules of the route. */
  upstreamUsd: z.string(),
  /** Revenue less cost; null where the cost of some is not known. */
  marginUsd: z.string().nullable(),
  /** Requests whose cost is not known. */
  uncosted: z.int(),
};

export const attempts = {
  attempts: z.int(),
  good: z.int(),
  /** Failed, in a way that may be the channel's fault. */
  failed: z.int(),
  busy: z.int(),
};

const quantiles = z.strictObject({ p50: z.number().nullable(), p95: z.number().nullable() });

/** Of the newest few hundred since the start, in milliseconds. */
export const latency = z.strictObject({ firstByteMs: quantiles, answerMs: quantiles });

const NOTHING: Served = { requests: 0, revenue: 0n, upstream: 0n, uncosted: 0 };
const NO_ATTEMPTS: Attempts = { attempts: 0, good: 0, sick: 0, busy: 0 };

export function shownServed(sums: Served = NOTHING) {
  const { requests, revenue, upstream, uncosted } = sums;
  return {
    requests,
    revenueUsd: formatBigUsd(revenue),
    upstreamUsd: formatBigUsd(upstream),
    marginUsd: uncosted ? null : formatBigUsd(revenue - upstream),
    uncosted,
  };
}

export function shownAttempts({ sick, ...counts }: Attempts = NO_ATTEMPTS) {
  return { ...counts, failed: sick };
}

export function shownLatency({ firstByte, whole }: ChannelTraffic) {
  return { firstByteMs: shownQuantiles(firstByte), answerMs: shownQuantiles(whole) };
}

function shownQuantiles(tally: Tally) {
  const at = (share: number) => {
    const ms = tally.quantile(share);
    return ms === null ? null : Math.round(ms);
  };
  return { p50: at(0.5), p95: at(0.95) };
}

export function total(parts: Iterable<Served>): Served {
  const sum = { ...NOTHING };
  for (const part of parts) {
    sum.requests += part.requests;
    sum.revenue += part.revenue;
    sum.upstream += part.upstream;
    sum.uncosted += part.uncosted;
  }
  return sum;
}
