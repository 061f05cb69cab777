/** How business goes: what was taken and what it cost, over a few spans of days; calls, errors and how long answers take. */
import type { Clock } from '../clock.ts';
import { keptFor } from '../metrics/kept.ts';
import type { RequestCounts } from '../metrics/requests.ts';
import type { ChannelUsage, Served } from '../usage/channels.ts';
import { DAY_MS } from '../usage/sources.ts';
import type { Figures } from './figures.ts';

const KEPT_MS = 2_000;
const SPANS = { today: 1, week: 7, month: 30 } as const;
const LEAST_ERROR = 500;

export type SpanName = keyof typeof SPANS;

export interface Stand {
  /** Nano-USD. */
  liabilities: number;
  held: number;
  /** UTC days, today included. */
  spans: Record<SpanName, Served>;
  /** Of routes that sell, since the start. */
  calls: number;
  errors: number;
  /** Of the newest calls of the route that is called the most; null before the first. */
  p95Ms: number | null;
}

export interface StandingOptions {
  figures: Figures;
  channelUsage: Pick<ChannelUsage, 'served'>;
  requests: RequestCounts;
  clock: Clock;
}

export class Standing {
  readonly #options: StandingOptions;
  /** At most two seconds old: however many pages are open, it is read once. */
  readonly now: () => Promise<Stand>;

  constructor(options: StandingOptions) {
    this.#options = options;
    this.now = keptFor(options.clock, KEPT_MS, () => this.#read());
  }

  async #read(): Promise<Stand> {
    const { figures } = this.#options;
    const { liabilities, held } = await figures.owed();
    const spans = {
      today: await this.#span(SPANS.today),
      week: await this.#span(SPANS.week),
      month: await this.#span(SPANS.month),
    };
    return { liabilities, held, spans, ...this.#calls() };
  }

  async #span(days: number): Promise<Served> {
    const { channelUsage, clock } = this.#options;
    const toDay = Math.floor(clock.nowMs() / DAY_MS);
    const served = await channelUsage.served({ fromDay: toDay - days + 1, toDay });
    const sum: Served = { requests: 0, revenue: 0n, upstream: 0n, uncosted: 0 };
    for (const part of served.values()) {
      sum.requests += part.requests;
      sum.revenue += part.revenue;
      sum.upstream += part.upstream;
      sum.uncosted += part.uncosted;
    }
    return sum;
  }

  #calls(): Pick<Stand, 'calls' | 'errors' | 'p95Ms'> {
    const { durations, byRoute } = this.#options.requests;
    let [calls, errors] = [0, 0];
    for (const route of durations.keys()) {
      for (const [status, count] of byRoute.get(route) ?? []) {
        calls += count;
        if (status >= LEAST_ERROR) errors += count;
      }
    }
    const busiest = [...durations.values()].toSorted((a, b) => b.count - a.count)[0];
    return { calls, errors, p95Ms: busiest?.quantile(0.95) ?? null };
  }
}
