/** What a request says of its body: bodies are JSON, or forms where files come with them, and never packed. */
import type { IncomingMessage } from 'node:http';
import { AppError } from '../errors.ts';

const JSON_TYPE = /^\s*(?:application|text)\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;
const FORM_TYPE = /^\s*multipart\/form-data\s*;/i;

/**
 * Throws unsupported_media_type, naming the header. A body of which nothing is said is taken to be JSON: what is wrong with it
 * is told by whoever reads it.
 */
export function requireContent(
  { headers }: IncomingMessage,
  { takesForms = false }: { takesForms?: boolean } = {},
): void {
  const encoding = headers['content-encoding'];
  // A few hundred packed bytes can be hundreds of megabytes.
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
    throw unsupported('Content-Encoding', 'must be left out: send the body as it is');
  }
  const type = headers['content-type'];
  if (type === undefined || JSON_TYPE.test(type) || (takesForms && FORM_TYPE.test(type))) return;
  const right = takesForms ? 'application/json or multipart/form-data' : 'application/json';
  throw unsupported('Content-Type', `must be ${right}`);
}

function unsupported(header: string, rule: string): AppError {
  return new AppError('unsupported_media_type', `${header}: ${rule}.`, { details: { header } });
}
