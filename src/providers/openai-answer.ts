/** A whole JSON chat answer: read once, never written again. */
import { errorOf, isFields, usageOf } from './openai-usage.ts';
import type { AnswerFacts, Measured } from './provider.ts';
import { costOf, errorStatusOf } from './reported.ts';

type Fields = Record<string, unknown>;

const GENERATED = ['content', 'reasoning_content', 'reasoning', 'refusal'] as const;
const MAX_CONTENT_PARTS = 1_000;

/** Null for what is no chat answer: not JSON, or neither choices nor an error in it. */
export function readAnswer(body: Buffer, { reportedCost }: AnswerFacts): Measured | null {
  const answer = parse(body);
  if (!answer) return null;
  const choices = answer['choices'];
  const error = errorOf(answer);
  if (!Array.isArray(choices) && error === null) return null;
  const measured: Measured = {
    usage: usageOf(answer),
    outputBytes: 0,
    isComplete: false,
    error,
    errorStatus: errorStatusOf(answer),
    upstreamCostUsd: costOf(answer, reportedCost),
  };
  for (const choice of Array.isArray(choices) ? (choices as unknown[]) : []) {
    if (!isFields(choice)) continue;
    if (isFields(choice['message'])) measured.outputBytes += messageBytes(choice['message']);
    const reason = choice['finish_reason'];
    if (reason === 'error') measured.error ??= errorOf(choice) ?? 'the answer ended in an error';
    else measured.isComplete = true;
  }
  return measured;
}

function parse(body: Buffer): Fields | null {
  try {
    const answer: unknown = JSON.parse(body.toString('utf8'));
    return isFields(answer) ? answer : null;
  } catch {
    return null;
  }
}

function messageBytes(message: Fields): number {
  let bytes = 0;
  for (const name of GENERATED) bytes += textBytes(message[name]);
  const calls = message['tool_calls'];
  for (const call of Array.isArray(calls) ? (calls as unknown[]) : []) {
    if (isFields(call)) bytes += callBytes(call['function']) + callBytes(call['custom']);
  }
  return bytes + callBytes(message['function_call']);
}

function textBytes(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (!Array.isArray(value)) return 0;
  let bytes = 0;
  for (const part of (value as unknown[]).slice(0, MAX_CONTENT_PARTS)) {
    if (isFields(part)) bytes += textBytes(part['text']);
  }
  return bytes;
}

function callBytes(value: unknown): number {
  if (!isFields(value)) return 0;
  return textBytes(value['name']) + textBytes(value['arguments']) + textBytes(value['input']);
}
