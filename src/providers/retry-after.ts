/** Reads Retry-After: seconds or an HTTP date (RFC 9110 §10.2.3). */

const DEFAULT_SECONDS = 5;
const MAX_SECONDS = 3_600;
const SECONDS = /^\d{1,9}$/;
const HTTP_DATE = /^[A-Z][a-z]{2}, .* GMT$/;

/** Seconds to wait, from 1 to an hour; five where the header does not say. */
export function retryAfter(header: string | string[] | undefined, nowMs: number): number {
  const text = (Array.isArray(header) ? header[0] : header) ?? '';
  const seconds = SECONDS.test(text)
    ? Number(text)
    : HTTP_DATE.test(text)
      ? Math.ceil((Date.parse(text) - nowMs) / 1_000)
      : NaN;
  if (!Number.isFinite(seconds)) return DEFAULT_SECONDS;
  return Math.min(Math.max(seconds, 1), MAX_SECONDS);
}
