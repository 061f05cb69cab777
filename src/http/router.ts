/** Every URL on one page; a line is its policy. */
import Router from '@koa/router';
import type { Right } from '../auth/rights.ts';
import type { AudioPaths } from '../audio/paths.ts';
import type { Web3Keys } from '../auth/web3-key.ts';
import type { Catalogue } from '../catalogue.ts';
import type { Byok } from '../chat/byok.ts';
import type { Chats } from '../chat/chats.ts';
import type { ServerConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { MediaStore } from '../media/store.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { NanoUsd } from '../money.ts';
import type { Tasks } from '../tasks/tasks.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';
import type { Cursors } from '../usage/cursor.ts';
import type { History } from '../usage/history.ts';
import type { Usage } from '../usage/usage.ts';
import type { Vault } from '../vault.ts';
import type { Presets } from '../presets.ts';
import type { Quotes } from '../quotes.ts';
import type { KeySpending } from '../keys/spending.ts';
import type { AdminOptions } from './admin/options.ts';
import { getMetrics, metricsOfOwnDoor } from './admin/metrics.ts';
import { adminRoutes } from './admin/routes.ts';
import { audioShops } from './audio.ts';
import { countTokens } from './anthropic/count-tokens.ts';
import { chatShops } from './chat-shops.ts';
import { BazaarEntries } from './discovery/bazaar.ts';
import { kept } from './discovery/kept.ts';
import { openapiOfOwnDoor } from './discovery/openapi.ts';
import { DOCUMENTS } from './discovery/routes.ts';
import { answersAtOwnDoor, isOperators } from './doors.ts';
import { inTurn, type Step } from './in-turn.ts';
import { creditsEstimate } from './openai/estimate.ts';
import { whileSound } from './limits.ts';
import { modelRoutes } from './models.ts';
import type { OpenNow } from './open-now.ts';
import { type Operation, runOperation } from './operation.ts';
import { siteRoutes, type SiteOptions } from './page/routes.ts';
import { whileOpenTo } from './public/closed.ts';
import { publicRoutes } from './public/routes.ts';
import { type Context, type Next, sendJson, type State } from './request.ts';
import { authenticate, type StepOptions, whileOpen } from './steps.ts';
import {
  createApiKey,
  deleteApiKey,
  getApiKey,
  listApiKeys,
  updateApiKey,
} from './venice/api-keys.ts';
import { mediaFile } from './media/file.ts';
import { webhookRoutes } from './webhooks/routes.ts';
import { createKey, getKey, listKeys, revokeKey, updateKey } from './venice/keys.ts';
import { listProviderKeys, removeProviderKey, storeProviderKey } from './venice/provider-keys.ts';
import { quoteAudio, quoteVideo } from './venice/quotes.ts';
import { getRateLimitLog, getRateLimits } from './venice/rate-limits.ts';
import { billingBalance, billingUsage } from './venice/billing.ts';
import { usageAnalytics } from './venice/usage-analytics.ts';
import { usageHistory } from './venice/usage-history.ts';
import { getUsage } from './venice/usage.ts';
import { veniceMediaRoutes, veniceShops } from './venice/media.ts';
import { createWeb3Key, web3Token } from './venice/web3-key.ts';
import { fashionRoutes, fashionShop } from './tasks/fashion.ts';
import { taskRoutes, taskShops } from './tasks/routes.ts';
import { askPayout, getOwnPayout, listOwnPayouts } from './x402/payouts.ts';
import { topUp } from './x402/top-up.ts';
import { balance, payment, transactions } from './x402/wallet.ts';

export interface RouterOptions
  extends StepOptions, AdminOptions, Omit<SiteOptions, keyof StepOptions> {
  chats: Chats;
  spending: KeySpending;
  web3Keys: Web3Keys;
  catalogue: Catalogue;
  creditUsd: NanoUsd;
  quotes: Quotes;
  vault: Vault;
  byok: Byok;
  usage: Usage;
  history: History;
  cursors: Cursors;
  metrics: Metrics;
  media: MediaStore;
  webhooks: Webhooks;
  tasks: Tasks;
  openNow: OpenNow;
  server: Pick<ServerConfig, 'adminListen'>;
  presets: Presets;
  audio: AudioPaths;
}

type Method = 'get' | 'post' | 'patch' | 'put' | 'delete';

export interface RouteEntry {
  method: Method;
  path: string;
  /** Null: anybody. */
  right: Right | null;
  /** Of a management route; null for the others. */
  operation: Operation | null;
}

export interface Routes {
  router: Router<State>;
  table: readonly RouteEntry[];
  /** Of the operator's site, which signs in by itself. */
  pages: readonly Pick<RouteEntry, 'method' | 'path'>[];
  /** What sells, by its path: POST routes of one path each. */
  shops: ReadonlyMap<string, Step>;
}

export function createRouter(given: RouterOptions): Routes {
  const options = { ...given, bazaar: new BazaarEntries(given.catalogue) };
  // One form of each path: what the dialect and the policy are told by must be what is routed.
  const router = new Router<State>({ sensitive: true });
  const open = whileOpen(options);
  const signedIn = authenticate(options);
  const sound = whileSound(options);
  const { catalogue } = options;
  const table: RouteEntry[] = [];
  // As each listener describes itself.
  const everybodys: RouteEntry[] = [];
  const operators: RouteEntry[] = [];
  const hasOwn = options.server.adminListen !== null;
  const describe = (entry: RouteEntry): void => {
    table.push(entry);
    if (!hasOwn || !isOperators(entry.path)) everybodys.push(entry);
    if (answersAtOwnDoor(entry.path)) operators.push(entry);
  };
  const shops = new Map<string, Step>();
  const on = (method: Method, path: string, right: Right | null, ...steps: Step[]): void => {
    describe({ method, path, right, operation: null });
    router[method](path, ...steps);
    if (right === 'infer' && method === 'post') shops.set(path, inTurn(steps));
  };
  const serve = (method: Method, path: string, operation: Operation, ...before: Step[]): void => {
    describe({ method, path, right: operation.right, operation });
    router[method](path, open, ...before, runOperation(options, operation));
  };

  on('get', '/health', null, health);
  on('get', '/api/health', null, health);
  on('get', '/ready', null, open, ready);
  const ofOwnDoor = atOwnDoor(kept(options, operators, openapiOfOwnDoor));
  for (const [path, make] of DOCUMENTS) {
    const step = kept(options, everybodys, make);
    on('get', path, null, open, path === '/openapi.json' ? ofOwnDoor(step) : step);
  }
  const openTo = whileOpenTo(options);
  for (const [method, path, step] of publicRoutes(options, everybodys)) {
    // What the page of a server that is not set up looks like, too.
    if (path === '/site.css') on(method, path, null, step);
    else on(method, path, null, openTo, step);
  }
  serve('get', '/metrics', getMetrics(options), metricsOfOwnDoor(options));

  for (const [path, step] of modelRoutes(catalogue)) on('get', path, null, open, step);
  on('get', '/media/:id/:token/:name', null, open, mediaFile(options));
  for (const [method, path, operation] of webhookRoutes(options)) serve(method, path, operation);

  for (const prefix of ['/x402', '/v1/x402', '/api/v1/x402']) {
    on('post', `${prefix}/top-up`, null, open, topUp(options));
    on('get', `${prefix}/balance/:wallet`, 'wallet.read', open, balance(options));
    on('get', `${prefix}/transactions/:wallet`, 'wallet.read', open, transactions(options));
    on('get', `${prefix}/payments/:id`, 'wallet.read', open, payment(options));
    serve('post', `${prefix}/payouts`, askPayout(options));
    serve('get', `${prefix}/payouts`, listOwnPayouts(options));
    serve('get', `${prefix}/payouts/:id`, getOwnPayout(options));
  }

  const venice = { ...options, routing: options.operator.routing };
  const made = [...taskShops(options), ...veniceShops(venice)];
  const sold = [...chatShops(options), ...audioShops(options), ...made];
  for (const [path, paid, make] of sold) {
    on('post', path, 'infer', open, signedIn, sound, paid, make);
  }
  on('post', '/v1/messages/count_tokens', null, open, countTokens(options));
  for (const [method, path, operation] of taskRoutes(options)) serve(method, path, operation);
  for (const [method, path, operation] of veniceMediaRoutes(venice)) serve(method, path, operation);
  on('post', '/api/v1/fashion/:preset', 'infer', open, signedIn, sound, fashionShop(options));
  for (const [method, path, operation] of fashionRoutes(options)) serve(method, path, operation);

  serve('post', '/v1/credits/estimate', creditsEstimate(options));
  serve('post', '/api/v1/video/quote', quoteVideo(options));
  serve('post', '/api/v1/audio/quote', quoteAudio(options));

  serve('get', '/api/v1/api_keys', listApiKeys(options));
  serve('post', '/api/v1/api_keys', createApiKey(options));
  serve('patch', '/api/v1/api_keys', updateApiKey(options));
  serve('delete', '/api/v1/api_keys', deleteApiKey(options));
  serve('get', '/api/v1/api_keys/generate_web3_key', web3Token(options));
  serve('post', '/api/v1/api_keys/generate_web3_key', createWeb3Key(options));
  serve('get', '/api/v1/api_keys/rate_limits', getRateLimits(options));
  serve('get', '/api/v1/api_keys/rate_limits/log', getRateLimitLog(options));
  // After every /api_keys/… of a name of its own.
  serve('get', '/api/v1/api_keys/:id', getApiKey(options));
  serve('delete', '/api/v1/api_keys/:id', deleteApiKey(options));

  serve('get', '/api/v1/keys', listKeys(options));
  serve('post', '/api/v1/keys', createKey(options));
  serve('get', '/api/v1/keys/:id', getKey(options));
  serve('patch', '/api/v1/keys/:id', updateKey(options));
  serve('delete', '/api/v1/keys/:id', revokeKey(options));

  serve('get', '/api/v1/provider-keys', listProviderKeys(options));
  serve('post', '/api/v1/provider-keys', storeProviderKey(options));
  serve('delete', '/api/v1/provider-keys/:id', removeProviderKey(options));

  serve('get', '/api/v1/usage', getUsage(options));
  serve('get', '/api/v1/billing/balance', billingBalance(options));
  serve('get', '/api/v1/billing/usage', billingUsage());
  serve('get', '/api/v1/billing/usage-history', usageHistory(options));
  serve('get', '/api/v1/billing/usage-analytics', usageAnalytics(options));

  for (const [method, path, operation] of adminRoutes(options)) serve(method, path, operation);
  // Pages answer while the server waits to be set up, too.
  const pages = siteRoutes(options);
  for (const [method, path, step] of pages) router[method](path, step);

  return { router, table, pages: pages.map(([method, path]) => ({ method, path })), shops };
}

/** The router asks the patterns of all routes in turn; what most requests ask for is found by its path. Anything else is for `next`. */
export function straight(shops: Routes['shops']): Step {
  return (ctx, next) => {
    const { method, url } = ctx.req;
    const shop = method === 'POST' && url !== undefined ? shops.get(url) : undefined;
    if (!shop) return next();
    (ctx as { shop?: string }).shop = url!;
    return shop(ctx, ended);
  };
}

const ended = (): Promise<void> => Promise.resolve();

/** One step for the operator's listener, another for everybody's. */
function atOwnDoor(own: Step): (everybodys: Step) => Step {
  return (everybodys) => (ctx, next) =>
    ctx.state.door === 'admin' ? own(ctx, next) : everybodys(ctx, next);
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
