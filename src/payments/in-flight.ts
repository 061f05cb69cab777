/**
 * Settlements under way in this process: the same payment is joined, never started twice, and a payer's payments go one after
 * another, so that what its wallet has left is known.
 */
import { setTimeout as sleep } from 'node:timers/promises';

const MAX_IN_FLIGHT = 1_000;
const MAX_PER_PAYER = 16;

interface Queue {
  last: Promise<unknown>;
  length: number;
}

export class InFlight<T> {
  readonly #byPayment = new Map<string, Promise<T>>();
  readonly #byPayer = new Map<string, Queue>();

  get(id: string): Promise<T> | null {
    return this.#byPayment.get(id) ?? null;
  }

  /** Starts `work` when the payer's earlier work is over. Null when too much is under way, in all or of this payer. */
  run(id: string, payer: string, work: () => Promise<T>): Promise<T> | null {
    const queue = this.#byPayer.get(payer) ?? { last: Promise.resolve(), length: 0 };
    if (this.#byPayment.size >= MAX_IN_FLIGHT || queue.length >= MAX_PER_PAYER) return null;
    const running = queue.last.then(work);
    this.#byPayment.set(id, running);
    this.#byPayer.set(payer, queue);
    queue.length += 1;
    queue.last = running
      .catch(() => {})
      .then(() => {
        this.#byPayment.delete(id);
        queue.length -= 1;
        if (queue.length === 0) this.#byPayer.delete(payer);
      });
    return running;
  }

  /** Resolves when nothing is under way, or after `withinMs`. */
  async idle(withinMs: number): Promise<void> {
    await within(Promise.allSettled(this.#byPayment.values()), withinMs);
  }
}

/** What `work` comes to, or null when that takes longer; the work goes on. */
export async function within<T>(work: Promise<T>, ms: number): Promise<T | null> {
  const timer = new AbortController();
  const late = sleep(Math.max(0, ms), null, { signal: timer.signal }).catch(() => null);
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
  }
}
