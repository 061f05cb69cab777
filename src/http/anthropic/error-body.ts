/** Errors in Anthropic's shape, on the paths that are its own. Source: its API reference, "Errors". */

/** `code` is ours: it says more than their type, and their clients ignore it. */
export function anthropicError(
  status: number,
  error: { message: string; code: string; details?: Record<string, unknown> },
  requestId: string,
): Record<string, unknown> {
  return { type: 'error', error: { type: typeOf(status), ...error }, request_id: requestId };
}

function typeOf(status: number): string {
  switch (status) {
    case 401:
      return 'authentication_error';
    case 402:
      return 'billing_error';
    case 403:
      return 'permission_error';
    case 404:
      return 'not_found_error';
    case 413:
      return 'request_too_large';
    case 429:
      return 'rate_limit_error';
    case 503:
      return 'overloaded_error';
    case 504:
      return 'timeout_error';
    default:
      return status >= 500 ? 'api_error' : 'invalid_request_error';
  }
}
