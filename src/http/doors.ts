/**
 * Which listener a request came over. With `server.admin_listen` the operator's pages, its API and the figures answer on a listener of
 * their own, and everybody's knows nothing of them.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Step } from './in-turn.ts';
import { notFound } from './steps.ts';

export type Door = 'public' | 'admin';

const OPERATORS = /^\/(admin|metrics)(\/|$)/;
/** Whoever watches the operator's listener asks for these there, and what it answers; results are looked at on the pages. */
const ALSO = /^\/(health|ready|api\/health|openapi\.json|media\/.*)$/;

/** Whether a path is the operator's alone. */
export function isOperators(path: string): boolean {
  return OPERATORS.test(path);
}

/** Whether the operator's listener answers a path. */
export function answersAtOwnDoor(path: string): boolean {
  return isOperators(path) || ALSO.test(path);
}

/** `hasOwn`: whether operators have a listener of their own. `cors`: of everybody's; no other page may ask the operator's. */
export function throughItsDoor(hasOwn: boolean, cors: Step): Step {
  if (!hasOwn) return cors;
  return (ctx, next) => {
    const isTheirs = isOperators(ctx.path);
    if (ctx.state.door === 'public') {
      if (isTheirs) throw notFound(ctx);
      return cors(ctx, next);
    }
    if (!answersAtOwnDoor(ctx.path)) throw notFound(ctx);
    return next();
  };
}

/**
 * Whether a request on the operator's listener comes from a program there: not from a page of somebody else's, in a browser that was led
 * here by a name of theirs, and not through a proxy, which may speak for anybody.
 */
export function isAskedDirectly({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const name = (headers.host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  const site = headers['sec-fetch-site'];
  return (
    (name === 'localhost' || isIP(name) !== 0) &&
    headers.origin === undefined &&
    (site === undefined || site === 'none' || site === 'same-origin') &&
    !isForwarded(headers)
  );
}

const PROXY_HEADERS = ['x-forwarded-for', 'x-forwarded-proto', 'forwarded', 'x-real-ip', 'via'];

/** Whether a proxy says that it stands between. */
export function isForwarded(headers: IncomingMessage['headers']): boolean {
  return PROXY_HEADERS.some((name) => headers[name] !== undefined);
}
