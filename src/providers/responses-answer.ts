/** A whole answer of OpenAI's Responses API, and what it says of usage and errors. */
import { isFields, readUsage } from './openai-usage.ts';
import type { AnswerFacts, Measured } from './provider.ts';
import { costOf, errorStatusOf } from './reported.ts';

type Fields = Record<string, unknown>;

/** Null for what is no response: not JSON, or neither output nor an error in it. */
export function readResponse(body: Buffer, facts: AnswerFacts): Measured | null {
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
  return isFields(answer) ? measureResponse(answer, facts) : null;
}

/** As `readResponse`, of the object itself: it is also what the last event of a stream holds. */
export function measureResponse(response: Fields, facts: AnswerFacts): Measured | null {
  const { output, status } = response;
  const error = responseError(response);
  if (!Array.isArray(output) && error === null) return null;
  return {
    usage: readUsage(response['usage']),
    outputBytes: Array.isArray(output) ? outputBytes(output) : 0,
    // Servers that leave the status out answer whole.
    isComplete: (status ?? 'completed') === 'completed' || status === 'incomplete',
    error,
    errorStatus: errorStatusOf(response),
    upstreamCostUsd: costOf(response, facts.reportedCost),
  };
}

/** Why a response failed; null for one that did not. */
export function responseError(response: Fields): string | null {
  const error = response['error'] ?? null;
  const { status } = response;
  const hasFailed = status === 'failed' || status === 'cancelled';
  if (error === null || error === false || error === '') {
    return hasFailed ? `the response is ${status}` : null;
  }
  const message = isFields(error) ? error['message'] : error;
  return typeof message === 'string' && message
    ? message.slice(0, 500)
    : 'an error without a message';
}

const MAX_ITEMS = 10_000;

/** Text, reasoning and calls of tools, as the model wrote them. */
function outputBytes(items: unknown[]): number {
  let bytes = 0;
  for (const item of items.slice(0, MAX_ITEMS)) {
    if (!isFields(item)) continue;
    bytes += partsBytes(item['content']) + partsBytes(item['summary']);
    for (const name of ['name', 'arguments', 'input']) bytes += textBytes(item[name]);
  }
  return bytes;
}

function partsBytes(parts: unknown): number {
  if (!Array.isArray(parts)) return 0;
  let bytes = 0;
  for (const part of (parts as unknown[]).slice(0, MAX_ITEMS)) {
    if (isFields(part)) bytes += textBytes(part['text']) + textBytes(part['refusal']);
  }
  return bytes;
}

function textBytes(value: unknown): number {
  return typeof value === 'string' ? Buffer.byteLength(value) : 0;
}
