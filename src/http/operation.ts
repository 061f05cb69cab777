/**
 * A management route: who may call it, what it takes, what it answers, described once. The same description checks requests, writes
 * the OpenAPI document and feeds the test that walks every route as every kind of caller.
 */
import { z } from 'zod';
import { requireRight, type Right } from '../auth/rights.ts';
import type { Principal } from '../auth/principal.ts';
import { AppError } from '../errors.ts';
import { MAX_JSON_DEPTH } from '../providers/json-members.ts';
import { requireContent } from './content.ts';
import { idempotent, type IdempotentOptions, keptAnswer } from './idempotent.ts';
import { type Context, readBody, sendJson } from './request.ts';
import { identify, type IdentifyOptions } from './steps.ts';

export interface Operation<Body = unknown, Query = unknown> {
  summary: string;
  /** Null: anybody, no credential is looked at. */
  right: Right | null;
  /** With `right: null`: a caller that says who it is is told more; a bad credential is a 401 all the same. */
  isForCallerToo?: true;
  /** Of a JSON body; strict objects, so that a misspelt field is told. */
  body?: z.ZodType<Body>;
  query?: z.ZodType<Query>;
  /** Of the JSON answer; null where there is no body (204). */
  answer: z.ZodType | null;
  /** Of a good answer; 200 by default. */
  status?: 200 | 201 | 204;
  /** Whether it makes something: an Idempotency-Key is honoured, and the answer to a repeated request has no API key in it. */
  mints?: true;
  /** Answers what is sent as JSON; undefined when it has sent an answer itself. */
  run(call: Call<Body, Query>): Promise<unknown>;
}

export interface Call<Body = unknown, Query = unknown> {
  /** Has the operation's right; where that is null nobody, or, with `isForCallerToo`, whoever said so. */
  principal: Principal;
  /** Of the path, decoded. */
  params: Record<string, string>;
  body: Body;
  query: Query;
  requestId: string;
  ctx: Context;
}

/** Keeps the types of body and query together; does nothing else. */
export function operation<Body = undefined, Query = undefined>(
  described: Operation<Body, Query>,
): Operation {
  return described as unknown as Operation;
}

/** Management bodies are small. */
const MAX_BODY_BYTES = 256 * 1024;

export function runOperation(
  options: IdentifyOptions & IdempotentOptions,
  { right, isForCallerToo, body, query, status = 200, mints, run }: Operation,
) {
  return async (ctx: Context): Promise<void> => {
    const { state } = ctx;
    if (right !== null) {
      if (state.credentials.payments.length) throw paidForNothing();
      state.principal = requireRight(await identify(options, ctx), right);
    }
    if (isForCallerToo) state.principal = await identify(options, ctx);
    const call: Call = {
      principal: state.principal!,
      params: (ctx as unknown as { params?: Record<string, string> }).params ?? {},
      query: query && checked(query, { ...ctx.query }, 'query'),
      body: body && checked(body, await readJson(ctx), 'body'),
      requestId: state.requestId,
      ctx,
    };
    if (!mints) return send(ctx, status, await run(call));
    await idempotent(ctx, options, { isPaid: false }, async (keep) => {
      const answer = await run(call);
      await keep?.made(keptAnswer(status, answer));
      send(ctx, status, answer);
    });
  };
}

function send(ctx: Context, status: number, answer: unknown): void {
  if (ctx.res.headersSent) return;
  if (status !== 204) return sendJson(ctx, status, answer);
  ctx.res.writeHead(204, ctx.state.headers);
  ctx.res.end();
}

function paidForNothing(): AppError {
  return new AppError(
    'invalid_request',
    'This route costs nothing: send it without a payment header. Nothing was settled.',
  );
}

async function readJson(ctx: Context): Promise<unknown> {
  requireContent(ctx.req);
  const bytes = await readBody(ctx.req, MAX_BODY_BYTES);
  ctx.state.body = bytes;
  // A client that sends no body to a route where every field may be left out means an empty one.
  if (!bytes.length) return {};
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new AppError('invalid_json', 'The body must be JSON.', { cause });
  }
  if (!isDeeper(body, MAX_JSON_DEPTH)) return body;
  throw new AppError('invalid_json', `The body is nested deeper than ${MAX_JSON_DEPTH} levels.`);
}

/** Whoever writes such a value again runs out of stack. */
function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}

/** Throws invalid_request: the message names the first wrong field, the details are Venice's tree of `_errors`. */
export function checked(schema: z.ZodType, value: unknown, place: 'body' | 'query'): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const first = result.error.issues[0];
  const field = first?.path.join('.') || place;
  throw new AppError('invalid_request', `${field}: ${first?.message ?? 'is wrong'}.`, {
    details: z.formatError(result.error) as unknown as Record<string, unknown>,
  });
}
