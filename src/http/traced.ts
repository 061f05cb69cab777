/** A span around each request, where traces are on. */
import { isTracing, type Span, traced } from '../traces/trace.ts';
import type { Step } from './in-turn.ts';
import type { Context } from './request.ts';

const WATCHERS = new Set(['/health', '/api/health', '/ready', '/metrics']);
/** From here on it is our fault. */
const OUR_FAULT = 500;

/** `steps` themselves where traces are off at the start. */
export function withSpans(steps: Step): Step {
  if (!isTracing()) return steps;
  return (ctx, next) => {
    const { method = '', url = '', headers } = ctx.req;
    if (WATCHERS.has(url)) return steps(ctx, next);
    const parent = {
      traceparent: one(headers['traceparent']),
      tracestate: one(headers['tracestate']),
    };
    return traced(
      () => ({ name: method, kind: 'server', parent }),
      async (span) => {
        await steps(ctx, next);
        if (span) describe(ctx, span);
      },
    );
  };
}

/** By its route, never by its path: links and codes are secrets, too. */
function describe(ctx: Context, span: Span): void {
  const { shop, _matchedRoute } = ctx as { shop?: string; _matchedRoute?: unknown };
  const route = shop ?? (typeof _matchedRoute === 'string' ? _matchedRoute : null);
  const { requestId, principal } = ctx.state;
  const { statusCode } = ctx.res;
  if (route !== null) span.rename(`${ctx.method} ${route}`);
  span.set({
    'http.request.method': ctx.method,
    'http.route': route,
    'http.response.status_code': statusCode,
    'farebox.request_id': requestId,
    'farebox.caller': principal?.kind ?? 'nobody',
  });
  if (statusCode >= OUR_FAULT) span.fail(String(statusCode));
}

function one(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
