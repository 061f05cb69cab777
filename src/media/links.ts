/**
 * Links to results: whoever has one may fetch, until it ends. The id is 128 random bits, and the signature holds the end, so a link
 * can be neither guessed nor made longer.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

const TOKEN = /^([1-9][0-9]{0,11})\.([\w-]{22})$/;
const SIGNATURE_BYTES = 16;
/** Ends are on the full hour, so that a result which is asked for again and again has one link, and is cached under it. */
const STEP_MS = 3_600_000;

export class Links {
  readonly #secret: Buffer;

  constructor(secret: Buffer) {
    this.#secret = secret;
  }

  /** Lasts at least `lifeMs`, and never longer than until `atMostMs`. */
  token(
    id: string,
    nowMs: number,
    lifeMs: number,
    atMostMs: number,
  ): { token: string; endsAtMs: number } {
    const end = Math.min(Math.ceil((nowMs + lifeMs) / STEP_MS) * STEP_MS, atMostMs);
    const seconds = Math.floor(end / 1_000);
    const token = `${seconds}.${this.#sign(id, seconds).toString('base64url')}`;
    return { token, endsAtMs: seconds * 1_000 };
  }

  /** When a token ends, or ended; null for one that was never given for this id. */
  endOf(id: string, token: string): number | null {
    const [, end, signature = ''] = TOKEN.exec(token) ?? [];
    if (end === undefined) return null;
    const right = this.#sign(id, Number(end));
    const given = Buffer.from(signature, 'base64url');
    const isRight = given.length === right.length && timingSafeEqual(given, right);
    // One spelling of each: the last character has bits that the signature does not.
    return isRight && right.toString('base64url') === signature ? Number(end) * 1_000 : null;
  }

  #sign(id: string, endSeconds: number): Buffer {
    const text = `${id} ${endSeconds}`;
    return createHmac('sha256', this.#secret).update(text).digest().subarray(0, SIGNATURE_BYTES);
  }
}
