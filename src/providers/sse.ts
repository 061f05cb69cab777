/**
 * The meter of an OpenAI-style event stream: it looks for a few names in each line's bytes and parses JSON only where one of them
 * is of interest, which is once or twice a stream. A name followed by a colon cannot occur inside a JSON string, where its quotes
 * are escaped.
 */
import type { ReportedCost } from '../config/config.ts';
import { LineCarry } from './line-carry.ts';
import { errorOf, isFields, usageOf } from './openai-usage.ts';
import type { Measured, MeterLimits, StreamMeter } from './provider.ts';
import { costOf, errorStatusOf } from './reported.ts';
import { learnTemplate, matchTemplate, type Template } from './sse-template.ts';
import { generatedBytes, isEmptyList, valueOf } from './sse-scan.ts';

const RETURN = 0x0d;
const DONE = '[DONE]';
type Verdict = 'pass' | 'swallow' | 'done';

export class OpenAiMeter implements StreamMeter {
  readonly #swallowsUsage: boolean;
  readonly #secrets: string[];
  readonly #reportedCost: ReportedCost | null;
  readonly #shortestSecret: number;
  readonly #carry: LineCarry;
  #done: Buffer | null = null;
  /** The last line that carried usage; parsed when it is asked for. */
  #usageLine: string | null = null;
  #hasUsage = false;
  #outputBytes = 0;
  #hasFinished = false;
  #error: string | null = null;
  #errorStatus: number | null = null;
  #isErrorNext = false;
  #isBlankSwallowed = false;
  #template: Template | null = null;
  /** How often a template may still be looked for: some servers never send two events alike. */
  #lessons = 8;

  constructor(swallowsUsage: boolean, limits: MeterLimits) {
    this.#swallowsUsage = swallowsUsage;
    this.#secrets = limits.secrets;
    this.#reportedCost = limits.reportedCost;
    this.#shortestSecret = Math.min(...limits.secrets.map((secret) => secret.length));
    this.#carry = new LineCarry(limits.sseLineBytes);
  }

