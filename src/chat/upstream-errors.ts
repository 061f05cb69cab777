/** An upstream's refusal in our words: its own credentials, bills and keys never reach a caller. */
import type { ChannelConfig, Verdict } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { isFields } from '../providers/openai-usage.ts';
import type { Measured } from '../providers/provider.ts';
import { redact } from '../providers/redact.ts';
import { retryAfter } from '../providers/retry-after.ts';
import type { UpstreamHeaders } from '../upstream.ts';

/** The request's own content is at fault; another channel would say the same. */
const CONTENT_FAULTS = new Set([400, 404, 413, 422]);
const SLOW = new Set([408, 504]);

export interface Refusal {
  /** Any but 2xx. */
  status: number;
  headers: UpstreamHeaders;
  /** May be cut off. */
  body: Buffer;
}

export interface RefusedBy {
  channel: Pick<ChannelConfig, 'statusMap' | 'retryOn'>;
  secrets: string[];
  nowMs: number;
}

export function upstreamError({ status, headers, body }: Refusal, by: RefusedBy): AppError {
  const asked = headers['retry-after'];
  return errorOf(status, by, {
    said: () => messageOf(body),
    retryAfterSeconds: retryAfter(asked, by.nowMs),
    isAsked: asked !== undefined,
  });
}

/** An error inside an answer of status 200, before any output. What it says of the operator's own account is not handed on. */
export function errorInside({ error, errorStatus }: Measured, by: RefusedBy): AppError {
  const said = error ?? '';
  if (
    typeof errorStatus === 'number' &&
    (errorStatus < 500 || errorStatus in by.channel.statusMap)
  ) {
    const retryAfterSeconds = retryAfter(undefined, by.nowMs);
    return errorOf(errorStatus, by, { said: () => said, retryAfterSeconds, isAsked: false });
  }
  const message = redact(said, by.secrets);
  return new AppError(
    'upstream_failed',
    message ? `The upstream failed: ${message}` : 'The upstream ended without an answer.',
  );
}

interface Words {
  said(): string;
  retryAfterSeconds: number;
  /** Whether that is what the upstream asked for. */
  isAsked: boolean;
}

function errorOf(
  status: number,
  { channel, secrets }: RefusedBy,
  { said, retryAfterSeconds, isAsked }: Words,
): AppError {
  const verdict = channel.statusMap[status] ?? usualVerdict(status);
  const isRetryable = channel.retryOn?.includes(status) ?? verdict !== 'refused';
  switch (verdict) {
    case 'busy':
      return new AppError('upstream_busy', 'The model is busy. Try again shortly.', {
        retryAfterSeconds,
        isRetryable,
      });
    case 'refused': {
      const message = redact(said(), secrets) || 'The upstream refused the request.';
      return new AppError('upstream_rejected', message, { details: { status }, isRetryable });
    }
    case 'sick': {
      const options = { isRetryable, ...(isAsked && { retryAfterSeconds }) };
      return SLOW.has(status)
        ? new AppError('upstream_timeout', 'The upstream did not answer in time.', options)
        : new AppError(
            'upstream_failed',
            'The upstream failed to answer. Nothing was charged.',
            options,
          );
    }
  }
}

function usualVerdict(status: number): Verdict {
  if (status === 429) return 'busy';
  return CONTENT_FAULTS.has(status) ? 'refused' : 'sick';
}

function messageOf(body: Buffer): string {
  try {
    const answer = JSON.parse(body.toString('utf8')) as Record<string, unknown> | null;
    const error = answer?.['error'] ?? answer;
    if (typeof error === 'string') return error;
    const { message, detail } = error as Record<string, unknown>;
    // ElevenLabs says it one step further in.
    const text = message ?? (isFields(detail) ? detail['message'] : detail);
    return typeof text === 'string' ? text : '';
  } catch {
    return '';
  }
}
