/** POST /chat/completions of both dialects: who pays, what to ask for when nobody does, and the raw answer. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Chat } from '../chat/chat.ts';
import type { ChatReply } from '../chat/call.ts';
import type { LimitsConfig, PaymentsConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { nanoUsd, type NanoUsd, ZERO_USD } from '../money.ts';
import { balanceRequired, credentialsRequired, inlineAmount } from './x402/required.ts';
import { type Context, goneSignal, readBody } from './request.ts';
import type { StepOptions } from './steps.ts';

/** Without credentials a request is priced from this much of its body. */
const PRICED_BYTES = 256 * 1024;

export interface ChatRouteOptions extends StepOptions {
  chat: Chat;
  limits: LimitsConfig;
}

export function chatRoute(options: ChatRouteOptions) {
  return async (ctx: Context): Promise<void> => {
    const { principal, requestId, dialect } = ctx.state;
    if (!principal) throw await askForPayment(ctx, options);
    const signal = goneSignal(ctx.res);
    const body = await readBody(ctx.req, options.limits.bodyBytes);
    const mode = budgetMode(ctx);
    const minimumAvailable = minimumOf(ctx, options.config);
    ctx.respond = false;
    try {
      const reply = replyOver(ctx.res);
      await options.chat.run({
        principal,
        requestId,
        body,
        mode,
        dialect,
        minimumAvailable,
        signal,
        reply,
      });
    } catch (error) {
      ctx.respond = true;
      throw await asPaymentRequired(ctx, options, error);
    }
  };
}

function budgetMode(ctx: Context): 'clamp' | 'refuse' {
  const said = ctx.get('x-budget-mode') || 'clamp';
  if (said === 'clamp' || said === 'refuse') return said;
  throw new AppError('invalid_request', 'X-Budget-Mode: must be clamp or refuse.');
}

/** Priced before anything in it is validated: a probe with an empty body learns the price list's way in, not its mistakes. */
async function askForPayment(ctx: Context, options: ChatRouteOptions): Promise<AppError> {
  const body = await readBody(ctx.req, PRICED_BYTES, true);
  const isPartial = body.length >= PRICED_BYTES;
  const price = body.length ? options.chat.price(body, isPartial) : null;
  const amount = inlineAmount(options.config, price?.ceiling ?? null);
  const asked = { amount, url: urlOf(ctx), description: 'One chat completion' };
  return credentialsRequired(options, asked, ctx.state.origin);
}

/** A wallet keeps a minimum, unless a payment for this very request came along. */
function minimumOf({ state }: Context, config: PaymentsConfig): NanoUsd {
  return state.principal?.kind === 'wallet' && !state.deposited ? config.minimumBalance : ZERO_USD;
}

/** Only a wallet can cure a small balance by paying, so only a wallet is told how. */
async function asPaymentRequired(
  ctx: Context,
  options: ChatRouteOptions,
  error: unknown,
): Promise<unknown> {
  const { principal, dialect } = ctx.state;
  if (!(error instanceof AppError) || error.code !== 'insufficient_balance') return error;
  if (principal?.kind !== 'wallet') return error;
  const ceiling = error.details?.['ceilingNano'];
  const needed = typeof ceiling === 'number' ? nanoUsd(ceiling) : null;
  const balance = await options.accounts.balance(principal.accountId);
  const amount = inlineAmount(options.config, needed);
  const asked = { amount, url: urlOf(ctx), description: 'One chat completion' };
  return balanceRequired(options, asked, balance, dialect);
}

function urlOf(ctx: Context): string {
  return `${ctx.state.origin}${ctx.path}`;
}

/** The answer goes straight to the socket: handing a stream to Koa costs as much as the rest of the request. */
function replyOver(response: ServerResponse): ChatReply {
  return {
    head: (status, headers) => {
      response.writeHead(status, headers);
      // A stream's first bytes may be a while: its head is not kept back for them.
      if (headers['content-length'] === undefined) response.flushHeaders();
    },
    write: (chunk) => response.write(chunk),
    drained: async () => {
      if (!response.writableNeedDrain || response.destroyed) return;
      await Promise.race([once(response, 'drain'), once(response, 'close')]);
    },
    end: (chunk) => {
      response.end(chunk);
    },
  };
}
