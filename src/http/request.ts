/** What the steps of a route know about a request. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type Koa from 'koa';
import type { Principal } from '../auth/principal.ts';
import type { Deposited } from '../payments/payments.ts';
import { AppError } from '../errors.ts';
import type { Dialect } from './errors.ts';

export interface State {
  requestId: string;
  dialect: Dialect;
  /** The configured origin that the client dialled; the first one when it says something else. */
  origin: string;
  principal: Principal | null;
  /** The payment that came with the request and was credited before it ran. */
  deposited: Deposited | null;
}

export type Context = Koa.ParameterizedContext<State>;
export type Next = Koa.Next;

/**
 * Reads a body whole. A body over `maxBytes` is refused early; with `isPrefixEnough` the first bytes are answered instead.
 */
export async function readBody(
  request: IncomingMessage,
  maxBytes: number,
  isPrefixEnough = false,
): Promise<Buffer> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > maxBytes && !isPrefixEnough) throw tooLarge(maxBytes);
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    const finish = () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size));
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) {
        request.pause();
        request.removeAllListeners('data');
        if (!isPrefixEnough) return reject(tooLarge(maxBytes));
        chunks.push(chunk.subarray(0, chunk.length - (size - maxBytes)));
        size = maxBytes;
        return finish();
      }
      return chunks.push(chunk);
    });
    request.on('end', finish);
    const leave = () => {
      if (request.complete) return;
      reject(new AppError('client_closed', 'The caller left while it sent its request.'));
    };
    request.on('close', leave);
    request.on('error', leave);
  });
}

function tooLarge(maxBytes: number): AppError {
  return new AppError('body_too_large', `The body must be at most ${maxBytes} bytes.`);
}

/** Fires once when the caller is gone before its answer ended. */
export function goneSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}
