/** How many tasks each channel works on: from when one is handed to it until it has ended. */
import type { ChannelConfig } from '../config/config.ts';

export class Slots {
  readonly #taken = new Map<string, Set<string>>();

  isFree({ id, concurrency }: Pick<ChannelConfig, 'id' | 'concurrency'>): boolean {
    return (this.#taken.get(id)?.size ?? 0) < concurrency;
  }

  take(channelId: string, taskId: string): void {
    const tasks = this.#taken.get(channelId);
    if (tasks) tasks.add(taskId);
    else this.#taken.set(channelId, new Set([taskId]));
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
