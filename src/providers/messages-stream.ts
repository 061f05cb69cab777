/**
 * OpenAI's chunks, turned into Anthropic's events as they pass: message_start, one block after the other, message_delta with the usage,
 * message_stop. Metered by OpenAI's own meter, whose lines it reads.
 */
import {
  type Asked,
  messageId,
  messageUsage,
  stoppedBy,
  textOf,
  thoughtOf,
} from './messages-answer.ts';
import { isFields } from './openai-usage.ts';
import type { Measured, MeterLimits, StreamMeter } from './provider.ts';
import { OpenAiMeter } from './sse.ts';

type Fields = Record<string, unknown>;

const DATA = 'data:';
export const PING = Buffer.from('event: ping\ndata: {"type":"ping"}\n\n');

/** The last event of a broken stream, as Anthropic writes it. */
export function brokenMessage({ message }: { message: string }): Buffer {
  return eventOf({ type: 'error', error: { type: 'api_error', message } });
}

export class MessagesFromChatMeter implements StreamMeter {
  readonly keepAlive = PING;
  readonly broken = brokenMessage;
  readonly #inner: OpenAiMeter;
  readonly #asked: Asked;
  #hasStarted = false;
  #isStopped = false;
  /** Of the block that is open, and its number. */
  #open: 'text' | 'thinking' | 'tool' | null = null;
  #index = -1;
  /** Blocks of calls, by the number that the call has there. */
  readonly #calls = new Map<unknown, number>();
  #last: Fields | null = null;
  #hasFailed = false;

  constructor(asked: Asked, limits: MeterLimits) {
    this.#asked = asked;
    this.#inner = new OpenAiMeter(false, limits);
  }

  push(chunk: Buffer): Buffer[] {
    const events = this.#translate(this.#inner.push(chunk));
    return this.#inner.isDone() ? [...events, ...this.#finish()] : events;
  }

  end(): { rest: Buffer[]; done: Buffer | null } {
    const rest = [...this.#translate(this.#inner.end().rest), ...this.#finish()];
    return { rest, done: this.#isStopped ? eventOf({ type: 'message_stop' }) : null };
  }

  isDone(): boolean {
    return this.#inner.isDone();
  }

  measured(): Measured {
    return this.#inner.measured();
  }

  #translate(pieces: Buffer[]): Buffer[] {
    const events: Buffer[] = [];
    for (const piece of pieces) {
      for (const line of piece.toString('utf8').split('\n')) {
        if (!line.startsWith(DATA)) continue;
        const chunk = parse(line.slice(DATA.length));
        if (chunk) this.#chunk(chunk, events);
      }
    }
    return events;
  }

  #chunk(chunk: Fields, events: Buffer[]): void {
    const { choices } = chunk;
    const choice = Array.isArray(choices) ? (choices as unknown[])[0] : null;
    const finish = isFields(choice) ? choice['finish_reason'] : null;
    if ((chunk['error'] ?? null) !== null || finish === 'error') return this.#fail(events);
    if (!isFields(choice)) return;
    this.#start(chunk, events);
    const { delta } = choice;
    if (isFields(delta)) this.#delta(delta, events);
    if (typeof finish === 'string') this.#last = choice;
  }

  #fail(events: Buffer[]): void {
    const { error } = this.#inner.measured();
    if (error === null || this.#hasFailed) return;
    this.#hasFailed = true;
    events.push(brokenMessage({ message: error }));
  }

  #start(chunk: Fields, events: Buffer[]): void {
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    const message = {
      id: messageId(chunk['id']),
      type: 'message',
      role: 'assistant',
      model: this.#asked.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: messageUsage(null),
    };
    events.push(eventOf({ type: 'message_start', message }));
  }

  #delta(delta: Fields, events: Buffer[]): void {
    const thinking = thoughtOf(delta);
    if (thinking && this.#asked.isThinking) {
      this.#text('thinking', { type: 'thinking_delta', thinking }, events);
    }
    const text = textOf(delta['content']) || textOf(delta['refusal']);
    if (text) this.#text('text', { type: 'text_delta', text }, events);
    const calls = delta['tool_calls'];
    for (const call of Array.isArray(calls) ? (calls as unknown[]) : []) {
      if (isFields(call)) this.#call(call, events);
    }
  }

  #text(kind: 'text' | 'thinking', delta: Fields, events: Buffer[]): void {
    if (this.#open !== kind) {
      const empty = kind === 'text' ? { text: '' } : { thinking: '', signature: '' };
      this.#begin(kind, { type: kind, ...empty }, events);
    }
    events.push(eventOf({ type: 'content_block_delta', index: this.#index, delta }));
  }

  /** A call comes in pieces, its name in the first; the next call ends the one before. */
  #call(call: Fields, events: Buffer[]): void {
    const number = call['index'] ?? 0;
    const called = isFields(call['function']) ? call['function'] : {};
    let index = this.#calls.get(number);
    if (index === undefined) {
      const id = typeof call['id'] === 'string' && call['id'] ? call['id'] : null;
      const block = {
        id: id ?? `toolu_${this.#calls.size}`,
        name: called['name'] ?? '',
        input: {},
      };
      this.#begin('tool', { type: 'tool_use', ...block }, events);
      this.#calls.set(number, (index = this.#index));
    }
    const json = textOf(called['arguments']);
    if (json === '') return;
    const delta = { type: 'input_json_delta', partial_json: json };
    events.push(eventOf({ type: 'content_block_delta', index, delta }));
  }

  #begin(kind: 'text' | 'thinking' | 'tool', block: Fields, events: Buffer[]): void {
    this.#close(events);
    this.#open = kind;
    this.#index++;
    events.push(eventOf({ type: 'content_block_start', index: this.#index, content_block: block }));
  }

  #close(events: Buffer[]): void {
    if (this.#open) events.push(eventOf({ type: 'content_block_stop', index: this.#index }));
    this.#open = null;
  }

  /** Usage comes after the last choice, so the end is told when all is there. */
  #finish(): Buffer[] {
    if (this.#isStopped) return [];
    const events: Buffer[] = [];
    this.#fail(events);
    if (!this.#last || this.#hasFailed) return events;
    this.#isStopped = true;
    this.#close(events);
    const delta = stoppedBy(this.#last, this.#asked.stopSequences);
    const usage = messageUsage(this.#inner.measured().usage);
    events.push(eventOf({ type: 'message_delta', delta, usage }));
    return events;
  }
}

function eventOf(event: Fields): Buffer {
  return Buffer.from(`event: ${String(event['type'])}\ndata: ${JSON.stringify(event)}\n\n`);
}

function parse(text: string): Fields | null {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : null;
  } catch {
    return null;
  }
}
