/** The fields of a request for something to be made, from JSON or from a form: files become data URLs. */
import { AppError } from '../../errors.ts';
import {
  boundaryOf,
  canonicalForm,
  type FormPart,
  readForm,
  readFormPrefix,
} from '../../multipart.ts';
import { isFields } from '../../orders/fields.ts';
import { countMembers, scanMembers } from '../../providers/json-members.ts';
import type { Context } from '../request.ts';

export type Fields = Record<string, unknown>;

/** Of a body that is cut off: longer members are pictures, and say nothing of the price. */
const MAX_PEEKED = 65_536;
const OBJECT = 0x7b;
const read = new WeakMap<Buffer, Fields>();

/** Read once for each body. Errors: invalid_json, invalid_request. */
export function fieldsOfBody(ctx: Context): Fields {
  const { body } = ctx.state;
  const known = read.get(body);
  if (known) return known;
  const boundary = boundaryOf(ctx.req.headers['content-type']);
  const fields = boundary === null ? jsonFields(body) : formFields(readForm(body, boundary));
  read.set(body, fields);
  return fields;
}

/** By what a repeated request is known again: a form draws a new boundary each time. */
export function samenessOf(ctx: Context): Buffer {
  const boundary = boundaryOf(ctx.req.headers['content-type']);
  return boundary === null ? ctx.state.body : canonicalForm(readForm(ctx.state.body, boundary));
}

/** What can be read of a body of which more is to come, or which nobody has checked. Never throws. */
export function peekFields(body: Buffer): Fields {
  try {
    if (body[firstSign(body)] !== OBJECT) return formFields(readFormPrefix(body));
    const fields: Fields = {};
    for (const [name, [, from, to]] of scanMembers(body).ranges) {
      if (to - from <= MAX_PEEKED) fields[name] = JSON.parse(body.toString('utf8', from, to));
      // A picture counts as one, whatever is in it.
      else fields[name] = 'data:,';
    }
    return fields;
  } catch {
    return {};
  }
}

function firstSign(body: Buffer): number {
  let at = 0;
  while (at < body.length && body[at]! <= 0x20) at += 1;
  return at;
}

/** Scanned first: what a parser makes of brackets alone takes it half a minute for one body, and nobody has paid yet. */
function jsonFields(body: Buffer): Fields {
  const { ranges, nested } = scanMembers(body);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    throw new AppError('invalid_json', 'The body is not valid JSON.', { cause });
  }
  if (!isFields(value)) throw new AppError('invalid_json', 'The body must be a JSON object.');
  if (countMembers(value) !== ranges.size + nested) {
    throw new AppError('invalid_request', 'An object in the body has a field twice. Send it once.');
  }
  return { ...value };
}

function formFields(parts: readonly FormPart[]): Fields {
  // A part may be called "constructor", or "__proto__".
  const fields = new Map<string, string | string[]>();
  for (const part of parts) {
    const name = part.name.replace(/\[\d*\]$/, '');
    const value = valueOf(part);
    const before = fields.get(name);
    if (before === undefined && name === part.name) fields.set(name, value);
    else fields.set(name, [...(before === undefined ? [] : [before].flat()), value]);
  }
  return Object.fromEntries(fields);
}

function valueOf({ filename, contentType, bytes }: FormPart): string {
  if (filename === null) return bytes.toString('utf8');
  const type = /^[\w.+-]+\/[\w.+-]+$/.exec(contentType ?? '')?.[0] ?? 'application/octet-stream';
  return `data:${type};base64,${bytes.toString('base64')}`;
}
