/** The one boundary where an error's code becomes a status and a body; a new code does not compile without a line here. */
import { AppError, type ErrorCode } from '../errors.ts';
import { anthropicError } from './anthropic/error-body.ts';

/** `x402` is Venice's dialect as its top-up route speaks it: there `error` is the code, and `message` the text. */
export type Dialect = 'v1' | 'venice' | 'x402' | 'anthropic';

interface Face {
  status: number;
  /** /v1: `error.code`. */
  v1: string;
  /** /api/v1: `code`. */
  venice: string;
  /** One sentence for docs/errors.md. */
  meaning: string;
  /** Whether the error's details are for the caller. */
  isDetailed?: true;
}

/** The whole list. `npm run docs` writes docs/errors.md from it. */
export const FACES: Record<ErrorCode, Face> = {
  invalid_request: {
    status: 400,
    v1: 'invalid_request',
    venice: 'INVALID_REQUEST',
    meaning: 'A field is wrong; the message names it and says what would be right.',
    isDetailed: true,
  },
  invalid_json: {
    status: 400,
    v1: 'invalid_json',
    venice: 'INVALID_REQUEST',
    meaning: 'The body is not JSON.',
    isDetailed: true,
  },
  unsupported_parameter: {
    status: 400,
    v1: 'unsupported_parameter',
    venice: 'UNSUPPORTED_PARAMETER',
    meaning: 'A parameter that names state at the upstream, or changes what the upstream charges.',
    isDetailed: true,
  },
  model_not_found: {
    status: 404,
    v1: 'model_not_found',
    venice: 'MODEL_NOT_FOUND',
    meaning: 'No model of this name is for sale.',
  },
  conflicting_credentials: {
    status: 400,
    v1: 'conflicting_credentials',
    venice: 'CONFLICTING_CREDENTIALS',
    meaning: 'Credentials of two payers in one request. Nothing was settled.',
  },
  invalid_credential: {
    status: 401,
    v1: 'invalid_credential',
    venice: 'AUTHENTICATION_FAILED',
    meaning: 'An API key that is missing, unknown, revoked or expired.',
  },
  invalid_sign_in: {
    status: 401,
    v1: 'invalid_sign_in',
    venice: 'X402_INVALID_SIGN_IN',
    meaning: 'A SIGN-IN-WITH-X header that does not hold; `details.reason` says why.',
    isDetailed: true,
  },
  wallet_mismatch: {
    status: 403,
    v1: 'wallet_mismatch',
    venice: 'X402_WALLET_MISMATCH',
    meaning: 'Signed in as another wallet than the path names.',
  },
  forbidden: {
    status: 403,
    v1: 'forbidden',
    venice: 'FORBIDDEN',
    meaning: 'Not yours, or not allowed for this key, address or model.',
  },
  account_frozen: {
    status: 403,
    v1: 'account_frozen',
    venice: 'ACCOUNT_FROZEN',
    meaning: 'The operator froze the account. Running requests end; new ones do not start.',
  },
  not_found: {
    status: 404,
    v1: 'not_found',
    venice: 'NOT_FOUND',
    meaning: 'There is nothing here, or it is somebody else’s.',
  },
  state_conflict: {
    status: 409,
    v1: 'state_conflict',
    venice: 'STATE_CONFLICT',
    meaning: 'What is asked for does not fit the state that the thing is in now.',
    isDetailed: true,
  },
  idempotency_mismatch: {
    status: 422,
    v1: 'idempotency_mismatch',
    venice: 'IDEMPOTENCY_MISMATCH',
    meaning: 'This `Idempotency-Key` came with another request before.',
  },
  idempotency_in_progress: {
    status: 409,
    v1: 'idempotency_in_progress',
    venice: 'IDEMPOTENCY_IN_PROGRESS',
    meaning: 'The first request with this `Idempotency-Key` still runs.',
  },
  idempotency_answer_gone: {
    status: 409,
    v1: 'idempotency_answer_gone',
    venice: 'IDEMPOTENCY_ANSWER_GONE',
    meaning: 'Done before with this `Idempotency-Key`, but the answer was not kept; see `details`.',
    isDetailed: true,
  },
  gone: {
    status: 410,
    v1: 'gone',
    venice: 'GONE',
    meaning:
      'Another page took the place of this one, or a result was deleted or its link is over; the message says which.',
  },
  method_not_allowed: {
    status: 405,
    v1: 'method_not_allowed',
    venice: 'METHOD_NOT_ALLOWED',
    meaning: 'The path exists under other methods; `Allow` lists them.',
  },
  payment_required: {
    status: 402,
    v1: 'payment_required',
    venice: 'PAYMENT_REQUIRED',
    meaning: 'No credential on a paid route: the body says what to pay and how to sign in.',
  },
  insufficient_balance: {
    status: 402,
    v1: 'insufficient_credits',
    venice: 'PAYMENT_REQUIRED',
    meaning: 'The prepaid balance is too small; a top-up cures it.',
  },
  credit_exhausted: {
    status: 402,
    v1: 'insufficient_credits',
    venice: 'INSUFFICIENT_BALANCE',
    meaning: 'The account of this API key cannot cover the request.',
  },
  max_credits_exceeded: {
    status: 400,
    v1: 'max_credits_exceeded',
    venice: 'MAX_CREDITS_EXCEEDED',
    meaning: 'The request may cost more than was approved for it. Nothing was sent.',
  },
  spend_limit_exceeded: {
    status: 402,
    v1: 'spend_limit_exceeded',
    venice: 'API_KEY_USD_SPEND_LIMIT_EXCEEDED',
    meaning: 'A limit of this API key, or of a key that it comes from, leaves too little.',
  },
  invalid_payment: {
    status: 400,
    v1: 'invalid_payment',
    venice: 'X402_INVALID_PAYMENT',
    meaning: 'A payment header that cannot be read, or pays for what is not offered.',
    isDetailed: true,
  },
  payment_verification_failed: {
    status: 400,
    v1: 'payment_verification_failed',
    venice: 'PAYMENT_VERIFICATION_FAILED',
    meaning: 'The payment does not hold. Nothing was broadcast.',
    isDetailed: true,
  },
  payment_conflict: {
    status: 409,
    v1: 'payment_conflict',
    venice: 'PAYMENT_CONFLICT',
    meaning: 'The same payment or payment identifier was used for something else.',
    isDetailed: true,
  },
  payment_pending: {
    status: 503,
    v1: 'payment_pending',
    venice: 'X402_SETTLEMENT_PENDING',
    meaning: 'The outcome is not known yet: send the same payment again, never a new one.',
    isDetailed: true,
  },
  body_too_large: {
    status: 413,
    v1: 'body_too_large',
    venice: 'PAYLOAD_TOO_LARGE',
    meaning: 'The body is larger than this server takes.',
  },
  headers_too_large: {
    status: 431,
    v1: 'headers_too_large',
    venice: 'HEADERS_TOO_LARGE',
    meaning: 'The headers are larger than this server takes.',
  },
  unsupported_media_type: {
    status: 415,
    v1: 'unsupported_media_type',
    venice: 'UNSUPPORTED_MEDIA_TYPE',
    meaning: 'The body is of a type that this route does not take.',
  },
  request_timeout: {
    status: 408,
    v1: 'request_timeout',
    venice: 'REQUEST_TIMEOUT',
    meaning: 'The request did not arrive in time.',
  },
  rate_limited: {
    status: 429,
    v1: 'rate_limit_exceeded',
    venice: 'RATE_LIMIT_EXCEEDED',
    meaning: 'Too many requests; `Retry-After` says when to come again. Nothing was charged.',
  },
  provider_key_refused: {
    status: 403,
    v1: 'provider_key_refused',
    venice: 'PROVIDER_KEY_REFUSED',
    meaning: 'The vendor refused the key that you stored for it (BYOK). Nothing was charged.',
    isDetailed: true,
  },
  upstream_failed: {
    status: 502,
    v1: 'upstream_failed',
    venice: 'INFERENCE_FAILED',
    meaning: 'The upstream failed. Nothing was charged.',
  },
  upstream_rejected: {
    status: 400,
    v1: 'upstream_rejected',
    venice: 'INVALID_REQUEST',
    meaning: 'The upstream refused the content of this request. Nothing was charged.',
    isDetailed: true,
  },
  content_policy: {
    status: 422,
    v1: 'content_policy_violation',
    venice: 'CONTENT_POLICY_VIOLATION',
    meaning:
      'The upstream’s moderation refused the content, or what came of it. Nothing was charged.',
    isDetailed: true,
  },
  upstream_timeout: {
    status: 504,
    v1: 'upstream_timeout',
    venice: 'INFERENCE_TIMEOUT',
    meaning: 'The upstream did not answer in time. Nothing was charged.',
  },
  upstream_busy: {
    status: 429,
    v1: 'upstream_busy',
    venice: 'MODEL_OVERLOADED',
    meaning: 'The upstream has too much to do. Nothing was charged.',
  },
  no_channel: {
    status: 503,
    v1: 'no_channel',
    venice: 'MODEL_AT_CAPACITY',
    meaning: 'No channel serves this model at the moment.',
  },
  unavailable: {
    status: 503,
    v1: 'unavailable',
    venice: 'SERVICE_UNAVAILABLE',
    meaning: 'Starting, stopping, or out of storage; `Retry-After` says when to come again.',
  },
  not_configured: {
    status: 503,
    v1: 'not_configured',
    venice: 'NOT_CONFIGURED',
    meaning: 'This server is not set up yet.',
  },
  client_closed: {
    status: 499,
    v1: 'client_closed',
    venice: 'CLIENT_CLOSED',
    meaning: 'The caller left before its answer.',
  },
  internal: {
    status: 500,
    v1: 'internal_error',
    venice: 'INTERNAL_ERROR',
    meaning: 'A fault of ours; the request id finds it in the log.',
  },
};

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
  if (status === 429 || status === 503 || error.code === 'idempotency_in_progress') {
    headers['retry-after'] = String(error.retryAfterSeconds ?? RETRY_AFTER_SECONDS);
  }
  if (error.code === 'provider_key_refused') headers['x-byok'] = 'failed';
  const isOurs = error.code === 'internal';
  const message = isOurs ? `Internal error. Request id: ${requestId}.` : error.message;
  const given = isDetailed ? error.details : undefined;
  const details = given && { details: given };
  switch (dialect) {
    case 'v1': {
      const inner = { message, type: 'gateway_error', code: v1, ...details };
      return { status, headers, body: { error: inner } };
    }
    case 'anthropic': {
      const inner = { message, code: v1, ...details };
      return { status, headers, body: anthropicError(status, inner, requestId) };
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
