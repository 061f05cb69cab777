/** The one boundary where an error's code becomes a status and a body; a new code does not compile without a line here. */
import { AppError, type ErrorCode } from '../errors.ts';

/** `x402` is Venice's dialect as its top-up route speaks it: there `error` is the code, and `message` the text. */
export type Dialect = 'v1' | 'venice' | 'x402';

interface Face {
  status: number;
  /** /v1: `error.code`. */
  v1: string;
  /** /api/v1: `code`. */
  venice: string;
  /** Whether the error's details are for the caller. */
  isDetailed?: true;
}

const FACES: Record<ErrorCode, Face> = {
  invalid_request: face(400, 'invalid_request', 'INVALID_REQUEST', true),
  invalid_json: face(400, 'invalid_json', 'INVALID_REQUEST', true),
  unsupported_parameter: face(400, 'unsupported_parameter', 'UNSUPPORTED_PARAMETER', true),
  model_not_found: face(404, 'model_not_found', 'MODEL_NOT_FOUND'),
  conflicting_credentials: face(400, 'conflicting_credentials', 'CONFLICTING_CREDENTIALS'),
  invalid_credential: face(401, 'invalid_credential', 'AUTHENTICATION_FAILED'),
  invalid_sign_in: face(401, 'invalid_sign_in', 'X402_INVALID_SIGN_IN', true),
  wallet_mismatch: face(403, 'wallet_mismatch', 'X402_WALLET_MISMATCH'),
  forbidden: face(403, 'forbidden', 'FORBIDDEN'),
  account_frozen: face(403, 'account_frozen', 'ACCOUNT_FROZEN'),
  not_found: face(404, 'not_found', 'NOT_FOUND'),
  method_not_allowed: face(405, 'method_not_allowed', 'METHOD_NOT_ALLOWED'),
  payment_required: face(402, 'payment_required', 'PAYMENT_REQUIRED'),
  insufficient_balance: face(402, 'insufficient_credits', 'PAYMENT_REQUIRED'),
  credit_exhausted: face(402, 'insufficient_credits', 'INSUFFICIENT_BALANCE'),
  max_credits_exceeded: face(400, 'max_credits_exceeded', 'MAX_CREDITS_EXCEEDED'),
  spend_limit_exceeded: face(402, 'spend_limit_exceeded', 'API_KEY_USD_SPEND_LIMIT_EXCEEDED'),
  invalid_payment: face(400, 'invalid_payment', 'X402_INVALID_PAYMENT', true),
  payment_verification_failed: face(
    400,
    'payment_verification_failed',
    'PAYMENT_VERIFICATION_FAILED',
    true,
  ),
  payment_conflict: face(409, 'payment_conflict', 'PAYMENT_CONFLICT', true),
  payment_pending: face(503, 'payment_pending', 'X402_SETTLEMENT_PENDING', true),
  body_too_large: face(413, 'body_too_large', 'PAYLOAD_TOO_LARGE'),
  headers_too_large: face(431, 'headers_too_large', 'HEADERS_TOO_LARGE'),
  unsupported_media_type: face(415, 'unsupported_media_type', 'UNSUPPORTED_MEDIA_TYPE'),
  request_timeout: face(408, 'request_timeout', 'REQUEST_TIMEOUT'),
  rate_limited: face(429, 'rate_limit_exceeded', 'RATE_LIMIT_EXCEEDED'),
  upstream_failed: face(502, 'upstream_failed', 'INFERENCE_FAILED'),
  upstream_rejected: face(400, 'upstream_rejected', 'INVALID_REQUEST', true),
  upstream_timeout: face(504, 'upstream_timeout', 'INFERENCE_TIMEOUT'),
  upstream_busy: face(429, 'upstream_busy', 'MODEL_OVERLOADED'),
  no_channel: face(503, 'no_channel', 'MODEL_AT_CAPACITY'),
  unavailable: face(503, 'unavailable', 'SERVICE_UNAVAILABLE'),
  not_configured: face(503, 'not_configured', 'NOT_CONFIGURED'),
  client_closed: face(499, 'client_closed', 'CLIENT_CLOSED'),
  internal: face(500, 'internal_error', 'INTERNAL_ERROR'),
};

function face(status: number, v1: string, venice: string, isDetailed?: true): Face {
  return { status, v1, venice, ...(isDetailed && { isDetailed }) };
}

/** Where the thrower names no time. */
const RETRY_AFTER_SECONDS = 5;
/** Statuses that an upstream's refusal of the content may pass on. */
const CONTENT_STATUSES = new Set([400, 404, 413, 415, 422]);

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
  const { v1, venice, isDetailed } = FACES[error.code];
  const status = statusOf(error);
  const headers: Record<string, string> = {};
  if (status === 429 || status === 503) {
    headers['retry-after'] = String(error.retryAfterSeconds ?? RETRY_AFTER_SECONDS);
  }
  const isOurs = error.code === 'internal';
  const message = isOurs ? `Internal error. Request id: ${requestId}.` : error.message;
  const given = isDetailed ? error.details : undefined;
  const details = given && { details: given };
  switch (dialect) {
    case 'v1': {
      const inner = { message, type: 'gateway_error', code: v1, ...details };
      return { status, headers, body: { error: inner } };
    }
    case 'x402':
      return { status, headers, body: { error: venice, message, code: venice, ...details } };
    case 'venice': {
      // Venice's 400 always has details.
      const always = status === 400 ? { details: given ?? {} } : details;
      return { status, headers, body: { error: message, code: venice, ...always } };
    }
  }
}

function statusOf({ code, details }: AppError): number {
  const said = details?.['status'];
  const isContent = code === 'upstream_rejected' && typeof said === 'number';
  return isContent && CONTENT_STATUSES.has(said) ? said : FACES[code].status;
}
