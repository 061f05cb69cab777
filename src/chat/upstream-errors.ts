/** An upstream's refusal in our words: its own credentials, bills and keys never reach a caller. */
import { AppError } from '../errors.ts';
import { redact } from '../providers/redact.ts';
import { retryAfter } from '../providers/retry-after.ts';
import type { UpstreamHeaders } from '../upstream.ts';

/** The request's own content is at fault; another channel would say the same. */
const CONTENT_FAULTS = new Set([400, 404, 413, 422]);

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
