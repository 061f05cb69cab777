/** The one boundary where an error's code becomes a status and a body; a new code does not compile without a line here. */
import { AppError, type ErrorCode } from '../errors.ts';

export type Dialect = 'v1' | 'venice';

interface Face {
  status: number;
  /** /api/v1: Venice's upper-case codes. */
  venice: string;
}

const FACES: Record<ErrorCode, Face> = {
  invalid_request: { status: 400, venice: 'INVALID_REQUEST' },
  invalid_json: { status: 400, venice: 'INVALID_REQUEST' },
  unsupported_parameter: { status: 400, venice: 'UNSUPPORTED_PARAMETER' },
  model_not_found: { status: 404, venice: 'MODEL_NOT_FOUND' },
  conflicting_credentials: { status: 400, venice: 'CONFLICTING_CREDENTIALS' },
  invalid_credential: { status: 401, venice: 'AUTHENTICATION_FAILED' },
  invalid_sign_in: { status: 401, venice: 'X402_INVALID_SIGN_IN' },
  wallet_mismatch: { status: 403, venice: 'X402_WALLET_MISMATCH' },
  forbidden: { status: 403, venice: 'FORBIDDEN' },
  account_frozen: { status: 403, venice: 'ACCOUNT_FROZEN' },
  not_found: { status: 404, venice: 'NOT_FOUND' },
  method_not_allowed: { status: 405, venice: 'METHOD_NOT_ALLOWED' },
  payment_required: { status: 402, venice: 'PAYMENT_REQUIRED' },
  insufficient_balance: { status: 402, venice: 'PAYMENT_REQUIRED' },
  credit_exhausted: { status: 402, venice: 'INSUFFICIENT_BALANCE' },
  spend_limit_exceeded: { status: 402, venice: 'API_KEY_USD_SPEND_LIMIT_EXCEEDED' },
  invalid_payment: { status: 400, venice: 'X402_INVALID_PAYMENT' },
  payment_verification_failed: { status: 400, venice: 'PAYMENT_VERIFICATION_FAILED' },
  payment_conflict: { status: 409, venice: 'PAYMENT_CONFLICT' },
  payment_pending: { status: 503, venice: 'X402_SETTLEMENT_PENDING' },
  body_too_large: { status: 413, venice: 'PAYLOAD_TOO_LARGE' },
  headers_too_large: { status: 431, venice: 'HEADERS_TOO_LARGE' },
  unsupported_media_type: { status: 415, venice: 'UNSUPPORTED_MEDIA_TYPE' },
  request_timeout: { status: 408, venice: 'REQUEST_TIMEOUT' },
  rate_limited: { status: 429, venice: 'RATE_LIMIT_EXCEEDED' },
  upstream_failed: { status: 502, venice: 'INFERENCE_FAILED' },
  upstream_rejected: { status: 400, venice: 'INVALID_REQUEST' },
  upstream_timeout: { status: 504, venice: 'INFERENCE_TIMEOUT' },
  upstream_busy: { status: 429, venice: 'MODEL_OVERLOADED' },
  no_channel: { status: 503, venice: 'MODEL_UNAVAILABLE' },
  unavailable: { status: 503, venice: 'SERVICE_UNAVAILABLE' },
  not_configured: { status: 503, venice: 'NOT_CONFIGURED' },
  client_closed: { status: 499, venice: 'CLIENT_CLOSED' },
  internal: { status: 500, venice: 'INTERNAL_ERROR' },
};

const RETRY_AFTER_SECONDS = 5;
/** Statuses that an upstream's refusal of the content may pass on. */
const CONTENT_STATUSES = new Set([400, 404, 413, 422]);

export interface ErrorAnswer {
  status: number;
  headers: Record<string, string>;
  body: Record<string, unknown>;
}

/** Anything that is no AppError is ours: its text stays in the log. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError('internal', 'Internal error.', { cause: error });
}

export function errorAnswer(error: AppError, dialect: Dialect, requestId: string): ErrorAnswer {
  const face = FACES[error.code];
  const said = error.details?.['status'];
  const isContent =
    error.code === 'upstream_rejected' && typeof said === 'number' && CONTENT_STATUSES.has(said);
  const status = isContent ? said : face.status;
  const headers: Record<string, string> = {};
  if (status === 429 || status === 503) {
    headers['retry-after'] = String(error.retryAfterSeconds ?? RETRY_AFTER_SECONDS);
  }
  const message =
    error.code === 'internal' ? `Internal error. Request id: ${requestId}.` : error.message;
  const details = error.code === 'internal' ? undefined : error.details;
  return { status, headers, body: bodyOf(error.code, face, message, details, dialect, status) };
}

function bodyOf(
  code: ErrorCode,
  face: Face,
  message: string,
  details: Record<string, unknown> | undefined,
  dialect: Dialect,
  status: number,
): Record<string, unknown> {
  if (dialect === 'v1') {
    const extra = details ? { details } : {};
    return { error: { message, type: 'gateway_error', code: v1Code(code), ...extra } };
  }
  // Venice's own bodies carry `details` on 400 alone; a reason on the others costs its clients nothing.
  const isDetailed = status === 400 || details !== undefined;
  return { error: message, code: face.venice, ...(isDetailed ? { details: details ?? {} } : {}) };
}

/** The seed's word for an empty purse. */
function v1Code(code: ErrorCode): string {
  return code === 'insufficient_balance' || code === 'credit_exhausted'
    ? 'insufficient_credits'
    : code;
}
