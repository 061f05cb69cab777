/** Every URL on one page; a line is its policy. */
import Router from '@koa/router';
import type { Web3Keys } from '../auth/web3-key.ts';
import type { Catalogue } from '../catalogue.ts';
import type { Chat } from '../chat/chat.ts';
import { AppError } from '../errors.ts';
import type { KeySpending } from '../keys/spending.ts';
import { chatOffer, chatRoute } from './chat-route.ts';
import { authPage } from './discovery/auth-page.ts';
import { getModel, listModels } from './openai/models.ts';
import { type Operation, runOperation } from './operation.ts';
import { payable } from './payable.ts';
import { type Context, type Next, sendJson, type State } from './request.ts';
import { authenticate, type StepOptions, whileOpen } from './steps.ts';
import {
  createApiKey,
  deleteApiKey,
  getApiKey,
  listApiKeys,
  updateApiKey,
} from './venice/api-keys.ts';
import { createKey, getKey, listKeys, revokeKey, updateKey } from './venice/keys.ts';
import { listVeniceModels } from './venice/models.ts';
import { createWeb3Key, web3Token } from './venice/web3-key.ts';
import { topUp } from './x402/top-up.ts';
import { balance, payment, transactions } from './x402/wallet.ts';

export interface RouterOptions extends StepOptions {
  chat: Chat;
  spending: KeySpending;
  web3Keys: Web3Keys;
  catalogue: Catalogue;
}

export interface RouteEntry {
  method: 'get' | 'post' | 'patch' | 'put' | 'delete';
  path: string;
  operation: Operation;
}

export interface Routes {
  router: Router<State>;
  /** The management routes, as they are described. */
  operations: readonly RouteEntry[];
}

export function createRouter(options: RouterOptions): Routes {
  // One form of each path: what the dialect and the policy are told by must be what is routed.
  const router = new Router<State>({ sensitive: true });
  const open = whileOpen(options);
  const signedIn = authenticate(options);
  const chatPaid = payable(options, chatOffer(options.chat));
  const chat = chatRoute(options.chat, options);
  const { catalogue } = options;
  const operations: RouteEntry[] = [];
  const serve = (method: RouteEntry['method'], path: string, operation: Operation): void => {
    operations.push({ method, path, operation });
    router[method](path, open, runOperation(options, operation));
  };

  router.get(['/health', '/api/health'], health);
  router.get('/ready', open, ready);
  router.get('/auth.md', open, authPage);

  router.get('/v1/models', open, listModels(catalogue));
  router.get('/v1/models/*id', open, getModel(catalogue));
  router.get('/api/v1/models', open, listVeniceModels(catalogue));

  router.post('/v1/chat/completions', open, signedIn, chatPaid, chat);
  router.post('/api/v1/chat/completions', open, signedIn, chatPaid, chat);

  for (const prefix of ['/x402', '/v1/x402', '/api/v1/x402']) {
    router.post(`${prefix}/top-up`, open, topUp(options));
    router.get(`${prefix}/balance/:wallet`, open, balance(options));
    router.get(`${prefix}/transactions/:wallet`, open, transactions(options));
    router.get(`${prefix}/payments/:id`, open, payment(options));
  }
  serve('get', '/api/v1/api_keys', listApiKeys(options));
  serve('post', '/api/v1/api_keys', createApiKey(options));
  serve('patch', '/api/v1/api_keys', updateApiKey(options));
  serve('delete', '/api/v1/api_keys', deleteApiKey(options));
  serve('get', '/api/v1/api_keys/generate_web3_key', web3Token(options));
  serve('post', '/api/v1/api_keys/generate_web3_key', createWeb3Key(options));
  // After every /api_keys/… of a name of its own.
  serve('get', '/api/v1/api_keys/:id', getApiKey(options));
  serve('delete', '/api/v1/api_keys/:id', deleteApiKey(options));

  serve('get', '/api/v1/keys', listKeys(options));
  serve('post', '/api/v1/keys', createKey(options));
  serve('get', '/api/v1/keys/:id', getKey(options));
  serve('patch', '/api/v1/keys/:id', updateKey(options));
  serve('delete', '/api/v1/keys/:id', revokeKey(options));

  return { router, operations };
}

/** For a path that exists under another method. */
export function methodNotAllowed(router: Router<State>) {
  return async (ctx: Context, next: Next): Promise<void> => {
    await next();
    if (ctx.res.headersSent) return;
    const { path } = router.match(ctx.path, ctx.method);
    const methods = [...new Set(path.flatMap((layer) => layer.methods))];
    if (!methods.length) return;
    const allowed = methods.join(', ');
    ctx.state.headers['allow'] = allowed;
    throw new AppError('method_not_allowed', `${ctx.path.slice(0, 200)} takes ${allowed}.`);
  };
}

function health(ctx: Context): void {
  sendJson(ctx, 200, { status: 'ok' });
}

function ready(ctx: Context): void {
  sendJson(ctx, 200, { status: 'ready' });
}
