/**
 * The meter of a Responses stream: events pass byte for byte, and only the last one is parsed. What the model wrote is counted in the
 * deltas, for streams that never reach their last event.
 */
import { isFields } from './openai-usage.ts';
import type { AnswerFacts, Measured, MeterLimits, StreamMeter } from './provider.ts';
import { errorStatusOf } from './reported.ts';
import { measureResponse, responseError } from './responses-answer.ts';
import { EventPass, type Verdict } from './sse-events.ts';
import { generatedBytes, stringEnd, valueOf } from './sse-scan.ts';

type Fields = Record<string, unknown>;

/** The events after which nothing comes. */
const LAST = new Set([
  'response.completed',
  'response.incomplete',
  'response.failed',
  'response.cancelled',
  'error',
]);
const QUOTE = 0x22;
const OPEN_BRACE = 0x7b;
const DIGITS = /\d{1,9}/y;

export class ResponsesMeter implements StreamMeter {
  readonly #pass: EventPass;
  readonly #facts: AnswerFacts;
  #measured: Measured = { usage: null, outputBytes: 0, isComplete: false, error: null };
  #sequence = -1;

  constructor(limits: MeterLimits) {
    this.#facts = limits;
    this.#pass = new EventPass(limits, (name, data) => this.#event(name, data));
  }

  push(chunk: Buffer): Buffer[] {
    return this.#pass.push(chunk);
  }

  end(): { rest: Buffer[]; done: Buffer | null } {
    const rest = this.#pass.end((data) => parse(data) !== null);
    return { rest, done: this.#pass.done };
  }

  isDone(): boolean {
    return this.#pass.done !== null;
  }

  measured(): Measured {
    return this.#measured;
  }

  broken({ code, message }: { code: string; message: string }): Buffer {
    const event = {
      type: 'error',
      code,
      message,
      param: null,
      sequence_number: this.#sequence + 1,
    };
    return Buffer.from(`event: error\ndata: ${JSON.stringify(event)}\n\n`);
  }

  #event(name: string, data: string): Verdict {
    this.#countSequence(data);
    const type = name === 'error' || name.startsWith('response.') ? name : typeOf(data);
    if (type.endsWith('.delta')) this.#measured.outputBytes += deltaBytes(data);
    if (!LAST.has(type)) return 'pass';
    this.#finish(type, parse(data) ?? {});
    return 'done';
  }

  #finish(type: string, event: Fields): void {
    const { outputBytes } = this.#measured;
    if (type === 'error') {
      // Flat, or with the error inside, as servers have it.
      const error = isFields(event['error']) ? event['error'] : event;
      this.#measured.error = responseError({ error });
      this.#measured.errorStatus = errorStatusOf({ error });
      return;
    }
    const response = isFields(event['response']) ? event['response'] : {};
    const said = measureResponse(response, this.#facts) ?? this.#measured;
    const hasFailed = type === 'response.failed' || type === 'response.cancelled';
    const error = said.error ?? (hasFailed ? `the upstream sent ${type}` : null);
    this.#measured = {
      ...said,
      outputBytes: Math.max(outputBytes, said.outputBytes),
      isComplete: error === null,
      error,
    };
  }

  #countSequence(data: string): void {
    DIGITS.lastIndex = valueOf(data, '"sequence_number"', 0);
    const found = DIGITS.lastIndex < 0 ? null : DIGITS.exec(data);
    if (found) this.#sequence = Number(found[0]);
  }
}

/** Of servers that name their events in the data alone. */
function typeOf(data: string): string {
  const type = parse(data)?.['type'];
  return typeof type === 'string' ? type : '';
}

function deltaBytes(data: string): number {
  const at = valueOf(data, '"delta"', 0);
  if (at < 0) return 0;
  const first = data.charCodeAt(at);
  if (first === QUOTE) return Math.max(0, stringEnd(data, at) - at - 1);
  return first === OPEN_BRACE ? generatedBytes(data, at) : 0;
}

function parse(data: string): Fields | null {
  try {
    const event: unknown = JSON.parse(Buffer.from(data, 'latin1').toString('utf8'));
    return isFields(event) ? event : null;
  } catch {
    return null;
  }
}
