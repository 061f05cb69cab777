/** Bodies in memory at once, all requests of a route together: what arrives is counted as it arrives, until its request is done. */
import type { IncomingMessage } from 'node:http';
import { AppError } from '../errors.ts';
import { readBody } from './request.ts';

/** So many of the largest bodies have room; requests with small ones always do. */
const LARGE_BODIES = 16;
const SMALL_BYTES = 65_536;
const RETRY_AFTER_SECONDS = 2;

export class Bodies {
  readonly #maxBytes: number;
  #inUse = 0;

  /** `maxBytes`: of one body. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Reads a body whole and does the work that needs it. Errors: body_too_large, client_closed, unavailable. */
  async with(request: IncomingMessage, work: (body: Buffer) => Promise<void>): Promise<void> {
    let taken = 0;
    const take = (bytes: number) => {
      taken += bytes;
      this.#inUse += bytes;
      const isFull = this.#inUse > LARGE_BODIES * this.#maxBytes;
      if (isFull && taken > SMALL_BYTES) throw full();
    };
    try {
      await work(await readBody(request, this.#maxBytes, take));
    } finally {
      this.#inUse -= taken;
    }
  }
}

function full(): AppError {
  return new AppError('unavailable', 'Too many large requests are under way. Try again shortly.', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
