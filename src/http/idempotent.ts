/** The step that honours an Idempotency-Key; a request without one passes through at no cost. */
import { principalName } from '../auth/principal.ts';
import type { ChatReply } from '../chat/call.ts';
import { AppError } from '../errors.ts';
import type { Idempotency } from '../idempotency/idempotency.ts';
import { Run } from '../idempotency/run.ts';
import { MAX_BODY_BYTES, type StoredAnswer } from '../idempotency/stored-answer.ts';
import { mayBeKey } from '../keys/secret.ts';
import { type Context, goneSignal } from './request.ts';

export interface IdempotentOptions {
  idempotency: Idempotency;
}

const WEBHOOK_SECRET = 'whsec_';
/** Visible ASCII. */
const KEY_FORM = /^[\x21-\x7e]{1,255}$/;
/** About the payment that came with a request, so they say it of the newest. */
const OF_PAYMENT = ['payment-response', 'x-payment-response'];

/**
 * Does `work`, or answers what the same request was answered before. The request has its principal and its body. `isPaid`: it takes
 * a hold, else it makes something. `body`: by what the request is known again, where that is not its bytes.
 */
export async function idempotent(
  ctx: Context,
  { idempotency }: IdempotentOptions,
  { isPaid, body = ctx.state.body }: { isPaid: boolean; body?: Buffer },
  work: (run: Run | null) => Promise<void>,
): Promise<void> {
  const key = ctx.req.headers['idempotency-key'];
  if (key === undefined) return work(null);
  const { state, method, url } = ctx;
  const { principal, requestId } = state;
  const begun = await idempotency.begin({
    principal: principal && principalName(principal),
    key: checkedKey(key),
    method,
    path: url,
    body,
    requestId,
    isPaid,
    headers: () => ({ 'x-request-id': requestId, ...paymentHeaders(state.headers) }),
    signal: goneSignal(ctx.res),
  });
  if (!(begun instanceof Run)) return replay(ctx, begun);
  await begun.during(() => work(begun));
}

export function hasIdempotencyKey({ req }: Context): boolean {
  return req.headers['idempotency-key'] !== undefined;
}

function checkedKey(key: string | string[]): string {
  if (typeof key === 'string' && KEY_FORM.test(key)) return key;
  throw new AppError(
    'invalid_request',
    'Idempotency-Key: must be 1 to 255 visible ASCII characters, sent once.',
    { details: { header: 'Idempotency-Key' } },
  );
}

function replay({ res, state }: Context, { status, headers, body }: StoredAnswer): void {
  const own = paymentHeaders(state.headers);
  Object.assign(state.headers, headers, own, { 'idempotency-replayed': 'true' });
  if (status !== 204) state.headers['content-length'] = String(body.length);
  res.writeHead(status, state.headers);
  res.end(body);
}

function paymentHeaders(headers: Record<string, string>): Record<string, string> {
  const found = OF_PAYMENT.filter((name) => name in headers);
  return Object.fromEntries(found.map((name) => [name, headers[name]!]));
}

/** A management answer as it is kept: what it says once, it says once. */
export function keptAnswer(status: number, answer: unknown): StoredAnswer {
  if (status === 204) return { status, headers: {}, body: Buffer.alloc(0) };
  const text = JSON.stringify(answer, (_name, value: unknown) =>
    typeof value === 'string' && isSecret(value) ? undefined : value,
  );
  const headers = { 'content-type': 'application/json; charset=utf-8' };
  return { status, headers, body: Buffer.from(text) };
}

/** What is shown once. */
function isSecret(value: string): boolean {
  return mayBeKey(value) || value.startsWith(WEBHOOK_SECRET);
}

/**
 * Records what goes out. The upstream is not slowed down by a caller that reads slowly or has left, so that the record is whole;
 * one that is further behind than a kept answer is long is cut off.
 */
export function recordingReply(reply: ChatReply, run: Run, { res }: Context): ChatReply {
  return {
    head: (status, headers) => {
      run.head(status, headers);
      if (!res.destroyed) reply.head(status, headers);
    },
    write: (chunk) => {
      run.add(chunk);
      if (res.writableLength > MAX_BODY_BYTES) res.destroy();
      if (!res.destroyed) reply.write(chunk);
      return true;
    },
    drained: () => Promise.resolve(),
    destroy: () => {
      reply.destroy();
    },
    end: (chunk) => {
      if (!res.destroyed) reply.end(chunk);
    },
  };
}
