/**
 * Compares what upstreams say that requests cost with what the rules of their routes come to: a catalogue that is off by more than a
 * twentieth sells at a margin that nobody set.
 */
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { Outlay } from '../pricing/outlay.ts';

const MOST_DRIFT = 0.05;
/** Fewer requests than that may be rounding. */
const LEAST_REQUESTS = 10;
/** Older requests count for less. */
const MEMORY_REQUESTS = 1_000;
const SAY_AGAIN_MS = 3_600_000;

interface Sums {
  requests: number;
  listed: number;
  reported: number;
  saidAtMs: number;
}

export class CostDrift {
  readonly #clock: Clock;
  readonly #log: Pick<Log, 'warn'>;
  /** By channel and model: at most as many as there are routes. */
  readonly #sums = new Map<string, Map<string, Sums>>();

  constructor({ clock, log }: { clock: Clock; log: Pick<Log, 'warn'> }) {
    this.#clock = clock;
    this.#log = log;
  }

  add(channel: string, model: string, { listed, reported }: Outlay): void {
    if (listed === null || reported === null) return;
    const sums = this.#of(channel, model);
    if (sums.requests >= MEMORY_REQUESTS) {
      sums.requests /= 2;
      sums.listed /= 2;
      sums.reported /= 2;
    }
    sums.requests += 1;
    sums.listed += listed;
    sums.reported += reported;
    const ratio = driftOf(sums);
    const nowMs = this.#clock.nowMs();
    if (Math.abs(ratio) <= MOST_DRIFT || nowMs - sums.saidAtMs < SAY_AGAIN_MS) return;
    sums.saidAtMs = nowMs;
    const percent = Math.round(ratio * 1_000) / 10;
    this.#log.warn('cost_drift', { channel, model, percent });
  }

  /** By channel, the model that is off the most: 0.1 where the upstream charges a tenth more than the rules say. */
  worst(): Map<string, number> {
    const worst = new Map<string, number>();
    for (const [channel, models] of this.#sums) {
      const ratios = Array.from(models.values(), driftOf);
      worst.set(channel, ratios.toSorted((a, b) => Math.abs(b) - Math.abs(a))[0] ?? 0);
    }
    return worst;
  }

  /** A reload: what channels that are not configured any more cost is forgotten, and so are sums by rules that may have changed. */
  clear(): void {
    this.#sums.clear();
  }

  #of(channel: string, model: string): Sums {
    let models = this.#sums.get(channel);
    if (!models) this.#sums.set(channel, (models = new Map()));
    let sums = models.get(model);
    if (!sums) {
      sums = { requests: 0, listed: 0, reported: 0, saidAtMs: -Infinity };
      models.set(model, sums);
    }
    return sums;
  }
}

function driftOf({ requests, listed, reported }: Sums): number {
  if (requests < LEAST_REQUESTS) return 0;
  return listed === 0 ? Number(reported > 0) : (reported - listed) / listed;
}
