/** Anthropic's event stream, turned into OpenAI's chunks as it passes, and metered. */
import {
  errorOf,
  finishReason,
  mergedUsage,
  openAiUsage,
  parse,
  usageOf,
} from './anthropic-answer.ts';
import { LineCarry } from './line-carry.ts';
import { isFields } from './openai-usage.ts';
import type { ChatRequest, Measured, MeterLimits, StreamMeter, Usage } from './provider.ts';
import { errorStatusOf } from './reported.ts';

type Fields = Record<string, unknown>;

const DATA = 'data:';
const DONE = Buffer.from('data: [DONE]\n\n');

export class AnthropicMeter implements StreamMeter {
  readonly #request: ChatRequest;
  readonly #secrets: string[];
  readonly #carry: LineCarry;
  readonly #created = Math.floor(Date.now() / 1_000);
  #id = '';
  #usage: Fields | null = null;
  #outputBytes = 0;
  #isDone = false;
  #error: string | null = null;
  /** Tool calls are numbered among themselves there by block, here by call. */
  #calls = new Map<unknown, number>();
  #stopReason: unknown = null;
  /** Whether the end has told the output tokens. */
  #isOutputTold = false;
  #errorStatus: number | null = null;

  constructor(request: ChatRequest, limits: MeterLimits) {
    this.#request = request;
    this.#secrets = limits.secrets;
    this.#carry = new LineCarry(limits.sseLineBytes);
  }

  push(chunk: Buffer): Buffer[] {
    if (this.#isDone) return [];
    const lines = this.#carry.take(chunk);
    return lines ? this.#lines(lines) : [];
  }

  end(): { rest: Buffer[]; done: Buffer | null } {
    const left = this.#isDone ? null : this.#carry.rest();
    const rest = left ? this.#lines(Buffer.concat([left, Buffer.from('\n')])) : [];
    return { rest, done: this.#isDone ? DONE : null };
  }

  isDone(): boolean {
    return this.#isDone;
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

  /** Those of the beginning are a guess of one or two, also where the end tells none. */
  #counted(usage: Fields): Usage | null {
    const counted = usageOf(usage);
    if (!counted || this.#isOutputTold) return counted;
    return { ...counted, outputTokens: 0 };
  }

  #lines(bytes: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    for (const line of bytes.toString('utf8').split('\n')) {
      if (this.#isDone || !line.startsWith(DATA)) continue;
      const event = parse(line.slice(DATA.length));
      if (event) pieces.push(...this.#event(event));
    }
    return pieces;
  }

  #event(event: Fields): Buffer[] {
    switch (event['type']) {
      case 'message_start':
        return this.#start(event['message']);
      case 'content_block_start':
        return this.#blockStart(event['index'], event['content_block']);
      case 'content_block_delta':
        return this.#blockDelta(event['index'], event['delta']);
      case 'message_delta':
        return this.#messageDelta(event);
      case 'message_stop':
        return this.#stop();
      case 'error':
        this.#error ??= errorOf(event);
        this.#errorStatus ??= errorStatusOf(event);
        return [this.#line({ error: { message: this.#error, type: 'upstream_error' } })];
      default:
        return [];
    }
  }

  #start(message: unknown): Buffer[] {
    if (!isFields(message)) return [];
    if (typeof message['id'] === 'string') this.#id = message['id'];
    if (isFields(message['usage'])) this.#usage = message['usage'];
    return [this.#chunk({ role: 'assistant', content: '' })];
  }

  #blockStart(index: unknown, block: unknown): Buffer[] {
    if (!isFields(block) || block['type'] !== 'tool_use') return [];
    const at = this.#calls.size;
    this.#calls.set(index, at);
    const { id, name } = block;
    this.#outputBytes += typeof name === 'string' ? Buffer.byteLength(name) : 0;
    return [
      this.#chunk({
        tool_calls: [{ index: at, id, type: 'function', function: { name, arguments: '' } }],
      }),
    ];
  }

  #blockDelta(index: unknown, delta: unknown): Buffer[] {
    if (!isFields(delta)) return [];
    const { text, thinking, partial_json: json } = delta;
    switch (delta['type']) {
      case 'text_delta':
        return this.#text('content', text);
      case 'thinking_delta':
        return this.#text('reasoning_content', thinking);
      case 'input_json_delta': {
        if (typeof json !== 'string' || json === '') return [];
        this.#outputBytes += Buffer.byteLength(json);
        const call = { index: this.#calls.get(index) ?? 0, function: { arguments: json } };
        return [this.#chunk({ tool_calls: [call] })];
      }
      default:
        return [];
    }
  }

  #text(field: 'content' | 'reasoning_content', text: unknown): Buffer[] {
    if (typeof text !== 'string' || text === '') return [];
    this.#outputBytes += Buffer.byteLength(text);
    return [this.#chunk({ [field]: text })];
  }

  #messageDelta(event: Fields): Buffer[] {
    const { usage } = event;
    this.#usage = mergedUsage(this.#usage, usage);
    if (isFields(usage) && typeof usage['output_tokens'] === 'number') this.#isOutputTold = true;
    const delta = event['delta'];
    if (!isFields(delta) || typeof delta['stop_reason'] !== 'string') return [];
    this.#stopReason = delta['stop_reason'];
    return [this.#chunk({}, finishReason(this.#stopReason))];
  }

  #stop(): Buffer[] {
    this.#isDone = true;
    const usage = usageOf(this.#usage);
    if (!this.#request.wantsUsage || !usage) return [];
    return [this.#line({ choices: [], usage: openAiUsage(usage) })];
  }

  #chunk(delta: Fields, finish: string | null = null): Buffer {
    return this.#line({ choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] });
  }

  #line(fields: Fields): Buffer {
    const head = {
      id: this.#id,
      object: 'chat.completion.chunk',
      created: this.#created,
      model: this.#request.model,
    };
    let text = JSON.stringify({ ...head, ...fields });
    for (const secret of this.#secrets) text = text.replaceAll(secret, '[redacted]');
    return Buffer.from(`data: ${text}\n\n`);
  }
}
