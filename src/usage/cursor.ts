/** Where a walk through the history goes on: sealed, so that it tells nothing, cannot be made up, and works for its account alone. */
import type { Clock } from '../clock.ts';
import { AppError } from '../errors.ts';
import type { SecretBox } from '../secrets.ts';

/** A walk that rests longer than that begins again. */
const LIFE_MS = 24 * 3_600_000;

export interface Place {
  /** Entries up to this one were told. */
  after: number;
  /** The walk ends before this instant; null without an end. */
  beforeMs: number | null;
  pageSize: number;
}

type Fields = [after: number, beforeMs: number | null, pageSize: number, endsAtMs: number];

export class Cursors {
  readonly #box: SecretBox;
  readonly #clock: Clock;

  constructor(box: SecretBox, clock: Clock) {
    this.#box = box;
    this.#clock = clock;
  }

  /** At most 512 characters of base64url. */
  write(accountId: string, { after, beforeMs, pageSize }: Place): string {
    const fields: Fields = [after, beforeMs, pageSize, this.#clock.nowMs() + LIFE_MS];
    const sealed = this.#box.seal(placeOf(accountId), JSON.stringify(fields));
    return Buffer.from(sealed, 'base64').toString('base64url');
  }

  /** Throws invalid_request for one that is not ours, of another account, or too old. */
  read(accountId: string, cursor: string): Place {
    const [after, beforeMs, pageSize, endsAt] = this.#open(accountId, cursor);
    if (endsAt <= this.#clock.nowMs()) throw wrong('has expired; begin again without it');
    return { after, beforeMs, pageSize };
  }

  #open(accountId: string, cursor: string): Fields {
    try {
      const sealed = Buffer.from(cursor, 'base64url').toString('base64');
      return JSON.parse(this.#box.open(placeOf(accountId), sealed)) as Fields;
    } catch {
      throw wrong('is none of yours; send the nextCursor of the page before, or begin again');
    }
  }
}

function placeOf(accountId: string): string {
  return `usage-history/${accountId}`;
}

function wrong(problem: string): AppError {
  return new AppError('invalid_request', `cursor: ${problem}.`, {
    details: { _errors: [], cursor: { _errors: [problem] } },
  });
}