  push(chunk: Buffer): Buffer[] {
    if (this.#done) return [];
    if (this.#template && this.#isPlain(chunk, this.#template)) return [chunk];
    const isFresh = this.#carry.isEmpty && this.#lessons > 0;
    const lines = this.#carry.take(chunk);
    if (!lines) return [];
    return isFresh && lines === chunk ? this.#learn(chunk) : this.#lines(lines);
  }

  /** Whether the chunk is one more event of the usual form, which passes as it is. */
  #isPlain(chunk: Buffer, template: Template): boolean {
    if (!this.#carry.isEmpty || this.#isBlankSwallowed || this.#isErrorNext) return false;
    const bytes = matchTemplate(template, chunk.toString('latin1'));
    if (bytes < 0 || bytes >= this.#shortestSecret) return false;
    this.#outputBytes += bytes;
    return true;
  }

  #learn(chunk: Buffer): Buffer[] {
    const before = [this.#usageLine, this.#error, this.#hasFinished, this.#outputBytes] as const;
    const pieces = this.#lines(chunk);
    const [usageLine, error, hasFinished, outputBytes] = before;
    const isQuiet =
      pieces[0] === chunk &&
      usageLine === this.#usageLine &&
      error === this.#error &&
      hasFinished === this.#hasFinished;
    if (isQuiet && this.#outputBytes > outputBytes) {
      this.#lessons--;
      this.#template = learnTemplate(chunk.toString('latin1'), this.#outputBytes - outputBytes);
    }
    return pieces;
  }

  end(): { rest: Buffer[]; done: Buffer | null } {
    const left = this.#done ? null : this.#carry.rest();
    // An event that was cut off would reach the caller as one that cannot be read.
    if (!left || isCutOff(left)) return { rest: [], done: this.#done };
    const rest = this.#lines(Buffer.concat([left, Buffer.from('\n\n')]));
    return { rest, done: this.#done };
  }

  isDone(): boolean {
    return this.#done !== null;
  }

  measured(): Measured {
    const last = this.#usageLine === null ? null : parse(this.#usageLine);
    return {
      usage: last && usageOf(last),
      outputBytes: this.#outputBytes,
      isComplete: this.#hasFinished || (this.#done !== null && this.#outputBytes > 0),
      error: this.#error,
      errorStatus: this.#errorStatus,
      upstreamCostUsd: last && costOf(last, this.#reportedCost),
    };
  }

  /** Whole lines in, what the caller gets of them out. */
  #lines(bytes: Buffer): Buffer[] {
    let text = bytes.toString('latin1');
    for (const secret of this.#secrets) {
      if (!text.includes(secret)) continue;
      text = text.replaceAll(secret, '[redacted]');
      bytes = Buffer.from(text, 'latin1');
    }
    const pieces: Buffer[] = [];
    let kept = 0;
    for (let start = 0; start < text.length;) {
      const newline = text.indexOf('\n', start);
      const end =
        text.charCodeAt(newline - 1) === RETURN && newline > start ? newline - 1 : newline;
      const verdict = this.#line(text, start, end);
      if (verdict !== 'pass') {
        if (start > kept) pieces.push(bytes.subarray(kept, start));
        kept = newline + 1;
      }
      if (verdict === 'done') {
        this.#done = Buffer.concat([
          bytes.subarray(start, newline + 1),
          bytes.subarray(end, newline + 1),
        ]);
        return pieces;
      }
      start = newline + 1;
    }
    if (kept === 0) return [bytes];
    if (kept < bytes.length) pieces.push(bytes.subarray(kept));
    return pieces;
  }

  #line(text: string, start: number, end: number): Verdict {
    if (start === end) {
      const isSwallowed = this.#isBlankSwallowed;
      this.#isBlankSwallowed = false;
      this.#isErrorNext = false;
      return isSwallowed ? 'swallow' : 'pass';
    }
    if (text.startsWith('data:', start)) return this.#data(text.slice(start + 5, end));
    if (text.startsWith('event:', start)) {
      this.#isErrorNext = text.slice(start + 6, end).trim() === 'error';
    }
    return 'pass';
  }

  #data(line: string): Verdict {
    if (line.length <= DONE.length + 2 && line.trim() === DONE) return 'done';
    this.#readDeltas(line);
    this.#readEnd(line);
    const usage = valueOf(line, '"usage"', 0);
    if (usage >= 0) return this.#readUsage(line, usage);
    // llama.cpp's, which is all that some versions of it say.
    if (!this.#hasUsage && valueOf(line, '"timings"', 0) >= 0) this.#usageLine = line;
    return 'pass';
  }

  #readDeltas(line: string): void {
    let at = valueOf(line, '"delta"', 0);
    while (at >= 0) {
      this.#outputBytes += generatedBytes(line, at);
      at = valueOf(line, '"delta"', at);
    }
  }

  #readEnd(line: string): void {
    let at = valueOf(line, '"finish_reason"', 0);
    while (at >= 0) {
      if (line.startsWith('"error"', at)) this.#error ??= 'the answer ended in an error';
      else if (line[at] === '"') this.#hasFinished = true;
      at = valueOf(line, '"finish_reason"', at);
    }
    if (!this.#isErrorNext && valueOf(line, '"error"', 0) < 0) return;
    const event = parse(Buffer.from(line, 'latin1').toString('utf8'));
    const error = event && errorOf(event);
    if (event) this.#errorStatus ??= errorStatusOf(event);
    if (error !== null) this.#error = error;
    else if (this.#isErrorNext) this.#error = messageOf(event) ?? line.trim().slice(0, 500);
  }

  /** Usage may come on a chunk of its own, on the last one, or on every one as a running total: the last one counts. */
  #readUsage(line: string, first: number): Verdict {
    let at = first;
    while (at >= 0 && line[at] !== '{') at = valueOf(line, '"usage"', at);
    if (at < 0) return 'pass';
    // An object without counts says nothing, and takes nothing back.
    if (!this.#hasUsage || line[at + 1] !== '}') this.#usageLine = line;
    this.#hasUsage = true;
    if (!this.#swallowsUsage || !isEmptyList(line, valueOf(line, '"choices"', 0))) return 'pass';
    this.#isBlankSwallowed = true;
    return 'swallow';
  }
}

function isCutOff(line: Buffer): boolean {
  const text = line.toString('latin1').trim();
  if (!text.startsWith('data:')) return !text.startsWith(':');
  return text.slice(5).trim() !== DONE && !parse(text.slice(5));
}

function parse(line: string): Record<string, unknown> | null {
  try {
    const event: unknown = JSON.parse(line);
    return isFields(event) ? event : null;
  } catch {
    return null;
  }
}

function messageOf(event: Record<string, unknown> | null): string | null {
  const message = event?.['message'];
  return typeof message === 'string' && message ? message.slice(0, 500) : null;
}
