/** A request as it goes out, and what is told of it and its answer. */
import { melody } from '../../src/demo/wav.ts';
import {
  cut,
  type Exchange,
  type HeaderLine,
  MAX_BODY_CHARS,
  MAX_HEADER_CHARS,
  MAX_HEADERS,
  type Wanted,
} from '../../src/playground/protocol.ts';

export interface Sent {
  method: string;
  path: string;
  headers: HeaderLine[];
  body?: string | FormData;
  /** What is told of a body that is no text. */
  told?: string;
}

export interface Asked {
  title: string;
  sent: Sent;
  answer: Response;
  startedAt: number;
}

export const SAMPLE_SECONDS = 3;
const SAMPLE_TUNE = 5;
/** What a client looks at; the rest is of the transport. */
const TOLD =
  /^(x-(?!content-type-options|frame-options)|payment-|content-type$|location$|retry-after$|preference-applied$|request-id$)/;

export function sentOf({ path, body, isForm }: Wanted, more: HeaderLine[] = []): Sent {
  if (!isForm) {
    const headers: HeaderLine[] = [['content-type', 'application/json'], ...more];
    return { method: 'POST', path, headers, body: JSON.stringify(body) };
  }
  const form = new FormData();
  for (const [name, value] of Object.entries(body)) form.append(name, String(value));
  const sample = melody(SAMPLE_SECONDS, SAMPLE_TUNE);
  form.append('file', new Blob([new Uint8Array(sample)], { type: 'audio/wav' }), 'sample.wav');
  const told = `(a form with ${JSON.stringify(body)} and sample.wav, ${SAMPLE_SECONDS} seconds of sound)`;
  return { method: 'POST', path, headers: more, body: form, told };
}

export function exchangeOf({ title, sent, answer, startedAt }: Asked, body: string): Exchange {
  const { method, path, headers, told = typeof sent.body === 'string' ? sent.body : '' } = sent;
  return {
    title,
    method,
    path: cut(path, 500),
    sent: bounded(headers),
    sentBody: cut(told, MAX_BODY_CHARS),
    status: answer.status,
    headers: bounded([...answer.headers].filter(([name]) => TOLD.test(name))),
    body,
    tookMs: Math.round(performance.now() - startedAt),
  };
}

function bounded(lines: readonly HeaderLine[]): HeaderLine[] {
  return lines
    .slice(0, MAX_HEADERS)
    .map(([name, value]): HeaderLine => [name, cut(value, MAX_HEADER_CHARS)]);
}
