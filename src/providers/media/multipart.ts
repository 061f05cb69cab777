/** Bodies of requests: JSON, and multipart/form-data (RFC 7578). */
import { randomBytes } from 'node:crypto';
import type { Fields, MediaBody, Part } from '../media.ts';
import { isFields } from './read.ts';

export interface EncodedBody {
  bytes: Buffer;
  contentType: string;
}

export function encodeBody(body: MediaBody): EncodedBody {
  if ('json' in body) {
    return { bytes: Buffer.from(JSON.stringify(body.json)), contentType: 'application/json' };
  }
  const boundary = `farebox-${randomBytes(16).toString('hex')}`;
  const pieces = body.multipart.flatMap((part) => [
    Buffer.from(`--${boundary}\r\n${headOf(part)}\r\n\r\n`),
    Buffer.from(part.value),
    Buffer.from('\r\n'),
  ]);
  pieces.push(Buffer.from(`--${boundary}--\r\n`));
  return {
    bytes: Buffer.concat(pieces),
    contentType: `multipart/form-data; boundary=${boundary}`,
  };
}

function headOf({ name, filename, contentType }: Part): string {
  const lines = [`content-disposition: form-data; name="${quoted(name)}"`];
  if (filename !== undefined) lines[0] += `; filename="${quoted(filename)}"`;
  if (contentType !== undefined) lines.push(`content-type: ${contentType.replace(/[\r\n]/g, ' ')}`);
  return lines.join('\r\n');
}

/** As browsers write names in form-data (WHATWG, multipart/form-data encoding). */
function quoted(name: string): string {
  return name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

const MAX_DEPTH = 4;

/** Fields as OpenAI's own client writes them into a form: `a[]` for items of a list, `a[b]` for members. */
export function formParts(fields: Fields, inside = '', depth = MAX_DEPTH): Part[] {
  return Object.entries(fields).flatMap(([key, value]): Part[] => {
    const name = inside === '' ? key : `${inside}[${key}]`;
    if (value === undefined || value === null) return [];
    if (depth > 0 && Array.isArray(value)) {
      return (value as unknown[]).flatMap((item) =>
        isFields(item)
          ? formParts(item, `${name}[]`, depth - 1)
          : [{ name: `${name}[]`, value: textOf(item) }],
      );
    }
    if (depth > 0 && isFields(value)) return formParts(value, name, depth - 1);
    return [{ name, value: textOf(value) }];
  });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export function filePart(
  name: string,
  { bytes, type }: { bytes: Buffer; type: string },
  n = 0,
): Part {
  const ending = /^image\/(\w+)/.exec(type)?.[1] ?? 'png';
  return { name, value: bytes, filename: `${n}.${ending}`, contentType: type || 'image/png' };
}
