/** What the steps of a route know about a request, how its body is read, and how a JSON answer leaves. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type Koa from 'koa';
import type { Principal } from '../auth/principal.ts';
import { AppError } from '../errors.ts';
import type { Run } from '../idempotency/run.ts';
import type { PaymentHeader } from '../payments/header.ts';
import type { Deposited } from '../payments/payments.ts';
import type { Credentials } from './credentials.ts';
import type { Dialect } from './errors.ts';

export interface State {
  /** The listener that it came over. */
  door: 'public' | 'admin';
  requestId: string;
  dialect: Dialect;
  /** The configured origin that the client dialled; the first one when it says something else. */
  origin: string;
  credentials: Credentials;
  /** Headers that the answer carries, whatever it turns out to be. Lower-case names. */
  headers: Record<string, string>;
  principal: Principal | null;
  /** A payment that came with the request, read and not in conflict with anything, not settled yet. */
  payment: PaymentHeader | null;
  /** The same once it is credited. */
  deposited: Deposited | null;
  body: Buffer;
  /** Keeps the answer; null without an Idempotency-Key. */
  keep: Run | null;
}

export type Context = Koa.ParameterizedContext<State>;
export type Next = Koa.Next;

/**
 * Answers JSON. Everything is written to the raw response: Koa's own way of answering costs more than all the steps together,
 * and headers kept in an object until now go out in one piece.
 */
export function sendJson(ctx: Context, status: number, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body));
  const { headers } = ctx.state;
  headers['content-type'] = 'application/json; charset=utf-8';
  headers['content-length'] = String(bytes.length);
  ctx.res.writeHead(status, headers);
  ctx.res.end(bytes);
}

export interface BodyRead {
  bytes: Buffer;
  /** False where the body goes on after these bytes. */
  isWhole: boolean;
}

/** Reads a body whole; refuses one over `maxBytes` as soon as that is known. `arrived` may refuse it, too. */
export async function readBody(
  request: IncomingMessage,
  maxBytes: number,
  arrived?: (bytes: number) => void,
): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const { bytes, isWhole } = await readPrefix(request, maxBytes, arrived);
  if (!isWhole) throw tooLarge(maxBytes);
  return bytes;
}

/** Reads at most `maxBytes` of a body. */
export function readPrefix(
  request: IncomingMessage,
  maxBytes: number,
  arrived: (bytes: number) => void = () => {},
): Promise<BodyRead> {
  return new Promise((resolve, reject) => {
    const pieces = new Pieces();
    let size = 0;
    const stop = () => {
      request.off('data', take).off('end', finish).off('close', leave).off('error', leave);
    };
    const finish = () => {
      stop();
      const bytes = pieces.joined();
      resolve({ bytes: bytes.subarray(0, maxBytes), isWhole: size <= maxBytes });
    };
    const take = (chunk: Buffer) => {
      size += chunk.length;
      try {
        arrived(chunk.length);
        pieces.add(chunk);
      } catch (error) {
        stop();
        request.pause();
        reject(error as Error);
        return;
      }
      if (size <= maxBytes) return;
      request.pause();
      finish();
    };
    const leave = () => {
      stop();
      reject(new AppError('client_closed', 'The caller left while it sent its request.'));
    };
    if (request.destroyed) return leave();
    request.on('data', take).on('end', finish).on('close', leave).on('error', leave);
  });
}

/** A body in more pieces than that has this many bytes in each of the others, on the average: no sender needs smaller ones. */
const FREE_PIECES = 16_384;
const LEAST_PIECE_BYTES = 64;
/** A piece costs a hundred bytes of memory beside its own, so small ones are put together. */
const JOINED_PIECES = 1_024;

function isTooFine(pieces: number, bytes: number): boolean {
  return pieces > FREE_PIECES + bytes / LEAST_PIECE_BYTES;
}

/** What a body arrives in; a chunk can be a single byte. */
class Pieces {
  #chunks: Buffer[] = [];
  #joined: Buffer[] = [];
  #count = 0;
  #bytes = 0;

  add(chunk: Buffer): void {
    this.#count += 1;
    this.#bytes += chunk.length;
    if (isTooFine(this.#count, this.#bytes)) {
      throw new AppError(
        'invalid_request',
        `The body arrives in too many pieces: send at least ${LEAST_PIECE_BYTES} bytes in each.`,
      );
    }
    this.#chunks.push(chunk);
    if (this.#chunks.length < JOINED_PIECES) return;
    this.#joined.push(Buffer.concat(this.#chunks));
    this.#chunks = [];
  }

  joined(): Buffer {
    const all = [...this.#joined, ...this.#chunks];
    return all.length === 1 ? all[0]! : Buffer.concat(all);
  }
}

function tooLarge(maxBytes: number): AppError {
  return new AppError('body_too_large', `The body must be at most ${maxBytes} bytes.`);
}

/** A caller that is told no still sends: its socket stays open that long, so that it can read why. */
const LINGER_MS = 2_000;

/**
 * After an answer that did not wait for the whole body: the rest is read and thrown away, or the caller would see its connection
 * reset instead of the answer. At most `maxBytes` more, or a short while where the caller said that more would come.
 */
export function discardRest(request: IncomingMessage, maxBytes: number): void {
  if (request.complete || request.destroyed) return;
  const { socket } = request;
  let bytes = 0;
  let pieces = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    pieces += 1;
    if (bytes > maxBytes || isTooFine(pieces, bytes)) socket.destroy();
  });
  request.on('error', () => socket.destroy());
  request.resume();
  if (Number(request.headers['content-length'] ?? 0) <= maxBytes) return;
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  request.once('close', () => clearTimeout(timer));
}

/** Fires once when the caller is gone before its answer ended. */
export function goneSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  if (response.destroyed) controller.abort();
  else {
    response.once('close', () => {
      if (!response.writableFinished) controller.abort();
    });
  }
  return controller.signal;
}
