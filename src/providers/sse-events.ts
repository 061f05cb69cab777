/**
 * Passes an event stream on byte for byte, whole events at a time, and shows the name and the data of each to a reader: so that the
 * last one can be kept back for what must be said before it.
 */
import { AppError } from '../errors.ts';

/** `done`: the event that ends the stream; it is kept back, and nothing after it counts. */
export type Verdict = 'pass' | 'done';
/** `name`: of the `event:` line, '' without one. `data` is Latin-1: a character is a byte. */
export type ReadEvent = (name: string, data: string) => Verdict;

export interface PassLimits {
  sseLineBytes: number;
  secrets: string[];
}

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const FIRST_BYTES = 1_024;

export class EventPass {
  readonly #maxBytes: number;
  readonly #secrets: string[];
  readonly #read: ReadEvent;
  #held = Buffer.alloc(0);
  #length = 0;
  #done: Buffer | null = null;

  constructor({ sseLineBytes, secrets }: PassLimits, read: ReadEvent) {
    this.#maxBytes = sseLineBytes;
    this.#secrets = secrets;
    this.#read = read;
  }

  get done(): Buffer | null {
    return this.#done;
  }

  /** The events that this chunk completes. Throws upstream_failed for one that is longer than the bound. */
  push(chunk: Buffer): Buffer[] {
    if (this.#done) return [];
    const events = this.#take(chunk);
    return events ? this.#events(events) : [];
  }

  /** What an upstream that ends without a blank line left: read as an event where its data is whole. */
  end(isWhole: (data: string) => boolean): Buffer[] {
    if (this.#done || !this.#length) return [];
    const rest = this.#held.subarray(0, this.#length);
    this.#length = 0;
    const last = lastData(rest.toString('latin1'));
    // An event that was cut off would reach the caller as one that cannot be read.
    if (last === null || !isWhole(last)) return [];
    return this.#events(Buffer.concat([rest, Buffer.from('\n\n')]));
  }

  #take(chunk: Buffer): Buffer | null {
    if (!this.#length) {
      const end = lastBoundary(chunk, chunk.length, 0);
      if (end === chunk.length) return chunk;
      this.#hold(chunk.subarray(end));
      return end ? chunk.subarray(0, end) : null;
    }
    const before = this.#length;
    this.#hold(chunk);
    const end = lastBoundary(this.#held, this.#length, Math.max(0, before - 3));
    if (!end) return null;
    const events = Buffer.from(this.#held.subarray(0, end));
    this.#held.copyWithin(0, end, this.#length);
    this.#length -= end;
    return events;
  }

  #hold(part: Buffer): void {
    const length = this.#length + part.length;
    // A burst of whole events may be longer than the bound; what is kept of it is not.
    if (length > this.#maxBytes && lastBoundary(part, part.length, 0) === 0) {
      throw new AppError(
        'upstream_failed',
        `The upstream sent an event of more than ${this.#maxBytes} bytes.`,
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

  /** Whole events in, what the caller gets of them out. */
  #events(bytes: Buffer): Buffer[] {
    let text = bytes.toString('latin1');
    for (const secret of this.#secrets) {
      if (!text.includes(secret)) continue;
      text = text.replaceAll(secret, '[redacted]');
      bytes = Buffer.from(text, 'latin1');
    }
    let name = '';
    let data = '';
    let first = 0;
    for (let start = 0; start < text.length;) {
      const newline = text.indexOf('\n', start);
      const end =
        newline > start && text.charCodeAt(newline - 1) === RETURN ? newline - 1 : newline;
      if (start === end) {
        if (data !== '' && this.#read(name, data) === 'done') {
          this.#done = bytes.subarray(first, newline + 1);
          return first ? [bytes.subarray(0, first)] : [];
        }
        name = data = '';
        first = newline + 1;
      } else if (text.startsWith('data:', start)) {
        const line = text.slice(start + 5, end);
        data = data === '' ? line : `${data}\n${line}`;
      } else if (text.startsWith('event:', start)) name = text.slice(start + 6, end).trim();
      start = newline + 1;
    }
    return [bytes];
  }
}

/** Behind the last blank line of `bytes[from, length)`; 0 where there is none. */
function lastBoundary(bytes: Buffer, length: number, from: number): number {
  let newline = bytes.subarray(0, length).lastIndexOf(NEWLINE);
  while (newline > from) {
    const before = bytes[newline - 1];
    if (before === NEWLINE) return newline + 1;
    if (before === RETURN && newline > from + 1 && bytes[newline - 2] === NEWLINE)
      return newline + 1;
    newline = bytes.lastIndexOf(NEWLINE, newline - 1);
  }
  return 0;
}

function lastData(text: string): string | null {
  const at = text.lastIndexOf('data:');
  return at < 0 || (at > 0 && text[at - 1] !== '\n') ? null : text.slice(at + 5);
}
