/** Which tasks each channel works on, and with which settings: from when one is handed to it until it has ended. */
import type { ChannelConfig } from '../config/config.ts';

export class Slots {
  /** Null for a task of an earlier process: its channel's settings are those of now. */
  readonly #taken = new Map<string, Map<string, ChannelConfig | null>>();

  isFree({ id, concurrency }: Pick<ChannelConfig, 'id' | 'concurrency'>): boolean {
    return (this.#taken.get(id)?.size ?? 0) < concurrency;
  }

  take(channelId: string, taskId: string, channel: ChannelConfig | null = null): void {
    const tasks = this.#taken.get(channelId);
    if (tasks) tasks.set(taskId, channel);
    else this.#taken.set(channelId, new Map([[taskId, channel]]));
  }

  /** The channel as it was when the task was handed to it; null where this process did not do that. */
  channelOf(channelId: string | null, taskId: string): ChannelConfig | null {
    return this.#taken.get(channelId ?? '')?.get(taskId) ?? null;
  }

  give(channelId: string | null, taskId: string): void {
    if (channelId === null) return;
    const tasks = this.#taken.get(channelId);
    tasks?.delete(taskId);
    if (!tasks?.size) this.#taken.delete(channelId);
  }

  count(channelId: string): number {
    return this.#taken.get(channelId)?.size ?? 0;
  }
}
