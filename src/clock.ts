/** Where time comes from; tests drive it by hand. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
}

export const systemClock: Clock = { nowMs: () => Date.now() };

/** UTC day "2026-11-21" of an instant: the EPOCH window. */
export function utcDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** UTC calendar month "2026-11" of an instant: the MONTH window. */
export function utcMonth(ms: number): string {
  return new Date(ms).toISOString().slice(0, 7);
}
