/**
 * The one error that domain code throws. It knows no HTTP: http/errors.ts turns a code into each dialect's status and body,
 * and does not compile while a code lacks one.
 */
export type ErrorCode =
  | 'invalid_request' // a field is wrong; the message names it and says what would be right
  | 'invalid_json'
  | 'unsupported_parameter' // names upstream state, or changes what the upstream charges
  | 'model_not_found'
  | 'conflicting_credentials'
  | 'invalid_credential' // an API key that is unknown, revoked or expired
  | 'invalid_sign_in' // a SIGN-IN-WITH-X header that does not hold; details.reason says why
  | 'wallet_mismatch' // signed in as another wallet than the path names
  | 'forbidden'
  | 'account_frozen'
  | 'not_found'
  | 'idempotency_mismatch' // same Idempotency-Key, other request
  | 'idempotency_in_progress' // the first request with this key still runs
  | 'idempotency_answer_gone' // it was charged for, or may have made something; its answer is not kept
  | 'state_conflict' // what is asked for does not fit what it is now
  | 'gone' // a page that another one took the place of, a result that was deleted, a link that is over
  | 'method_not_allowed'
  | 'payment_required' // no credential on a paid route
  | 'insufficient_balance' // a wallet whose prepaid balance is too small; a top-up cures it
  | 'credit_exhausted' // an API key whose account cannot cover the request
  | 'max_credits_exceeded' // the ceiling is above what the caller approved for this request
  | 'spend_limit_exceeded' // an API key over its own limit
  | 'invalid_payment' // a payment header that cannot be read or asks for what is not offered
  | 'payment_verification_failed' // refused before anything was broadcast
  | 'payment_conflict' // same payment-identifier, other payment
  | 'payment_pending' // outcome unknown: resend the same payment, never a new one
  | 'body_too_large'
  | 'headers_too_large'
  | 'unsupported_media_type'
  | 'request_timeout'
  | 'rate_limited'
  | 'provider_key_refused' // the vendor does not take the key that its owner stored, or it cannot be opened any more
  | 'upstream_failed'
  | 'upstream_rejected' // the upstream refused this request's content (its 400, 404, 413, 422)
  | 'content_policy' // the upstream's moderation refused the content, or what came of it
  | 'upstream_timeout'
  | 'upstream_busy' // the upstream's 429
  | 'no_channel'
  | 'unavailable' // draining, starting, or storage is full
  | 'not_configured'
  | 'client_closed'
  | 'internal';

export interface AppErrorOptions {
  cause?: unknown;
  /** Machine-readable facts for the caller; never a secret. */
  details?: Record<string, unknown>;
  /** Seconds to wait before trying again; sent as Retry-After. */
  retryAfterSeconds?: number;
  /** Whether another channel may be asked; absent: by the code. */
  isRetryable?: boolean;
}

export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly details: Record<string, unknown> | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly isRetryable: boolean | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.isRetryable = options.isRetryable;
  }
}
