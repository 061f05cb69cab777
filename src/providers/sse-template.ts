/**
 * Most events of a stream differ in one string only. Once one of them was read, those that begin and end with the same bytes and
 * have plain text between need no look at their inside.
 */
import { stringEnd } from './sse-scan.ts';

const CONTENT = '"content":"';
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

export interface Template {
  prefix: string;
  suffix: string;
}

/** What surrounds the one text of a chunk that is a single whole event with `generated` bytes in all; null for any other. */
export function learnTemplate(chunk: string, generated: number): Template | null {
  const newline = chunk.indexOf('\n');
  const isSingle =
    chunk.startsWith('data:') &&
    /^\r?\n\r?\n$/.test(chunk.slice(chunk[newline - 1] === '\r' ? newline - 1 : newline));
  const at = chunk.indexOf(CONTENT);
  if (!isSingle || at < 0) return null;
  const start = at + CONTENT.length;
  const end = stringEnd(chunk, start - 1);
  if (end - start !== generated || generated === 0) return null;
  return { prefix: chunk.slice(0, start), suffix: chunk.slice(end) };
}

/** The length of the plain text between, or -1 where the chunk is another. */
export function matchTemplate({ prefix, suffix }: Template, chunk: string): number {
  const length = chunk.length - prefix.length - suffix.length;
  if (length < 0 || !chunk.endsWith(suffix) || !chunk.startsWith(prefix)) return -1;
  const end = prefix.length + length;
  for (let at = prefix.length; at < end; at++) {
    const code = chunk.charCodeAt(at);
    if (code === QUOTE || code === BACKSLASH || code < 0x20) return -1;
  }
  return length;
}
