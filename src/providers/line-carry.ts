/** Joins lines that were split over chunks, in memory that grows with the line and not with the number of chunks. */
import { AppError } from '../errors.ts';

const NEWLINE = 0x0a;
const FIRST_BYTES = 1_024;

export class LineCarry {
  readonly #maxBytes: number;
  #held = Buffer.alloc(0);
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** The whole lines that this chunk completes, or null. Throws upstream_failed where a line is longer than the bound. */
  take(chunk: Buffer): Buffer | null {
    const last = chunk.lastIndexOf(NEWLINE);
    if (last < 0) {
      this.#hold(chunk);
      return null;
    }
    const whole = last + 1 === chunk.length ? chunk : chunk.subarray(0, last + 1);
    const lines = this.#length
      ? Buffer.concat([this.#held.subarray(0, this.#length), whole])
      : whole;
    this.#length = 0;
    if (last + 1 < chunk.length) this.#hold(chunk.subarray(last + 1));
    return lines;
  }

  /** What is held of a line that never ended, or null. */
  rest(): Buffer | null {
    if (!this.#length) return null;
    const rest = this.#held.subarray(0, this.#length);
    this.#length = 0;
    return rest;
  }

  #hold(part: Buffer): void {
    const length = this.#length + part.length;
    if (length > this.#maxBytes) {
      throw new AppError(
        'upstream_failed',
        `The upstream sent a line of more than ${this.#maxBytes} bytes.`,
      );
    }
    if (length > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, 2 * length));
      this.#held.copy(grown, 0, 0, this.#length);
      this.#held = grown;
    }
    part.copy(this.#held, this.#length);
    this.#length = length;
  }
}
