/** Which pages may call from a browser, and which headers they may send and read. No cookies are involved. */
import type { Context, Next } from './request.ts';

const EXPOSED = [
  'PAYMENT-REQUIRED',
  'PAYMENT-RESPONSE',
  'X-PAYMENT-RESPONSE',
  'X-Request-Id',
  'X-Balance-Remaining',
  'X-Balance-Held',
  'X-Request-Cost',
  'X-Limit-Remaining',
  'X-Channel',
  'X-Max-Tokens-Applied',
  'X-Byok',
  'X-RateLimit-Limit-Requests',
  'X-RateLimit-Remaining-Requests',
  'X-RateLimit-Reset-Requests',
  'X-RateLimit-Limit-Tokens',
  'X-RateLimit-Remaining-Tokens',
  'X-RateLimit-Reset-Tokens',
  'Retry-After',
  'X-Next-Cursor',
  'Content-Disposition',
  'Idempotency-Replayed',
].join(', ');

const ALLOWED = [
  'Authorization',
  'Content-Type',
  'X-Api-Key',
  'SIGN-IN-WITH-X',
  'X-Sign-In-With-X',
  'PAYMENT-SIGNATURE',
  'X-PAYMENT',
  'X-402-Payment',
  'X-Budget-Mode',
  'X-Max-Credits',
  'X-Quote-Id',
  'Idempotency-Key',
  'Prefer',
].join(', ');

/** SDKs add headers of their own (x-stainless-…); a header that a page may send harms nobody. */
const HEADER_NAMES = /^[A-Za-z0-9-]+(?: *, *[A-Za-z0-9-]+){0,63}$/;
const MAX_AGE_SECONDS = '600';

export function cors(origins: string[]) {
  const isAny = origins.includes('*');
  const allowed = new Set(origins);
  return (ctx: Context, next: Next): Promise<unknown> => {
    const { origin } = ctx.req.headers;
    if (origin === undefined || !(isAny || allowed.has(origin))) return next();
    const { headers } = ctx.state;
    headers['access-control-allow-origin'] = isAny ? '*' : origin;
    headers['access-control-expose-headers'] = EXPOSED;
    if (ctx.method !== 'OPTIONS' || !ctx.req.headers['access-control-request-method'])
      return next();
    const wanted = ctx.req.headers['access-control-request-headers'];
    const more = wanted !== undefined && HEADER_NAMES.test(wanted) ? `, ${wanted}` : '';
    headers['access-control-allow-methods'] = 'GET, HEAD, POST, PATCH, DELETE, OPTIONS';
    headers['access-control-allow-headers'] = `${ALLOWED}${more}`;
    headers['access-control-max-age'] = MAX_AGE_SECONDS;
    ctx.res.writeHead(204, headers).end();
    return Promise.resolve();
  };
}
