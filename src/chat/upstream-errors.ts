/** An upstream's refusal in our words: its own credentials, bills and keys never reach a caller. */
import { AppError } from '../errors.ts';
import type { UpstreamHeaders } from '../upstream.ts';

const MAX_MESSAGE = 500;
const DEFAULT_RETRY_SECONDS = 5;
const MAX_RETRY_SECONDS = 3_600;
/** The request's own content is at fault; another channel would say the same. */
const CONTENT_FAULTS = new Set([400, 404, 413, 422]);
const KEY_LIKE = /\b(?:sk|ck|ak|pk|rk|gsk|xai|key|AIza)[-_][A-Za-z0-9_*.-]{6,}|Bearer\s+\S+/g;
// eslint-disable-next-line no-control-regex -- header and log injection
const CONTROL = /[\u0000-\u001f\u007f]+/g;

const SECONDS = /^\d{1,9}$/;
const HTTP_DATE = /^[A-Z][a-z]{2}, .* GMT$/;

/** For any status but 2xx. `body` may be cut off. */
export function upstreamError(
  status: number,
  headers: UpstreamHeaders,
  body: Buffer,
  secrets: string[],
  nowMs: number,
): AppError {
  if (status === 429) {
    return new AppError('upstream_busy', 'The model is busy. Try again shortly.', {
      retryAfterSeconds: retryAfter(headers['retry-after'], nowMs),
    });
  }
  if (CONTENT_FAULTS.has(status)) {
    const message = redact(messageOf(body), secrets) || 'The upstream refused the request.';
    return new AppError('upstream_rejected', message, { details: { status } });
  }
  if (status === 408 || status === 504) {
    return new AppError('upstream_timeout', 'The upstream did not answer in time.');
  }
  return new AppError('upstream_failed', 'The upstream failed to answer. Nothing was charged.');
}

/** Text that an upstream wrote, fit for a caller: without our keys, key-like words and control characters. */
export function redact(text: string, secrets: string[]): string {
  let clean = text.replace(CONTROL, ' ');
  for (const secret of secrets) clean = clean.replaceAll(secret, '[redacted]');
  return clean.replace(KEY_LIKE, '[redacted]').trim().slice(0, MAX_MESSAGE);
}

function messageOf(body: Buffer): string {
  try {
    const answer = JSON.parse(body.toString('utf8')) as Record<string, unknown> | null;
    const error = answer?.['error'] ?? answer;
    if (typeof error === 'string') return error;
    const { message, detail } = error as Record<string, unknown>;
    const text = message ?? detail;
    return typeof text === 'string' ? text : '';
  } catch {
    return '';
  }
}

function retryAfter(header: string | string[] | undefined, nowMs: number): number {
  const text = (Array.isArray(header) ? header[0] : header) ?? '';
  const seconds = SECONDS.test(text)
    ? Number(text)
    : HTTP_DATE.test(text)
      ? Math.ceil((Date.parse(text) - nowMs) / 1_000)
      : NaN;
  if (!Number.isFinite(seconds)) return DEFAULT_RETRY_SECONDS;
  return Math.min(Math.max(seconds, 1), MAX_RETRY_SECONDS);
}
