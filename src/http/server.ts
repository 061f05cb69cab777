/** The HTTP server: limits of the edge, the steps that every request passes, and a bounded drain. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import Koa from 'koa';
import type { LimitsConfig, ServerConfig } from '../config/config.ts';
import { AppError, type ErrorCode } from '../errors.ts';
import { newId } from '../ids.ts';
import { ipRanges } from '../ip-ranges.ts';
import type { Log } from '../log.ts';
import { cors } from './cors.ts';
import { errorAnswer } from './errors.ts';
import { inTurn, type Step } from './in-turn.ts';
import type { State } from './request.ts';
import {
  createRouter,
  methodNotAllowed,
  straight,
  type RouteEntry,
  type RouterOptions,
} from './router.ts';
import { boundary } from './steps.ts';
import { withSpans } from './traced.ts';

export interface HttpOptions extends RouterOptions {
  server: ServerConfig;
  /** Whose requests are answered at all; everybody's where it is left out. */
  admits?: ((request: IncomingMessage) => boolean) | undefined;
}

export interface HttpServer {
  /** Every route, with who may call it. */
  routes: readonly RouteEntry[];
  pages: readonly Pick<RouteEntry, 'method' | 'path'>[];
  /** Answers the port. */
  listen(): Promise<number>;
  /**
   * Takes no new connection and waits for answers under way and for work whose caller has left; after `drainMs` it ends the
   * connections that are left, and waits until what they used is charged.
   */
  close(drainMs: number): Promise<void>;
}

/** How often Node looks for connections that take too long to send; its own default of 30 s would be no limit. */
const CHECK_MS = 1_000;
const KEEP_ALIVE_MS = 75_000;
const DRAIN_LOOK_MS = 50;
/** How long what was cut off may take to be charged. */
const SETTLE_MS = 1_000;
const DROP_LOG_MS = 10_000;

export function createHttpServer(options: HttpOptions): HttpServer {
  const { limits, log } = options;
  const work = { running: 0 };
  const app = new Koa<State>();
  const { router, table, pages, shops } = createRouter(options);
  const steps = withSpans(
    inTurn([
      boundary(options),
      cors(options.server.corsOrigins),
      straight(shops),
      methodNotAllowed(router),
      router.routes() as Step,
    ]),
  );
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    work.running += 1;
    try {
      await steps(app.createContext(request, response), ended);
    } catch (error) {
      log.error('request_failed', { error });
      response.destroy();
    } finally {
      work.running -= 1;
    }
  };
  const answers = new WeakMap<Socket, ServerResponse>();
  const unused = new Set<Socket>();
  const server = createServer(edgeOf(limits), (request, response) => {
    answers.set(request.socket, response);
    unused.delete(request.socket);
    if (options.admits?.(request) === false) request.socket.destroy();
    else void serve(request, response);
  });
  server.on('connection', (socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  server.maxConnections = limits.connections;
  server.on('clientError', (error, socket) => {
    refuseBytes(error, socket as Socket, answers.get(socket as Socket));
  });
  const dropped = dropLogger(log);
  server.on('drop', dropped);
  limitAddresses(server, options, dropped);
  return {
    routes: table,
    pages,
    listen: () => listen(server, options.server),
    close: (drainMs) => drain(server, { work, unused }, drainMs),
  };
}

const ended = (): Promise<void> => Promise.resolve();

function edgeOf(limits: LimitsConfig) {
  return {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: CHECK_MS,
    requireHostHeader: true,
    joinDuplicateHeaders: false,
  };
}

/**
 * What Node's parser refuses never becomes a request; it is answered all the same, and its connection ends. `last`: the answer that
 * was begun on the connection before; nothing is written into the middle of one.
 */
function refuseBytes(
  error: NodeJS.ErrnoException,
  socket: Socket,
  last: ServerResponse | undefined,
): void {
  const isAnswering = last?.headersSent && !(last.writableFinished && last.req.complete);
  if (error.code === 'ECONNRESET' || !socket.writable || isAnswering) {
    socket.destroy();
    return;
  }
  const [code, message] = edgeError(error.code);
  const requestId = newId('req');
  const { status, body } = errorAnswer(new AppError(code, message), 'v1', requestId);
  const text = JSON.stringify(body);
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `X-Request-Id: ${requestId}\r\nCache-Control: no-store\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    () => socket.destroy(),
  );
}

function edgeError(code: string | undefined): [ErrorCode, string] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return ['headers_too_large', 'The headers are too large.'];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['request_timeout', 'The request took too long to arrive.'];
    default:
      return ['invalid_request', 'This is no valid HTTP request.'];
  }
}

/** Connections of one address at once; proxies speak for many. */
function limitAddresses(
  server: Server,
  { limits, server: { trustedProxies } }: Pick<HttpOptions, 'limits' | 'server'>,
  dropped: () => void,
): void {
  const most = limits.connectionsPerAddress;
  if (most === Number.MAX_SAFE_INTEGER) return;
  const isProxy = ipRanges(trustedProxies);
  const open = new Map<string, number>();
  server.on('connection', (socket) => {
    const address = socket.remoteAddress ?? '';
    if (isProxy(address)) return;
    const count = (open.get(address) ?? 0) + 1;
    if (count > most) {
      dropped();
      socket.destroy();
      return;
    }
    open.set(address, count);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left) open.set(address, left);
      else open.delete(address);
    });
  });
}

/** Says at most every ten seconds that connections are turned away. */
function dropLogger(log: Log): () => void {
  let saidAt = -Infinity;
  let count = 0;
  return () => {
    count += 1;
    if (performance.now() - saidAt < DROP_LOG_MS) return;
    log.warn('connections_dropped', { count });
    saidAt = performance.now();
    count = 0;
  };
}

async function listen(server: Server, { port, host }: ServerConfig): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

interface UnderWay {
  work: { running: number };
  /** Connections that nothing was asked over yet: browsers and clients open some in advance, and Node does not call them idle. */
  unused: ReadonlySet<Socket>;
}

async function drain(server: Server, { work, unused }: UnderWay, drainMs: number): Promise<void> {
  if (!server.listening) return;
  let isClosed = false;
  server.close(() => {
    isClosed = true;
  });
  const deadline = performance.now() + drainMs;
  while (!(isClosed && work.running === 0) && performance.now() < deadline) {
    // A connection that has just answered would otherwise be kept for its next request.
    server.closeIdleConnections();
    await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
    for (const socket of unused) socket.destroy();
  }
  server.closeAllConnections();
  // What was cut off is charged before anything that this needs is closed.
  const settled = performance.now() + SETTLE_MS;
  while (work.running > 0 && performance.now() < settled) {
    await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
  }
}
