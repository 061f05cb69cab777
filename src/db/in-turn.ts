import { AppError } from '../errors.ts';

/**
 * One after another. Statements of one connection wait for each other in any case; begun at once, each that waits has a thread of the few
 * that everything else of the process needs: files, names, the writer.
 */
export class InTurn {
  readonly #most: number;
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(most: number) {
    this.#most = most;
  }

  /** Throws unavailable where too many wait already. */
  run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= this.#most) throw tooMany();
    this.#waiting += 1;
    const turn = this.#last.then(work).finally(() => {
      this.#waiting -= 1;
    });
    this.#last = turn.catch(() => {});
    return turn;
  }
}

function tooMany(): AppError {
  return new AppError('unavailable', 'Too many reports are asked for at once.', {
    retryAfterSeconds: 5,
  });
}
