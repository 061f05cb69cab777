/** What passed over each channel since the start: counted as it happens, in memory, for metrics and operators. */
import { durations } from '../tally.ts';
import type { Outcome } from './breaker.ts';

export class ChannelTraffic {
  attempts = 0;
  /** How attempts ended; `unknown` says nothing of the channel: callers that left, requests that were at fault. */
  readonly ended: Record<Outcome | 'unknown', number> = { good: 0, sick: 0, busy: 0, unknown: 0 };
  /** Until the head of an answer. */
  readonly firstByte = durations();
  /** Of good attempts, until their end. */
  readonly whole = durations();
}

export class Traffic {
  readonly #channels = new Map<string, ChannelTraffic>();

  of(channelId: string): ChannelTraffic {
    let channel = this.#channels.get(channelId);
    if (!channel) this.#channels.set(channelId, (channel = new ChannelTraffic()));
    return channel;
  }

  all(): ReadonlyMap<string, ChannelTraffic> {
    return this.#channels;
  }

  /** A reload: those that are not configured any more are forgotten. */
  keepOnly(channelIds: ReadonlySet<string>): void {
    for (const id of this.#channels.keys()) if (!channelIds.has(id)) this.#channels.delete(id);
  }
}
