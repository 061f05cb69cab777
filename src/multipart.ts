/**
 * Reads multipart/form-data (RFC 7578) that is in memory. What goes on to an upstream is written anew from these parts, so that nobody
 * further down reads another model or file out of the same bytes.
 */
import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import { AppError } from './errors.ts';

export interface FormPart {
  name: string;
  /** Null for a plain field. */
  filename: string | null;
  contentType: string | null;
  bytes: Buffer;
}

const MAX_PARTS = 128;
const MAX_HEAD_BYTES = 4_096;
const MAX_FIELD_BYTES = 1_048_576;
const BOUNDARY =
  /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i;
const FIRST_LINE = /^(?:\r\n)?--([^\r\n]{1,200})\r\n/;
const CRLF = '\r\n';
/** The bytes of the part that are not its own may come as they are, and no other way. */
const PLAIN_ENCODINGS = new Set(['7bit', '8bit', 'binary']);

/** Null for any other type. */
export function boundaryOf(contentType: string | undefined): string | null {
  const [, quoted, plain] = BOUNDARY.exec(contentType ?? '') ?? [];
  return quoted ?? plain ?? null;
}

/** Errors: invalid_request, saying what is wrong with the form. */
export function readForm(body: Buffer, boundary: string): FormPart[] {
  const { parts, isWhole } = scan(body, boundary);
  if (!isWhole) throw bad('it ends before its last boundary');
  return parts;
}

/** The parts of a form that was cut off, the last one as far as it goes. Its boundary is read off its first line. */
export function readFormPrefix(body: Buffer): FormPart[] {
  const [, boundary] = FIRST_LINE.exec(body.toString('latin1', 0, 256)) ?? [];
  return boundary === undefined ? [] : scan(body, boundary).parts;
}

/** Fields by their names. Errors: invalid_request where one comes twice. */
export function fieldsOf(parts: readonly FormPart[]): Map<string, string> {
  const fields = new Map<string, string>();
  for (const { name, filename, bytes } of parts) {
    if (filename !== null) continue;
    if (fields.has(name) && !name.endsWith('[]')) throw twice(name);
    if (bytes.length > MAX_FIELD_BYTES || !isUtf8(bytes))
      throw bad(`the field "${name}" is no text`);
    fields.set(name, bytes.toString('utf8'));
  }
  return fields;
}

/** The same for the same parts, whatever stands between them: a client that repeats a request draws a new boundary. */
export function canonicalForm(parts: readonly FormPart[]): Buffer {
  const facts = parts.map(({ name, filename, contentType, bytes }) => [
    name,
    filename,
    contentType,
    hash('sha256', bytes),
  ]);
  return Buffer.from(JSON.stringify(facts));
}

function scan(body: Buffer, boundary: string): { parts: FormPart[]; isWhole: boolean } {
  const line = Buffer.from(`${CRLF}--${boundary}`, 'latin1');
  const parts: FormPart[] = [];
  // The first boundary stands at the very beginning, or after something that nobody reads.
  const startsAtOnce = body.subarray(0, line.length - 2).equals(line.subarray(2));
  let at = startsAtOnce ? line.length - 2 : body.indexOf(line);
  if (at < 0) return { parts, isWhole: false };
  if (!startsAtOnce) at += line.length;
  for (;;) {
    const after = body.toString('latin1', at, at + 2);
    if (after === '--') return { parts, isWhole: true };
    if (after !== CRLF) {
      if (at + 2 > body.length) return { parts, isWhole: false };
      throw bad('a boundary is followed by something else than a new line');
    }
    const end = body.indexOf(line, at + 2);
    const part = readPart(body.subarray(at + 2, end < 0 ? body.length : end));
    if (part) parts.push(part);
    if (parts.length > MAX_PARTS) throw bad(`it has more than ${MAX_PARTS} parts`);
    if (end < 0) return { parts, isWhole: false };
    at = end + line.length;
  }
}

/** Null where its head was cut off. */
function readPart(bytes: Buffer): FormPart | null {
  // A head without a line has its empty line at once.
  const headEnd = bytes.subarray(0, 2).equals(Buffer.from(CRLF)) ? 0 : bytes.indexOf('\r\n\r\n');
  if (headEnd > MAX_HEAD_BYTES || (headEnd < 0 && bytes.length > MAX_HEAD_BYTES)) {
    throw bad(`the head of a part is longer than ${MAX_HEAD_BYTES} bytes`);
  }
  if (headEnd < 0) return null;
  const headers = readHead(bytes.toString('utf8', 0, headEnd));
  const disposition = headers.get('content-disposition') ?? '';
  const name = parameter(disposition, 'name');
  if (!/^form-data\s*;/i.test(disposition) || name === null) {
    throw bad('every part must have a Content-Disposition: form-data with a name');
  }
  const encoding = headers.get('content-transfer-encoding') ?? 'binary';
  if (!PLAIN_ENCODINGS.has(encoding.toLowerCase())) {
    throw bad(`the part "${name}" must be sent as it is, not in ${encoding.slice(0, 40)}`);
  }
  return {
    name,
    filename: parameter(disposition, 'filename'),
    contentType: headers.get('content-type') ?? null,
    bytes: bytes.subarray(headEnd === 0 ? 2 : headEnd + 4),
  };
}

function readHead(text: string): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of text.split(CRLF)) {
    const colon = line.indexOf(':');
    if (colon < 1) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    if (headers.has(name)) throw bad(`the head of a part has two headers ${name.slice(0, 40)}`);
    headers.set(name, line.slice(colon + 1).trim());
  }
  return headers;
}

/** As browsers write them: in quotes, with %22, %0D and %0A for what cannot stand there; older clients put a backslash before a quote. */
function parameter(disposition: string, name: string): string | null {
  const found = new RegExp(`;\\s*${name}\\s*=\\s*(?:"((?:\\\\"|[^"])*)"|([^\\s;"]+))`, 'i').exec(
    disposition,
  );
  if (!found) return null;
  const [, quoted, plain = ''] = found;
  if (quoted === undefined) return plain;
  return quoted
    .replaceAll('\\"', '"')
    .replaceAll('%22', '"')
    .replaceAll(/%0[DA]/gi, ' ');
}

function twice(name: string): AppError {
  return new AppError('invalid_request', `The field "${name}" must come once.`, {
    details: { field: name },
  });
}

function bad(problem: string): AppError {
  return new AppError('invalid_request', `The body is no good multipart/form-data: ${problem}.`);
}
