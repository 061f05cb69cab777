/** Every URL on one page; a line is its policy. */
import Router from '@koa/router';
import type { Catalogue } from '../catalogue.ts';
import { AppError } from '../errors.ts';
import { chatRoute, type ChatRouteOptions } from './chat-route.ts';
import { getModel, listModels, listVeniceModels } from './models.ts';
import type { Context, Next, State } from './request.ts';
import { authenticate } from './steps.ts';
import { balance, payment, topUp, transactions } from './x402/routes.ts';

export interface RouterOptions extends ChatRouteOptions {
  catalogue: Catalogue;
  /** Why the server does not serve yet or any more; null when it does. */
  closedBecause(): AppError | null;
}

export function createRouter(options: RouterOptions): Router<State> {
  const router = new Router<State>();
  const open = whileOpen(options);
  const signedIn = authenticate(options);
  const chat = chatRoute(options);
  const { catalogue } = options;

  router.get(['/health', '/api/health'], health);
  router.get('/ready', ready(options));

  router.get('/v1/models', open, listModels(catalogue));
  router.get('/v1/models/:id', open, getModel(catalogue));
  router.get('/api/v1/models', open, listVeniceModels(catalogue));

  router.post('/v1/chat/completions', open, signedIn, chat);
  router.post('/api/v1/chat/completions', open, signedIn, chat);

  for (const prefix of ['/x402', '/v1/x402', '/api/v1/x402']) {
    router.post(`${prefix}/top-up`, open, topUp(options));
    router.get(`${prefix}/balance/:wallet`, open, balance(options));
    router.get(`${prefix}/transactions/:wallet`, open, transactions(options));
    router.get(`${prefix}/payments/:id`, open, payment(options));
  }
  return router;
}

/** For a path that exists under another method. */
export function methodNotAllowed(router: Router<State>) {
  return async (ctx: Context, next: Next): Promise<void> => {
    await next();
    if (ctx.respond === false || ctx.body !== undefined || ctx.status !== 404) return;
    const { path } = router.match(ctx.path, ctx.method);
    const methods = [...new Set(path.flatMap((layer) => layer.methods))];
    if (!methods.length) return;
    ctx.res.setHeader('allow', methods.join(', '));
    throw new AppError(
      'method_not_allowed',
      `${ctx.path.slice(0, 200)} takes ${methods.join(', ')}.`,
    );
  };
}

function health(ctx: Context): void {
  ctx.body = { status: 'ok' };
}

function ready(options: RouterOptions) {
  return (ctx: Context): void => {
    const closed = options.closedBecause();
    if (closed) throw closed;
    ctx.body = { status: 'ready' };
  };
}

function whileOpen(options: RouterOptions) {
  return (_ctx: Context, next: Next): Promise<unknown> => {
    const closed = options.closedBecause();
    if (closed) throw closed;
    return next();
  };
}
