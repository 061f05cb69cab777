/** POST /chat/completions and its like, in every dialect: the request handed to the chat, and its raw answer. */
import type { IncomingMessage } from 'node:http';
import type { Chat } from '../chat/chat.ts';
import type { ChatReply } from '../chat/call.ts';
import type { Principal } from '../auth/principal.ts';
import { AppError } from '../errors.ts';
import { budgetModeOf } from '../keys/rules.ts';
import { recordingReply } from './idempotent.ts';
import { admitted } from './limits.ts';
import { minimumOf, type Offer } from './payable.ts';
import { type Context, goneSignal } from './request.ts';
import type { StepOptions } from './steps.ts';

export function chatOffer(chat: Chat): Offer {
  return {
    description: chat.kind.description,
    price: (body, wholeBytes) => chat.price(body, wholeBytes),
    check: (ctx) => {
      budgetMode(ctx);
      chat.check(ctx.state.body, { maxCredits: maxCredits(ctx), quoteId: quoteId(ctx) });
    },
  };
}

/** `headers`: of the caller's, what an upstream of the same dialect is to see. */
export function chatRoute(
  chat: Chat,
  options: StepOptions,
  headers?: (request: IncomingMessage) => Record<string, string>,
) {
  return async (ctx: Context): Promise<void> => {
    const { principal, requestId, dialect, body, keep } = ctx.state;
    const reply = replyOver(ctx);
    if (!principal) throw new AppError('internal', 'a chat without anybody who pays');
    await chat.run({
      principal,
      requestId,
      body,
      mode: budgetMode(ctx) ?? usualMode(principal),
      dialect: dialect === 'venice' ? 'venice' : 'v1',
      ...(headers && { headers: headers(ctx.req) }),
      maxCredits: maxCredits(ctx),
      quoteId: quoteId(ctx),
      minimumAvailable: minimumOf(ctx, options.config),
      admit: admitted(ctx, options),
      signal: goneSignal(ctx.res),
      reply: keep ? recordingReply(reply, keep, ctx) : reply,
      keep,
    });
  };
}

function usualMode(principal: Principal): 'clamp' | 'refuse' {
  return principal.kind === 'key' ? budgetModeOf(principal.rules) : 'clamp';
}

function budgetMode({ req }: Context): 'clamp' | 'refuse' | undefined {
  const said = req.headers['x-budget-mode'];
  if (said === undefined || said === 'clamp' || said === 'refuse') return said;
  throw new AppError('invalid_request', 'X-Budget-Mode: must be clamp or refuse.');
}

export function quoteId(ctx: Context): string | null {
  return headerOf(ctx, 'x-quote-id');
}

export function maxCredits(ctx: Context): string | null {
  return headerOf(ctx, 'x-max-credits');
}

/** An empty header says something that is wrong, not nothing. */
function headerOf({ req }: Context, name: string): string | null {
  const value = req.headers[name];
  return typeof value === 'string' ? value : null;
}

/** The answer goes straight to the socket: handing a stream to Koa costs as much as the rest of the request. */
export function replyOver({ res, state }: Context): ChatReply {
  return {
    head: (status, headers) => {
      res.writeHead(status, Object.assign(state.headers, headers));
    },
    write: (chunk) => res.write(chunk),
    drained: () => {
      if (!res.writableNeedDrain || res.destroyed) return Promise.resolve();
      return new Promise((resolve) => {
        const done = () => {
          res.off('drain', done).off('close', done);
          resolve();
        };
        res.on('drain', done).on('close', done);
      });
    },
    destroy: () => {
      res.destroy();
    },
    end: (chunk) => {
      res.end(chunk);
    },
  };
}
