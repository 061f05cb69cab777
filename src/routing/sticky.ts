/**
 * Requests of one account with the same long beginning keep to the channel that served the last of them, whose prompt cache then
 * makes them cheaper. A preference inside one level of priority: it never vetoes fail-over, and never waits for a busy channel.
 */
import { hash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { ChatRequest } from '../providers/provider.ts';
import type { Route } from './routing.ts';

/** No vendor caches what is shorter than a thousand tokens or so; such requests are shared out by weight alone. */
const LEAST_PROMPT_BYTES = 4_096;
/** What tells one beginning from another. */
const TOLD_BY_BYTES = 2_048;
/** Beginnings that are remembered. */
const MOST = 10_000;
/** Where the prompt begins, in the dialects' order of reading. */
const PROMPTS = ['system', 'instructions', 'messages', 'input'];

export interface StickyOptions {
  clock: Clock;
  /** How long a cache is taken to last; 0 turns it off. */
  stickyMs: number;
  isBusy(route: Route): boolean;
}

export class Sticky {
  readonly #options: StickyOptions;
  #stickyMs: number;
  /** The least recently used first. */
  readonly #last = new Map<string, { channelId: string; untilMs: number }>();

  constructor(options: StickyOptions) {
    this.#options = options;
    this.#stickyMs = options.stickyMs;
  }

  /** Another time for which a cache is taken to last. */
  replace(stickyMs: number): void {
    this.#stickyMs = stickyMs;
  }

  /** Names the beginning of a request; null where nothing is to be kept together. */
  keyOf(
    accountId: string | null,
    model: string,
    { body, members }: Pick<ChatRequest, 'body' | 'members'>,
  ): string | null {
    if (this.#stickyMs === 0 || accountId === null) return null;
    const ranges = PROMPTS.flatMap((name) => members.get(name) ?? []);
    let left = TOLD_BY_BYTES;
    let bytes = 0;
    const parts: Buffer[] = [];
    for (let at = 0; at < ranges.length; at += 3) {
      const [start = 0, end = 0] = [ranges[at + 1], ranges[at + 2]];
      bytes += end - start;
      parts.push(body.subarray(start, Math.min(end, start + left)));
      left = Math.max(0, left - (end - start));
    }
    if (bytes < LEAST_PROMPT_BYTES) return null;
    const given = members.get('prompt_cache_key');
    if (given) parts.push(body.subarray(given[1], given[2]));
    return hash('sha1', Buffer.concat([Buffer.from(`${accountId} ${model} `), ...parts]), 'base64');
  }

  /** The same routes, with the one that served last in the first place, where it is as good as the one that is there. */
  prefer(routes: readonly Route[], key: string | null): readonly Route[] {
    const last = key === null ? undefined : this.#last.get(key);
    const [first] = routes;
    if (!last || !first || last.untilMs <= this.#options.clock.nowMs()) return routes;
    const at = routes.findIndex(({ channel }) => channel.id === last.channelId);
    const route = routes[at];
    if (!route || at === 0 || !isSameLevel(route, first) || this.#options.isBusy(route)) {
      return routes;
    }
    return [route, ...routes.slice(0, at), ...routes.slice(at + 1)];
  }

  served(key: string, channelId: string): void {
    this.#last.delete(key);
    this.#last.set(key, {
      channelId,
      untilMs: this.#options.clock.nowMs() + this.#stickyMs,
    });
    if (this.#last.size <= MOST) return;
    const [oldest] = this.#last.keys();
    this.#last.delete(oldest!);
  }
}

function isSameLevel({ channel: a }: Route, { channel: b }: Route): boolean {
  return a.group === b.group && a.priority === b.priority;
}
