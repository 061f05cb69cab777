import type { Clock } from '../clock.ts';

/** Reads again only what is older than `ms`; who asks meanwhile shares one reading. */
export function keptFor<T>(clock: Clock, ms: number, read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | null = null;
  let untilMs = -Infinity;
  return () => {
    const nowMs = clock.nowMs();
    if (reading && nowMs < untilMs) return reading;
    untilMs = nowMs + ms;
    reading = read();
    reading.catch(() => {
      untilMs = -Infinity;
    });
    return reading;
  };
}
