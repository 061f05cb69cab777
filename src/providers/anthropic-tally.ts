/** What the events of an Anthropic stream say of its usage, its text, its end and its errors. */
import { errorOf, mergedUsage, parse, usageOf } from './anthropic-answer.ts';
import { isFields } from './openai-usage.ts';
import type { Measured, Usage } from './provider.ts';
import { errorStatusOf } from './reported.ts';
import { generatedBytes, stringEnd, valueOf } from './sse-scan.ts';

type Fields = Record<string, unknown>;

/** The pieces of an answer: many, and of no interest but for their length. */
const DELTA = '"content_block_delta"';
const PARTIAL_JSON = '"partial_json"';
const QUOTE = 0x22;

export class AnthropicTally {
  #usage: Fields | null = null;
  #outputBytes = 0;
  #stopReason: unknown = null;
  /** Whether the end has told the output tokens. */
  #isOutputTold = false;
  #error: string | null = null;
  #errorStatus: number | null = null;

  /** `data`: of one event, Latin-1. */
  read(data: string): 'pass' | 'done' {
    const type = valueOf(data, '"type"', 0);
    if (data.startsWith(DELTA, type)) {
      this.#outputBytes += deltaBytes(data);
      return 'pass';
    }
    const event = parse(Buffer.from(data, 'latin1'));
    return event ? this.#event(event) : 'pass';
  }

  isEvent(data: string): boolean {
    return parse(Buffer.from(data, 'latin1')) !== null;
  }

  measured(): Measured {
    return {
      usage: this.#usage && this.#counted(this.#usage),
      outputBytes: this.#outputBytes,
      isComplete: this.#stopReason !== null,
      error: this.#error,
      errorStatus: this.#errorStatus,
    };
  }

  #event(event: Fields): 'pass' | 'done' {
    switch (event['type']) {
      case 'message_start': {
        const message = event['message'];
        if (isFields(message) && isFields(message['usage'])) this.#usage = message['usage'];
        return 'pass';
      }
      case 'content_block_start': {
        const block = event['content_block'];
        const name = isFields(block) ? block['name'] : null;
        if (typeof name === 'string') this.#outputBytes += Buffer.byteLength(name);
        return 'pass';
      }
      case 'content_block_delta':
        this.#outputBytes += deltaBytes(JSON.stringify(event));
        return 'pass';
      case 'message_delta':
        this.#messageDelta(event);
        return 'pass';
      case 'message_stop':
        return 'done';
      case 'error':
        this.#error ??= errorOf(event);
        this.#errorStatus ??= errorStatusOf(event);
        return 'pass';
      default:
        return 'pass';
    }
  }

  #messageDelta(event: Fields): void {
    const { usage } = event;
    this.#usage = mergedUsage(this.#usage, usage);
    if (isFields(usage) && typeof usage['output_tokens'] === 'number') this.#isOutputTold = true;
    const delta = event['delta'];
    if (isFields(delta) && typeof delta['stop_reason'] === 'string') {
      this.#stopReason = delta['stop_reason'];
    }
  }

  /** Those of the beginning are a guess of one or two, also where the end tells none. */
  #counted(usage: Fields): Usage | null {
    const counted = usageOf(usage);
    if (!counted || this.#isOutputTold) return counted;
    return { ...counted, outputTokens: 0 };
  }
}

function deltaBytes(data: string): number {
  const at = valueOf(data, '"delta"', 0);
  if (at < 0) return 0;
  const json = valueOf(data, PARTIAL_JSON, at);
  if (json >= 0 && data.charCodeAt(json) === QUOTE) return stringEnd(data, json) - json - 1;
  return generatedBytes(data, at);
}
