/** Bodies of requests: JSON, and multipart/form-data (RFC 7578). */
import { randomBytes } from 'node:crypto';
import type { MediaBody, Part } from '../media.ts';

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
