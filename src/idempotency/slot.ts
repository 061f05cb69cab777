/** A request with an Idempotency-Key that runs in this process, and those that wait for how it ends. */
import { AppError } from '../errors.ts';
import type { StoredAnswer } from './stored-answer.ts';

/** How long a second request waits for the first. */
export const JOIN_MS = 30_000;
/** How many wait for one. */
export const MAX_JOINED = 64;
const RETRY_AFTER_SECONDS = 5;

/** What those that wait are told: an answer, an error, or to ask again. */
export type End = StoredAnswer | AppError | 'again';

export class Slot {
  readonly fingerprint: string;
  readonly #ended = Promise.withResolvers<End>();
  #joined = 0;

  constructor(fingerprint: string) {
    this.fingerprint = fingerprint;
  }

  end(how: End): void {
    this.#ended.resolve(how);
  }

  /** Throws idempotency_in_progress when it takes longer than `ms` or too many wait, client_closed when the caller leaves. */
  async join(ms: number, signal: AbortSignal): Promise<End> {
    if (ms <= 0 || this.#joined >= MAX_JOINED) throw inProgress();
    if (signal.aborted) throw left();
    this.#joined += 1;
    const { promise: refused, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(inProgress()), ms);
    const onLeave = () => reject(left());
    signal.addEventListener('abort', onLeave, { once: true });
    try {
      return await Promise.race([this.#ended.promise, refused]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onLeave);
      this.#joined -= 1;
    }
  }
}

export function inProgress(): AppError {
  return new AppError(
    'idempotency_in_progress',
    'The first request with this Idempotency-Key still runs: send it again later for its answer.',
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  );
}

function left(): AppError {
  return new AppError('client_closed', 'The caller left while it waited for an earlier request.');
}
