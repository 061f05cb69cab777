/**
 * The step before everything that costs money: who pays for this request, and what to ask for when nobody does. After it `body` is
 * read and `principal` is there.
 */
import { hash } from 'node:crypto';
import type { Principal } from '../auth/principal.ts';
import type { PaymentsConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { nanoUsd, type NanoUsd, ZERO_USD } from '../money.ts';
import type { PaymentHeader } from '../payments/header.ts';
import type { Deposited } from '../payments/payments.ts';
import { Bodies } from './bodies.ts';
import { requireContent } from './content.ts';
import { hasIdempotencyKey, idempotent } from './idempotent.ts';
import { requireNoFlood } from './limits.ts';
import { type Context, type Next, readPrefix } from './request.ts';
import { paymentHeaders, type StepOptions } from './steps.ts';
import { type Asked, balanceRequired, credentialsRequired, inlineAmount } from './x402/required.ts';

/** What a route sells. */
export interface Offer {
  description: string;
  /**
   * The most that the request may cost, and the least with which it is served; null where that cannot be told. `wholeBytes`: how long the
   * body is of which only this beginning is there. Never throws.
   */
  price(body: Buffer, wholeBytes?: number): { ceiling: NanoUsd; atLeast: NanoUsd } | null;
  /** Throws what is wrong with a request, its body read, before it is paid for. */
  check(ctx: Context): void;
  /** Whether its body may be a form; else it is JSON. */
  takesForms?: boolean;
  /** By what a repeated request is known again; its body, byte for byte, where this is left out. May throw as `check` does. */
  sameness?(ctx: Context): Buffer;
}

/** Without credentials a request is priced from this much of its body. */
const PRICED_BYTES = 256 * 1024;
/** A payment that served is remembered for as long as anybody could send it again. */
const SERVED_KEPT_MS = 100 * 365 * 86_400_000;

export function payable(options: StepOptions, offer: Offer) {
  const bodies = new Bodies(options.limits.bodyBytes);
  return async (ctx: Context, next: Next): Promise<void> => {
    const { state } = ctx;
    if (!state.principal && !state.payment) throw await askForPayment(ctx, options, offer);
    requireContent(ctx.req, offer);
    await bodies.with(ctx.req, async (body) => {
      state.body = body;
      await sell(ctx, options, offer, next);
    });
  };
}

async function sell(ctx: Context, options: StepOptions, offer: Offer, next: Next): Promise<void> {
  const { state } = ctx;
  const { payment } = state;
  const sameness = offer.sameness?.(ctx) ?? state.body;
  const isSignedIn = state.principal !== null;
  if (payment) {
    offer.check(ctx);
    // A request that was answered before settles no second payment, so its payer is needed first.
    if (hasIdempotencyKey(ctx)) state.principal ??= await payerOf(payment, options);
  }
  try {
    await idempotent(ctx, options, { isPaid: true, body: sameness }, async (keep) => {
      state.keep = keep;
      if (payment) {
        await requireEnough(ctx, options, offer, payment);
        await takePayment(ctx, options, { payment, isSignedIn, sameness });
      }
      await next();
    });
  } catch (error) {
    throw await asPaymentRequired(ctx, options, offer, error);
  }
}

/** Priced before anything in it is validated: a probe with an empty body learns how to pay, not its mistakes. */
async function askForPayment(ctx: Context, options: StepOptions, offer: Offer): Promise<AppError> {
  await requireNoFlood(options, ctx, 'paymentRequired');
  const { bytes, isWhole } = await readPrefix(ctx.req, PRICED_BYTES);
  const said = Number(ctx.req.headers['content-length'] ?? 0);
  const rest = isWhole
    ? undefined
    : Math.max(bytes.length, Math.min(said, options.limits.bodyBytes));
  const price = bytes.length ? offer.price(bytes, rest) : null;
  return credentialsRequired(
    options,
    asked(ctx, options, offer, price?.ceiling ?? null),
    ctx.state,
  );
}

/** A payment that could not buy what it came for is not settled: its payer is told the whole price instead, and pays once. */
async function requireEnough(
  ctx: Context,
  options: StepOptions,
  offer: Offer,
  payment: PaymentHeader,
): Promise<void> {
  const { state } = ctx;
  const price = offer.price(state.body);
  const signed = await options.payments.offered(payment);
  if (!price || signed === null) return;
  const accountId = await options.accounts.walletAccount(signed.wallet);
  const { posted, held } = await options.accounts.balance(accountId);
  const need = ctx.req.headers['x-budget-mode'] === 'refuse' ? price.ceiling : price.atLeast;
  if (signed.amount + posted - held >= need) return;
  throw credentialsRequired(options, asked(ctx, options, offer, price.ceiling), state);
}

async function payerOf(payment: PaymentHeader, { payments }: StepOptions): Promise<Principal> {
  return { kind: 'wallet', role: 'wallet', wallet: await payments.payer(payment), accountId: null };
}

async function takePayment(
  ctx: Context,
  options: StepOptions,
  {
    payment,
    isSignedIn,
    sameness,
  }: { payment: PaymentHeader; isSignedIn: boolean; sameness: Buffer },
): Promise<void> {
  const { state } = ctx;
  const claim = hash('sha256', Buffer.concat([Buffer.from(`${ctx.path}\n`), sameness]));
  const deposited = await options.payments.deposit(payment, {
    minimum: options.config.inlineMinimum,
    claim,
  });
  state.deposited = deposited;
  paymentHeaders(ctx, deposited);
  // A wallet that signed in beside its payment spends its balance anyway. Another request takes nothing from the one that it is for.
  const isItsOwn = deposited.claim === claim && (await isFirstUse(deposited, options));
  if (!isSignedIn && !isItsOwn) throw served(deposited);
  const { wallet, accountId } = deposited;
  state.principal = { kind: 'wallet', role: 'wallet', wallet, accountId };
}

/**
 * Once settled, what was signed stands on the chain for all to read, so a payment is no credential: it serves the one request that
 * it first came with, once.
 */
function isFirstUse({ paymentId }: Deposited, { ledger, clock }: StepOptions): Promise<boolean> {
  return ledger.useNonce(`inline:${paymentId}`, clock.nowMs() + SERVED_KEPT_MS);
}

function served({ paymentId }: Deposited): AppError {
  return new AppError(
    'payment_conflict',
    'This payment was used for another request. What it left is in the balance of its wallet: sign in with SIGN-IN-WITH-X to spend it.',
    { details: { reason: 'already_used', paymentId } },
  );
}

/** What a wallet must keep, unless a payment for this very request came along. */
export function minimumOf({ state }: Context, config: PaymentsConfig): NanoUsd {
  return state.principal?.kind === 'wallet' && !state.deposited ? config.minimumBalance : ZERO_USD;
}

/** Only a wallet can cure a small balance by paying, so only a wallet is told how. */
async function asPaymentRequired(
  ctx: Context,
  options: StepOptions,
  offer: Offer,
  error: unknown,
): Promise<unknown> {
  const { principal } = ctx.state;
  const isPoor = error instanceof AppError && error.code === 'insufficient_balance';
  if (!isPoor || principal?.kind !== 'wallet') return error;
  const ceiling = error.details?.['ceilingNano'];
  const needed = typeof ceiling === 'number' ? nanoUsd(ceiling) : null;
  const balance = await options.accounts.balance(principal.accountId);
  return balanceRequired(options, asked(ctx, options, offer, needed), balance, ctx.state.dialect);
}

function asked(
  ctx: Context,
  { config }: StepOptions,
  { description }: Offer,
  needed: NanoUsd | null,
): Asked {
  const url = `${ctx.state.origin}${ctx.path}`;
  return { amount: inlineAmount(config, needed), url, description };
}
