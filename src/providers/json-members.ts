/**
 * Where the members of a JSON object's top level lie in its bytes, in one pass: so that a body can be changed by splices and
 * everything else stays byte for byte what the caller sent. It checks depth and structure; whether the text is JSON is for
 * JSON.parse to say, which may run afterwards because the depth is bounded.
 */
import { AppError } from '../errors.ts';

/** Byte offsets: start of the key's quote, start of the value, end of the value (exclusive). */
export type MemberRange = [key: number, value: number, end: number];

/** 20 KB of brackets are enough to break a recursive reader. */
export const MAX_JSON_DEPTH = 64;
const MAX_MEMBERS = 256;
/** Objects and lists, and values altogether: what a parser makes of a byte is what costs, and nobody has paid yet. */
const MAX_CONTAINERS = 100_000;
const MAX_VALUES = 1_000_000;

interface Budget {
  containers: number;
  values: number;
  /** Members seen below the top level. */
  nested: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

export interface Members {
  ranges: Map<string, MemberRange>;
  /** Whether the object was closed; false for a body that was cut off. */
  isWhole: boolean;
  /** Members of objects below the top level, as they are written: a name that is there twice counts twice. */
  nested: number;
}

/**
 * Scans `text[start, end)`, which begins with the object (blanks aside). A truncated body gives the members before the cut.
 * Errors: invalid_json where it is no object, too deep, or has two members of one name.
 */
export function scanMembers(text: Buffer, start = 0, end = text.length): Members {
  const ranges = new Map<string, MemberRange>();
  const budget = { containers: MAX_CONTAINERS, values: MAX_VALUES, nested: 0 };
  let at = skipBlanks(text, start, end);
  if (at < end && text[at] !== OPEN_BRACE) throw invalid('The body must be a JSON object.');
  at = skipBlanks(text, at + 1, end);
  if (text[at] === CLOSE_BRACE && at < end) return finish(text, { ranges, budget }, at + 1, end);
  while (at < end) {
    if (text[at] !== QUOTE) throw invalid(`A member's name must begin at byte ${at}.`);
    const keyEnd = skipString(text, at, end);
    const colon = skipBlanks(text, keyEnd, end);
    if (colon >= end) break;
    if (text[colon] !== COLON) throw invalid(`A colon must stand at byte ${colon}.`);
    const value = skipBlanks(text, colon + 1, end);
    const valueEnd = skipValue(text, value, end, budget);
    const next = skipBlanks(text, valueEnd, end);
    if (next >= end) break;
    addMember(ranges, keyName(text, at, keyEnd), [at, value, valueEnd]);
    if (text[next] === CLOSE_BRACE) return finish(text, { ranges, budget }, next + 1, end);
    if (text[next] !== COMMA)
      throw invalid(`A comma or the object's end must stand at byte ${next}.`);
    at = skipBlanks(text, next + 1, end);
  }
  return { ranges, isWhole: false, nested: budget.nested };
}

function finish(
  text: Buffer,
  { ranges, budget }: { ranges: Members['ranges']; budget: Budget },
  after: number,
  end: number,
): Members {
  if (skipBlanks(text, after, end) < end)
    throw invalid(`Something follows the JSON object at byte ${after}.`);
  return { ranges, isWhole: true, nested: budget.nested };
}

/** Members of the objects in a parsed value, to hold against `Members.nested`. */
export function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value as unknown[])
      if (typeof item === 'object') count += countMembers(item);
    return count;
  }
  const fields = value as Record<string, unknown>;
  // No list of values is made; what JSON.parse makes has no members but its own.
  for (const name in fields) {
    count++;
    const item = fields[name];
    if (typeof item === 'object') count += countMembers(item);
  }
  return count;
}

/** Two members of one name: which of them counts differs from reader to reader, so price and call could disagree. */
function addMember(ranges: Members['ranges'], name: string, range: MemberRange): void {
  if (ranges.has(name)) {
    throw new AppError(
      'invalid_request',
      `The field ${JSON.stringify(name.slice(0, 60))} is given twice. Send it once.`,
      {
        details: { field: name.slice(0, 60) },
      },
    );
  }
  if (ranges.size >= MAX_MEMBERS) throw invalid(`The body has more than ${MAX_MEMBERS} fields.`);
  ranges.set(name, range);
}

function keyName(text: Buffer, start: number, end: number): string {
  for (let at = start + 1; at < end - 1; at++) {
    if (text[at] === BACKSLASH) return escapedName(text, start, end);
  }
  return text.toString('utf8', start + 1, end - 1);
}

function escapedName(text: Buffer, start: number, end: number): string {
  try {
    return String(JSON.parse(text.toString('utf8', start, end)));
  } catch {
    throw invalid(`The member's name at byte ${start} is not a JSON string.`);
  }
}

function skipBlanks(text: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const byte = text[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    at++;
  }
  return at;
}

/** Beyond these, the quote is sought by the runtime, which is faster than any loop of ours. */
const SHORT_STRING = 32;

/** From the opening quote to behind the closing one, or to `end`. */
function skipString(text: Buffer, start: number, end: number): number {
  const short = Math.min(end, start + SHORT_STRING);
  let at = start + 1;
  while (at < short) {
    const byte = text[at];
    if (byte === QUOTE) return at + 1;
    at += byte === BACKSLASH ? 2 : 1;
  }
  while (at < end) {
    const quote = text.indexOf(QUOTE, at);
    if (quote < 0 || quote >= end) return end;
    let escapes = quote;
    while (escapes > at && text[escapes - 1] === BACKSLASH) escapes--;
    if ((quote - escapes) % 2 === 0) return quote + 1;
    at = quote + 1;
  }
  return end;
}

function skipValue(text: Buffer, start: number, end: number, budget: Budget): number {
  const first = text[start];
  if (first === QUOTE) return skipString(text, start, end);
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return skipNested(text, start, end, budget);
  let at = start;
  while (at < end) {
    const byte = text[at]!;
    if (byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET || byte <= 0x20) break;
    at++;
  }
  if (at === start && at < end) throw invalid(`A value must stand at byte ${start}.`);
  return at;
}

function skipNested(text: Buffer, start: number, end: number, budget: Budget): number {
  // The object that holds this value is the first level.
  let depth = 1;
  let at = start;
  while (at < end) {
    const byte = text[at];
    if (byte === QUOTE) {
      at = skipString(text, at, end);
      continue;
    }
    at++;
    if (byte === COLON) budget.nested++;
    else if (byte === COMMA) {
      if (--budget.values < 0) throw invalid(`The body has more than ${MAX_VALUES} values.`);
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (--budget.containers < 0)
        throw invalid(`The body has more than ${MAX_CONTAINERS} objects and lists.`);
      if (++depth > MAX_JSON_DEPTH)
        throw invalid(`The body is nested deeper than ${MAX_JSON_DEPTH} levels.`);
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (--depth === 1) return at;
    }
  }
  return end;
}

function invalid(message: string): AppError {
  return new AppError('invalid_json', message);
}
