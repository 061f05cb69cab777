/** Chat completions in Anthropic's words: a whole answer, its usage and why it stopped. */
import { isFields, usageOf } from './openai-usage.ts';
import type { Usage } from './provider.ts';

type Fields = Record<string, unknown>;

const STOP: Record<string, string> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  function_call: 'tool_use',
  content_filter: 'refusal',
};

export interface Stopped {
  stop_reason: string;
  stop_sequence: string | null;
}

/** `choice`: with its finish_reason, and where some servers say which of the caller's sequences they met. */
export function stoppedBy(choice: Fields, sequences: readonly unknown[]): Stopped {
  const { finish_reason: finish, stop_reason: met } = choice;
  if (finish === 'stop' && typeof met === 'string' && sequences.includes(met)) {
    return { stop_reason: 'stop_sequence', stop_sequence: met };
  }
  const reason = (typeof finish === 'string' && STOP[finish]) || 'end_turn';
  return { stop_reason: reason, stop_sequence: null };
}

/** Anthropic counts what comes out of the cache, and what goes into it, beside the input. */
export function messageUsage(usage: Usage | null): Fields {
  const cached = usage?.cachedInputTokens ?? 0;
  const written = usage?.cacheWriteTokens ?? 0;
  return {
    input_tokens: Math.max(0, (usage?.inputTokens ?? 0) - cached - written),
    cache_creation_input_tokens: written,
    cache_read_input_tokens: cached,
    output_tokens: usage?.outputTokens ?? 0,
  };
}

export function messageId(id: unknown): string {
  return typeof id === 'string' && id !== '' ? `msg_${id.replace(/^chatcmpl-/, '')}` : 'msg_0';
}

/** What of the request an answer depends on. */
export interface Asked {
  /** The name that the caller asked for. */
  model: string;
  /** Whether thoughts are wanted: without being asked for they would surprise a reader. */
  isThinking: boolean;
  stopSequences: readonly unknown[];
}

export function askedOf(body: Fields, model: string): Asked {
  const { thinking, stop_sequences: stops } = body;
  const mode = isFields(thinking) ? thinking['type'] : 'disabled';
  return {
    model,
    isThinking: mode === 'enabled' || mode === 'adaptive',
    stopSequences: Array.isArray(stops) ? (stops as unknown[]) : [],
  };
}

/** The completion as a message; the body as it is where it is none. */
export function toMessage(body: Buffer, asked: Asked): Buffer {
  const answer: unknown = JSON.parse(body.toString('utf8'));
  if (!isFields(answer)) return body;
  const { choices } = answer;
  const choice = Array.isArray(choices) ? (choices as unknown[])[0] : null;
  if (!isFields(choice) || !isFields(choice['message'])) return body;
  return Buffer.from(
    JSON.stringify({
      id: messageId(answer['id']),
      type: 'message',
      role: 'assistant',
      model: asked.model,
      content: contentOf(choice['message'], asked),
      ...stoppedBy(choice, asked.stopSequences),
      usage: messageUsage(usageOf(answer)),
    }),
  );
}

function contentOf(message: Fields, { isThinking }: Asked): Fields[] {
  const content: Fields[] = [];
  const thinking = thoughtOf(message);
  if (isThinking && thinking) content.push({ type: 'thinking', thinking, signature: '' });
  const text = textOf(message['content']) || textOf(message['refusal']);
  if (text) content.push({ type: 'text', text });
  const calls = message['tool_calls'];
  for (const [index, call] of (Array.isArray(calls) ? (calls as unknown[]) : []).entries()) {
    const called = isFields(call) && isFields(call['function']) ? call['function'] : null;
    if (!isFields(call) || !called) continue;
    const id = typeof call['id'] === 'string' && call['id'] ? call['id'] : `toolu_${index}`;
    content.push({ type: 'tool_use', id, name: called['name'], input: inputOf(called) });
  }
  return content;
}

/** By the names that servers give it. */
export function thoughtOf(message: Fields): string {
  return textOf(message['reasoning_content']) || textOf(message['reasoning']);
}

export function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return (content as unknown[])
    .map((part) => (isFields(part) && typeof part['text'] === 'string' ? part['text'] : ''))
    .join('');
}

/** Arguments that were cut off by the output limit are no JSON; they are handed on as they are. */
function inputOf(called: Fields): unknown {
  const text = textOf(called['arguments']);
  if (text === '') return {};
  try {
    const input: unknown = JSON.parse(text);
    if (isFields(input)) return input;
  } catch {
    // Below.
  }
  return { invalid_json: text };
}
