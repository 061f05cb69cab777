/** Looks into one line of JSON without parsing it. Lines are Latin-1 strings: a character is a byte. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACE = 0x7d;
const CLOSE_BRACKET = 0x5d;

/** What a model generates, by the names that servers give it; ids, roles and types are not generated. */
const GENERATED = new Set([
  'content',
  'reasoning_content',
  'reasoning',
  'refusal',
  'arguments',
  'name',
  'input',
  'text',
  'thinking',
]);

/** Where the value of the next member `quotedName` begins, at or after `from`; -1 where there is none. */
export function valueOf(line: string, quotedName: string, from: number): number {
  let at = line.indexOf(quotedName, from);
  while (at >= 0) {
    const colon = skipBlanks(line, at + quotedName.length);
    if (line.charCodeAt(colon) === COLON) return skipBlanks(line, colon + 1);
    at = line.indexOf(quotedName, at + quotedName.length);
  }
  return -1;
}

export function isEmptyList(line: string, at: number): boolean {
  if (at < 0 || line.charCodeAt(at) !== OPEN_BRACKET) return false;
  return line.charCodeAt(skipBlanks(line, at + 1)) === CLOSE_BRACKET;
}

/** Bytes of generated text in the object at `at` (a delta): the lengths of its strings as they stand in JSON. */
export function generatedBytes(line: string, at: number): number {
  if (line.charCodeAt(at) !== OPEN_BRACE) return 0;
  let bytes = 0;
  let depth = 0;
  let isCounted = false;
  for (let index = at; index < line.length;) {
    const code = line.charCodeAt(index);
    if (code === QUOTE) {
      const end = stringEnd(line, index);
      const next = skipBlanks(line, end + 1);
      if (line.charCodeAt(next) === COLON) isCounted = GENERATED.has(line.slice(index + 1, end));
      else if (isCounted) bytes += end - index - 1;
      index = next;
      continue;
    }
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++;
    else if ((code === CLOSE_BRACE || code === CLOSE_BRACKET) && --depth === 0) return bytes;
    index++;
  }
  return bytes;
}

/** The closing quote of the string that opens at `at`, or the line's end. */
export function stringEnd(line: string, at: number): number {
  let index = at + 1;
  while (index < line.length) {
    const code = line.charCodeAt(index);
    if (code === QUOTE) return index;
    index += code === BACKSLASH ? 2 : 1;
  }
  return line.length;
}

function skipBlanks(line: string, at: number): number {
  let index = at;
  while (line.charCodeAt(index) === 0x20 || line.charCodeAt(index) === 0x09) index++;
  return index;
}
