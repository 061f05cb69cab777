/** The steps that routes are made of. */
import type { Accounts } from '../accounts.ts';
import type { KeyPrincipal, Principal, Wallet } from '../auth/principal.ts';
import type { Siwx } from '../auth/siwx.ts';
import type { LimitsConfig, PaymentsConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';
import type { Idempotency } from '../idempotency/idempotency.ts';
import { type AuthenticatedKey, HOUSE_ACCOUNT, type Keys } from '../keys/keys.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { requireIp } from '../keys/rules.ts';
import type { Log } from '../log.ts';
import type { RequestCounts } from '../metrics/requests.ts';
import { type PaymentHeader, readPaymentHeader } from '../payments/header.ts';
import type { Deposited, Payments } from '../payments/payments.ts';
import { type Credentials, readCredentials } from './credentials.ts';
import type { BazaarEntries } from './discovery/bazaar.ts';
import { type Dialect, errorAnswer, toAppError } from './errors.ts';
import { type GuardOptions, orFlood, requireNoFlood } from './limits.ts';
import type { Origins } from './origins.ts';
import { type Context, discardRest, type Next, sendJson } from './request.ts';
import { PaymentRequired } from './x402/required.ts';

export interface StepOptions extends GuardOptions {
  keys: Keys;
  accounts: Accounts;
  ledger: Ledger;
  siwx: Siwx;
  payments: Payments;
  idempotency: Idempotency;
  config: PaymentsConfig;
  limits: LimitsConfig;
  origins: Origins;
  log: Log;
  requests: RequestCounts;
  /** What a 402 says to catalogues of paid resources. */
  bazaar?: BazaarEntries;
  /** Why the server does not serve yet or any more; null when it does. */
  closedBecause(): AppError | null;
}

const VARY =
  'Origin, Authorization, X-Api-Key, SIGN-IN-WITH-X, X-Sign-In-With-X, PAYMENT-SIGNATURE, X-PAYMENT, X-402-Payment';
const NO_BODY = Buffer.alloc(0);
const NOBODY: Credentials = { apiKey: null, signIn: null, payments: [] };

/** First of all: an id for the request, and every error turned into its dialect's answer. */
export function boundary(options: StepOptions) {
  return async (ctx: Context, next: Next): Promise<void> => {
    const { req, state } = ctx;
    // Every answer of ours is written to the raw response.
    ctx.respond = false;
    const url = req.url ?? '/';
    state.requestId = newId('req');
    state.dialect = dialectOf(url);
    state.origin = options.origins.dialled(req.headers.host);
    state.headers = {
      'x-request-id': state.requestId,
      'cache-control': 'private, no-store',
      vary: VARY,
    };
    // Anthropic's name for it, which its clients read.
    if (state.dialect === 'anthropic') state.headers['request-id'] = state.requestId;
    state.credentials = NOBODY;
    state.principal = null;
    state.payment = null;
    state.deposited = null;
    state.body = NO_BODY;
    state.keep = null;
    const startedMs = performance.now();
    try {
      if (!url.startsWith('/')) throw new AppError('invalid_request', 'Ask for a path of ours.');
      state.credentials = readCredentials(req);
      await next();
      if (!ctx.res.headersSent) throw notFound(ctx);
    } catch (error) {
      answerError(ctx, await orFlood(ctx, options, error), options);
    }
    countRequest(ctx, options, performance.now() - startedMs);
    logRequest(ctx, options);
  };
}

function countRequest(ctx: Context, { requests }: StepOptions, ms: number): void {
  const { shop, _matchedRoute: route } = ctx as { shop?: string; _matchedRoute?: unknown };
  const matched = typeof route === 'string' ? route : undefined;
  requests.request(shop ?? matched, ctx.res.statusCode);
  if (shop !== undefined) requests.took(shop, ms);
}

function dialectOf(url: string): Dialect {
  if (url.startsWith('/api/') || url.startsWith('/x402')) return 'venice';
  return url.startsWith('/v1/messages') ? 'anthropic' : 'v1';
}

/** For whatever is not here. */
export function notFound(ctx: Pick<Context, 'method' | 'path'>): AppError {
  return new AppError('not_found', `There is no ${ctx.method} ${ctx.path.slice(0, 200)} here.`);
}

function answerError(ctx: Context, thrown: unknown, { limits, log, requests }: StepOptions): void {
  const error = toAppError(thrown);
  requests.refusal(error.code);
  const { requestId, dialect, headers } = ctx.state;
  if (error.code === 'internal') {
    const { method, path } = ctx;
    log.error('request_failed', { requestId, method, path, error: error.cause ?? error });
  }
  if (ctx.res.headersSent) {
    ctx.res.destroy();
    return;
  }
  const answer = errorAnswer(error, dialect, requestId);
  Object.assign(headers, answer.headers);
  if (error instanceof PaymentRequired && error.header !== null) {
    headers['payment-required'] = error.header;
  }
  sendJson(ctx, answer.status, error instanceof PaymentRequired ? error.body : answer.body);
  discardRest(ctx.req, limits.bodyBytes);
}

function logRequest(ctx: Context, { log, clientIp }: StepOptions): void {
  if (log.hasDebug === false) return;
  const { requestId, principal } = ctx.state;
  const { method, path } = ctx;
  const status = ctx.res.statusCode;
  log.debug('request', {
    requestId,
    method,
    path,
    status,
    ip: clientIp(ctx.req),
    as: principal?.kind ?? 'nobody',
  });
}

/** Health answers always; the rest while the server is set up, started and not about to end. */
export function whileOpen({ closedBecause }: StepOptions) {
  return (_ctx: Context, next: Next): Promise<unknown> => {
    const closed = closedBecause();
    if (closed) throw closed;
    return next();
  };
}

export type IdentifyOptions = Pick<
  StepOptions,
  'keys' | 'accounts' | 'siwx' | 'clientIp' | 'guards'
>;

/** Signed in by API key or wallet; null without credentials. A bad credential is a 401, never a 402. */
export async function identify(
  options: IdentifyOptions,
  { req, state }: Pick<Context, 'req' | 'state'>,
): Promise<Principal | null> {
  const { apiKey, signIn } = state.credentials;
  if (apiKey !== null) {
    // Whoever guesses has no key that worked before.
    if (!options.keys.isKnown(apiKey)) await requireNoFlood(options, { req }, 'unauthorized');
    const key = await options.keys.authenticate(apiKey);
    if (!key) throw new AppError('invalid_credential', 'This API key does not work.');
    requireIp(key.rules, () => options.clientIp(req));
    return keyPrincipal(key);
  }
  if (signIn === null) return null;
  await requireNoFlood(options, { req }, 'unauthorized');
  const wallet = await options.siwx.verify(signIn);
  const accountId = await options.accounts.walletAccount(wallet);
  return { kind: 'wallet', role: 'wallet', wallet, accountId };
}

export function keyPrincipal({ type, ...key }: AuthenticatedKey): KeyPrincipal {
  const admin = key.accountId === HOUSE_ACCOUNT ? 'operator' : 'admin';
  const role = type === 'ADMIN' ? admin : 'inference';
  return { kind: 'key', role, keyType: type, ...key };
}

/** Who asks: `principal`, or `payment`, or both when a wallet signs in beside its own payment, or neither. Settles nothing. */
export function authenticate(options: StepOptions) {
  return async (ctx: Context, next: Next): Promise<void> => {
    const { state } = ctx;
    const { credentials } = state;
    if (credentials.payments.length) {
      state.payment = readPaymentHeader(credentials.payments);
      state.principal = await payingWallet(options, ctx, state.payment);
    } else state.principal = await identify(options, ctx);
    await next();
  };
}

/** Whom a payment is in conflict with is told before anything is settled. Answers the wallet that signed in beside it. */
export async function payingWallet(
  options: StepOptions,
  ctx: Pick<Context, 'req' | 'state'>,
  payment: PaymentHeader,
): Promise<Principal | null> {
  const { credentials } = ctx.state;
  if (credentials.apiKey !== null) {
    throw new AppError(
      'conflicting_credentials',
      'A payment credits the wallet that signed it: send it without an API key.',
    );
  }
  if (credentials.signIn === null) return null;
  const { address: payer } = await options.payments.payer(payment);
  const principal = await identify(options, ctx);
  if (principal?.kind === 'wallet' && isPayer(principal.wallet, payer)) return principal;
  throw new AppError(
    'conflicting_credentials',
    'The payment and the sign-in are of different wallets.',
  );
}

function isPayer(wallet: Wallet, payer: string): boolean {
  return wallet.chain === '' && wallet.address === payer;
}

export function paymentHeaders(ctx: Context, { settleResponse }: Deposited): void {
  const value = Buffer.from(JSON.stringify(settleResponse)).toString('base64');
  ctx.state.headers['payment-response'] = value;
  ctx.state.headers['x-payment-response'] = value;
}
