/** Requests by route and status, and refusals by code: counted in memory, told by GET /metrics. */
import type { ErrorCode } from '../errors.ts';
import { durations, type Tally } from '../tally.ts';
import type { Metrics } from './metrics.ts';

/** Of what is no route of ours, whatever it says. */
const ELSEWHERE = 'other';

export class RequestCounts {
  /** By route, then by status. */
  readonly byRoute = new Map<string, Map<number, number>>();
  readonly refusals = new Map<ErrorCode, number>();
  /** Of routes that sell. */
  readonly durations = new Map<string, Tally>();

  /** `route`: its pattern, of a closed list; undefined for none. */
  request(route: string | undefined, status: number): void {
    const name = route ?? ELSEWHERE;
    let statuses = this.byRoute.get(name);
    if (!statuses) this.byRoute.set(name, (statuses = new Map()));
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }

  refusal(code: ErrorCode): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
  }

  took(route: string, ms: number): void {
    let tally = this.durations.get(route);
    if (!tally) this.durations.set(route, (tally = durations()));
    tally.add(ms);
  }
}

export function addRequests(metrics: Metrics, counts: RequestCounts): void {
  metrics.add({
    name: 'farebox_requests_total',
    help: 'Requests by route and status.',
    kind: 'counter',
    labels: ['route', 'status'],
    collect: () =>
      [...counts.byRoute].flatMap(([route, statuses]) =>
        Array.from(statuses, ([status, value]) => ({
          labels: { route, status: String(status) },
          value,
        })),
      ),
  });
  metrics.add({
    name: 'farebox_refusals_total',
    help: 'Requests that were refused or failed, by the code of their error: rate_limited, spend_limit_exceeded, upstream_failed …',
    kind: 'counter',
    labels: ['code'],
    collect: () => Array.from(counts.refusals, ([code, value]) => ({ labels: { code }, value })),
  });
  metrics.addTally({
    name: 'farebox_request_seconds',
    help: 'Of routes that sell, from the head of a request to the end of its answer.',
    labels: ['route'],
    scale: 0.001,
    collect: () => Array.from(counts.durations, ([route, tally]) => ({ labels: { route }, tally })),
  });
}
