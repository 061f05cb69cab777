/** Usage objects of OpenAI's dialect and its many dialects, read without trust: whole counts from 0, or nothing. */
import type { Usage } from './provider.ts';

/** Beyond any context window: a count above it is a fault of the upstream, and stays a safe integer after sums. */
const MAX_COUNT = 1_000_000_000;

type Fields = Record<string, unknown>;

/** Null where neither count can be read. A count that is missing or odd beside a good one is 0, for the caller to judge. */
export function readUsage(value: unknown): Usage | null {
  if (!isFields(value)) return null;
  const input = count(value['prompt_tokens']) ?? count(value['input_tokens']);
  const output = count(value['completion_tokens']) ?? count(value['output_tokens']);
  if (input === null && output === null) return null;
  const inputDetails = details(value, 'prompt_tokens_details', 'input_tokens_details');
  const heard = count(inputDetails['audio_tokens']);
  const outputDetails = details(value, 'completion_tokens_details', 'output_tokens_details');
  return {
    inputTokens: input ?? 0,
    outputTokens: output ?? 0,
    // DeepSeek names its cache hits at the top.
    cachedInputTokens:
      count(inputDetails['cached_tokens']) ?? count(value['prompt_cache_hit_tokens']) ?? 0,
    cacheWriteTokens: count(inputDetails['cache_write_tokens']) ?? 0,
    reasoningTokens: count(outputDetails['reasoning_tokens']) ?? 0,
    ...(heard && { inputAudioTokens: heard }),
  };
}

/** The usage of a chunk or answer: at its top, where Groq puts it, or llama.cpp's timings. */
export function usageOf(answer: Fields): Usage | null {
  const groq = answer['x_groq'];
  return (
    readUsage(answer['usage']) ??
    (isFields(groq) ? readUsage(groq['usage']) : null) ??
    readTimings(answer['timings'])
  );
}

/** llama.cpp counts what it read of the prompt apart from what it still had in its cache. */
function readTimings(value: unknown): Usage | null {
  if (!isFields(value)) return null;
  const read = count(value['prompt_n']);
  const output = count(value['predicted_n']);
  if (read === null || output === null) return null;
  const cached = count(value['cache_n']) ?? 0;
  return {
    inputTokens: read + cached,
    outputTokens: output,
    cachedInputTokens: cached,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
  };
}

/** The text of an error object or string; null where there is none. */
export function errorOf(answer: Fields): string | null {
  const error = answer['error'] ?? null;
  if (error === null || error === false || error === '') return null;
  const message = isFields(error) ? error['message'] : error;
  return typeof message === 'string' && message
    ? message.slice(0, 500)
    : 'an error without a message';
}

function details(value: Fields, ...names: string[]): Fields {
  for (const name of names) {
    const found = value[name];
    if (isFields(found)) return found;
  }
  return {};
}

function count(value: unknown): number | null {
  if (typeof value !== 'number' || !(value >= 0)) return null;
  return Math.min(Math.ceil(value), MAX_COUNT);
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
