/** Anthropic's answers in OpenAI's words, and what they say of usage. */
import { isFields } from './openai-usage.ts';
import type { Measured, Usage } from './provider.ts';

type Fields = Record<string, unknown>;

const FINISH: Record<string, string> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  pause_turn: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'content_filter',
};

export function finishReason(stopReason: unknown): string {
  return (typeof stopReason === 'string' && FINISH[stopReason]) || 'stop';
}

/** Anthropic counts what comes out of the cache, and what goes into it, beside the input; here they are parts of it. */
export function usageOf(usage: unknown): Usage | null {
  if (!isFields(usage)) return null;
  const cachedInputTokens = count(usage['cache_read_input_tokens']);
  const cacheWriteTokens = count(usage['cache_creation_input_tokens']);
  const details = usage['output_tokens_details'];
  const written = usage['cache_creation'];
  const long = isFields(written) ? count(written['ephemeral_1h_input_tokens']) : 0;
  return {
    inputTokens: count(usage['input_tokens']) + cachedInputTokens + cacheWriteTokens,
    outputTokens: count(usage['output_tokens']),
    cachedInputTokens,
    cacheWriteTokens,
    ...(long && { longCacheWriteTokens: Math.min(long, cacheWriteTokens) }),
    reasoningTokens: isFields(details) ? count(details['thinking_tokens']) : 0,
  };
}

/** What the end of a stream says of its usage, over what its beginning said: a null takes nothing back. */
export function mergedUsage(before: Fields | null, after: unknown): Fields | null {
  if (!isFields(after)) return before;
  const said = Object.entries(after).filter(([, value]) => value !== null);
  return { ...before, ...Object.fromEntries(said) };
}

/** As OpenAI's `usage`. */
export function openAiUsage(usage: Usage): Fields {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: {
      cached_tokens: usage.cachedInputTokens,
      cache_write_tokens: usage.cacheWriteTokens,
    },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  };
}

/** Null for what is no message: not JSON, or neither content nor an error in it. */
export function readMessage(body: Buffer): Measured | null {
  const answer = parse(body);
  if (!answer) return null;
  const error = errorOf(answer);
  const content = answer['content'];
  if (!Array.isArray(content) && error === null) return null;
  const blocks = Array.isArray(content) ? (content as unknown[]) : [];
  return {
    usage: usageOf(answer['usage']),
    outputBytes: blocks.reduce((sum: number, block) => sum + blockBytes(block), 0),
    isComplete: typeof answer['stop_reason'] === 'string',
    error,
  };
}

/** The message as a chat completion; the body as it is where it is none. `model`: the name that the caller asked for. */
export function toCompletion(body: Buffer, model: string): Buffer {
  const answer = parse(body);
  if (!answer || !Array.isArray(answer['content'])) return body;
  const blocks = (answer['content'] as unknown[]).filter(isFields);
  const text = joined(blocks, 'text', 'text');
  const thinking = joined(blocks, 'thinking', 'thinking');
  const calls = blocks.filter((block) => block['type'] === 'tool_use').map(toolCall);
  const usage = usageOf(answer['usage']);
  const message = {
    role: 'assistant',
    content: text || (calls.length ? null : ''),
    refusal: null,
    ...(thinking && { reasoning_content: thinking }),
    ...(calls.length && { tool_calls: calls }),
  };
  const finish = finishReason(answer['stop_reason']);
  return Buffer.from(
    JSON.stringify({
      id: answer['id'],
      object: 'chat.completion',
      created: Math.floor(Date.now() / 1_000),
      model,
      choices: [{ index: 0, message, logprobs: null, finish_reason: finish }],
      ...(usage && { usage: openAiUsage(usage) }),
    }),
  );
}

function toolCall(block: Fields): Fields {
  return {
    id: block['id'],
    type: 'function',
    function: { name: block['name'], arguments: JSON.stringify(block['input'] ?? {}) },
  };
}

function joined(blocks: Fields[], type: string, field: string): string {
  return blocks
    .filter((block) => block['type'] === type)
    .map((block) => (typeof block[field] === 'string' ? block[field] : ''))
    .join('');
}

function blockBytes(block: unknown): number {
  if (!isFields(block)) return 0;
  const { text, thinking, input, name } = block;
  let bytes = 0;
  for (const part of [text, thinking, name]) {
    if (typeof part === 'string') bytes += Buffer.byteLength(part);
  }
  return input === undefined ? bytes : bytes + Buffer.byteLength(JSON.stringify(input));
}

export function errorOf(answer: Fields): string | null {
  if (answer['type'] !== 'error') return null;
  const error = answer['error'];
  const message = isFields(error) ? error['message'] : error;
  return typeof message === 'string' && message !== '' ? message : 'the upstream sent an error';
}

export function parse(body: Buffer | string): Fields | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return isFields(value) ? value : null;
  } catch {
    return null;
  }
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
}
