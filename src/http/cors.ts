/** Which pages may call from a browser, and which headers they may read. */
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
  'X-Max-Tokens-Applied',
  'Retry-After',
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
  'Idempotency-Key',
].join(', ');

const MAX_AGE_SECONDS = '600';

export function cors(origins: string[]) {
  const isAny = origins.includes('*');
  const allowed = new Set(origins);
  return async (ctx: Context, next: Next): Promise<void> => {
    const { origin } = ctx.req.headers;
    if (origin !== undefined && (isAny || allowed.has(origin))) {
      ctx.res.setHeader('access-control-allow-origin', isAny ? '*' : origin);
      ctx.res.setHeader('access-control-expose-headers', EXPOSED);
      if (ctx.method === 'OPTIONS' && ctx.req.headers['access-control-request-method']) {
        ctx.res.setHeader('access-control-allow-methods', 'GET, POST, OPTIONS');
        ctx.res.setHeader('access-control-allow-headers', ALLOWED);
        ctx.res.setHeader('access-control-max-age', MAX_AGE_SECONDS);
        ctx.status = 204;
        return;
      }
    }
    await next();
  };
}
