/** What passed over each channel since the start: counted as it happens, in memory, for metrics and operators. */
import type { Outcome } from './breaker.ts';

/** Upper bounds in milliseconds of the classes that durations are counted in; the last class has none. */
export const DURATION_BOUNDS_MS = [
  50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 204_800,
] as const;
/** The newest durations, which quantiles are told from. */
const KEPT = 512;

export class Durations {
  /** By class, of DURATION_BOUNDS_MS and beyond. */
  readonly counts: number[] = Array.from({ length: DURATION_BOUNDS_MS.length + 1 }, () => 0);
  sumMs = 0;
  #count = 0;
  readonly #newest = new Float64Array(KEPT);

  get count(): number {
    return this.#count;
  }

  add(ms: number): void {
    let index = 0;
    while (index < DURATION_BOUNDS_MS.length && ms > DURATION_BOUNDS_MS[index]!) index += 1;
    this.counts[index]! += 1;
    this.sumMs += ms;
    this.#newest[this.#count % KEPT] = ms;
    this.#count += 1;
  }

  /** Of the newest few hundred; null where there are none. `share` from 0 to 1. */
  quantile(share: number): number | null {
    const newest = this.#newest.slice(0, Math.min(this.#count, KEPT)).toSorted();
    if (!newest.length) return null;
    return newest[Math.min(newest.length - 1, Math.ceil(share * newest.length) - 1)] ?? newest[0]!;
  }
}

export class ChannelTraffic {
  attempts = 0;
  /** How attempts ended; `unknown` says nothing of the channel: callers that left, requests that were at fault. */
  readonly ended: Record<Outcome | 'unknown', number> = { good: 0, sick: 0, busy: 0, unknown: 0 };
  /** Until the head of an answer. */
  readonly firstByte = new Durations();
  /** Of good attempts, until their end. */
  readonly whole = new Durations();
}

export class Traffic {
  readonly #channels = new Map<string, ChannelTraffic>();

  of(channelId: string): ChannelTraffic {
    let channel = this.#channels.get(channelId);
    if (!channel) this.#channels.set(channelId, (channel = new ChannelTraffic()));
    return channel;
  }

  /** A reload: those that are not configured any more are forgotten. */
  keepOnly(channelIds: ReadonlySet<string>): void {
    for (const id of this.#channels.keys()) if (!channelIds.has(id)) this.#channels.delete(id);
  }
}
