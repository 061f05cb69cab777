/** The steps that routes are made of. */
import type { Accounts } from '../accounts.ts';
import type { Principal, Wallet } from '../auth/principal.ts';
import type { Siwx } from '../auth/siwx.ts';
import type { PaymentsConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';
import type { Keys } from '../keys.ts';
import type { Log } from '../log.ts';
import { readPaymentHeader } from '../payments/header.ts';
import type { Deposited, Payments } from '../payments/payments.ts';
import { type Credentials, readCredentials } from './credentials.ts';
import { errorAnswer, toAppError } from './errors.ts';
import type { Context, Next } from './request.ts';

export interface StepOptions {
  keys: Keys;
  accounts: Accounts;
  siwx: Siwx;
  payments: Payments;
  config: PaymentsConfig;
  origins: string[];
  log: Log;
}

const VARY = 'Authorization, X-Api-Key, SIGN-IN-WITH-X, X-Sign-In-With-X, Origin';

/** First of all: an id for the request, and every error turned into its dialect's answer. */
export function boundary(origins: string[], log: Log) {
  return async (ctx: Context, next: Next): Promise<void> => {
    const { req, res, state } = ctx;
    state.requestId = newId('req');
    state.dialect = ctx.path.startsWith('/api/') || ctx.path.startsWith('/x402') ? 'venice' : 'v1';
    state.origin = dialled(origins, req.headers.host);
    state.principal = null;
    state.deposited = null;
    res.setHeader('x-request-id', state.requestId);
    res.setHeader('cache-control', 'private, no-store');
    res.setHeader('vary', VARY);
    try {
      await next();
      if (ctx.status === 404 && ctx.body === undefined && ctx.respond !== false)
        throw notFound(ctx);
    } catch (error) {
      answerError(ctx, error, log);
    }
  };
}

function notFound(ctx: Context): AppError {
  return new AppError('not_found', `There is no ${ctx.method} ${ctx.path.slice(0, 200)} here.`);
}

/** Only chosen among the configured origins: a client's Host header never makes one. */
function dialled(origins: string[], host: string | undefined): string {
  return origins.find((origin) => new URL(origin).host === host?.toLowerCase()) ?? origins[0] ?? '';
}

function answerError(ctx: Context, thrown: unknown, log: Log): void {
  const error = toAppError(thrown);
  const { requestId, dialect } = ctx.state;
  if (error.code === 'internal') {
    log.error('request_failed', {
      requestId,
      method: ctx.method,
      path: ctx.path,
      error: error.cause ?? error,
    });
  }
  if (ctx.res.headersSent) {
    ctx.res.destroy();
    return;
  }
  const answer = errorAnswer(error, dialect, requestId);
  const body = error instanceof PaymentRequired ? error.body : answer.body;
  if (error instanceof PaymentRequired) ctx.res.setHeader('payment-required', error.header);
  for (const [name, value] of Object.entries(answer.headers)) ctx.res.setHeader(name, value);
  // What the client still sends of its body is not waited for.
  if (!ctx.req.complete) ctx.res.setHeader('connection', 'close');
  ctx.respond = false;
  const bytes = Buffer.from(JSON.stringify(body));
  ctx.res.writeHead(answer.status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': bytes.length,
  });
  ctx.res.end(bytes);
}

/** A 402 with its own body, and the full x402 object for its header. */
export class PaymentRequired extends AppError {
  readonly body: Record<string, unknown>;
  readonly header: string;

  constructor(error: AppError, body: Record<string, unknown>, header: string) {
    super(error.code, error.message);
    this.body = body;
    this.header = header;
  }
}

/** Signed in by API key or wallet; null without credentials. A bad credential is a 401, never a 402. */
export async function identify(
  options: Pick<StepOptions, 'keys' | 'accounts' | 'siwx'>,
  credentials: Credentials,
): Promise<Principal | null> {
  if (credentials.apiKey !== null) {
    const key = await options.keys.authenticate(credentials.apiKey);
    if (!key) throw new AppError('invalid_credential', 'This API key does not work.');
    return { kind: 'key', accountId: key.accountId, keyId: key.keyId, keyType: key.type };
  }
  if (credentials.signIn === null) return null;
  const wallet = await options.siwx.verify(credentials.signIn);
  return { kind: 'wallet', wallet, accountId: await options.accounts.walletAccount(wallet) };
}

/** As identify, and a payment that comes along is credited first; the request then runs as its payer. */
export function authenticate(options: StepOptions) {
  return async (ctx: Context, next: Next): Promise<void> => {
    const credentials = readCredentials(ctx.req);
    const { state } = ctx;
    if (credentials.payments.length) {
      state.deposited = await depositInline(options, credentials);
      const { wallet, accountId } = state.deposited;
      state.principal = { kind: 'wallet', wallet, accountId };
      paymentHeaders(ctx, state.deposited);
    } else state.principal = await identify(options, credentials);
    await next();
  };
}

async function depositInline(options: StepOptions, credentials: Credentials): Promise<Deposited> {
  if (credentials.apiKey !== null) {
    throw new AppError(
      'conflicting_credentials',
      'A payment credits its payer: send it without an API key, or top up on /x402/top-up.',
    );
  }
  const header = readPaymentHeader(credentials.payments);
  if (credentials.signIn !== null) {
    const { payer } = await options.payments.decode(header);
    const wallet = await options.siwx.verify(credentials.signIn);
    if (!isSameWallet(wallet, payer)) {
      throw new AppError(
        'conflicting_credentials',
        'The payment and the sign-in are of different wallets.',
      );
    }
  }
  return options.payments.deposit(header, { minimum: options.config.inlineMinimum });
}

function isSameWallet(wallet: Wallet, payer: string): boolean {
  return wallet.chain === '' && wallet.address === payer;
}

export function paymentHeaders(ctx: Context, { settleResponse }: Deposited): void {
  const value = Buffer.from(JSON.stringify(settleResponse)).toString('base64');
  ctx.res.setHeader('payment-response', value);
  ctx.res.setHeader('x-payment-response', value);
}
