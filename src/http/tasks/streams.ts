/** How many streams of events each caller has open. */
import { type Principal, principalName } from '../../auth/principal.ts';
import { AppError } from '../../errors.ts';

/** Of one caller at once. */
const MAX_STREAMS = 16;
const RETRY_AFTER_SECONDS = 10;

export class Streams {
  readonly #open = new Map<string, number>();

  /** Throws rate_limited for one too many. */
  async with(principal: Principal, work: () => Promise<void>): Promise<void> {
    const name = principalName(principal);
    const open = this.#open.get(name) ?? 0;
    if (open >= MAX_STREAMS) {
      throw new AppError('rate_limited', `At most ${MAX_STREAMS} streams at once.`, {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    this.#open.set(name, open + 1);
    try {
      await work();
    } finally {
      const left = (this.#open.get(name) ?? 1) - 1;
      if (left > 0) this.#open.set(name, left);
      else this.#open.delete(name);
    }
  }
}
