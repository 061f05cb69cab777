/** The HTTP server: its listeners, limits of the edge, and a bounded drain. What answers is in front.ts and is exchanged by a reload. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Config, LimitsConfig } from '../config/config.ts';
import { AppError, type ErrorCode } from '../errors.ts';
import { newId } from '../ids.ts';
import { ipRanges } from '../ip-ranges.ts';
import type { Log } from '../log.ts';
import type { Door } from './doors.ts';
import { errorAnswer } from './errors.ts';
import type { Front } from './front.ts';

export interface HttpOptions {
  /** Read at the beginning and by `adjust`. */
  config: Pick<Config, 'limits' | 'server'>;
  log: Log;
  /** Whose requests are answered at all; everybody's where it is left out. */
  admits?: ((request: IncomingMessage) => boolean) | undefined;
}

export interface HttpServer {
  /** What answers from now on; requests under way end where they began. Once before `listen`. */
  use(front: Front): void;
  /** Takes the limits of the edge as they are now. */
  adjust(): void;
  /** `admin`: of the operator's own listener; null without one. */
  listen(): Promise<{ port: number; admin: number | null }>;
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

/** One address and port, and what is under way there. */
interface Listener extends UnderWay {
  server: Server;
  adjust(): void;
}

export function createHttpServer(options: HttpOptions): HttpServer {
  const { config, log } = options;
  const work = { running: 0 };
  let front: Front | null = null;
  const answer = async (request: IncomingMessage, response: ServerResponse, door: Door) => {
    work.running += 1;
    try {
      await front?.answer(request, response, door);
    } catch (error) {
      log.error('request_failed', { error });
      response.destroy();
    } finally {
      work.running -= 1;
    }
  };
  const isOwn = config.server.adminListen !== null;
  const everybodys = createListener(options, work, (...call) => answer(...call, 'public'));
  const operators = isOwn
    ? createListener(options, work, (...call) => answer(...call, 'admin'))
    : null;
  const all = operators ? [everybodys, operators] : [everybodys];
  return {
    use: (next) => {
      front = next;
    },
    adjust: () => {
      for (const { adjust } of all) adjust();
    },
    listen: async () => {
      const { server } = config;
      const port = await listen(everybodys.server, server);
      const { adminListen } = server;
      const admin = operators && adminListen ? await listen(operators.server, adminListen) : null;
      return { port, admin };
    },
    close: async (drainMs) => {
      await Promise.all(all.map((one) => drain(one.server, one, drainMs)));
    },
  };
}

function createListener(
  { config, log, admits }: HttpOptions,
  work: UnderWay['work'],
  answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Listener {
  const answers = new WeakMap<Socket, ServerResponse>();
  const unused = new Set<Socket>();
  const server = createServer(edgeOf(config.limits), (request, response) => {
    answers.set(request.socket, response);
    unused.delete(request.socket);
    if (admits?.(request) === false) request.socket.destroy();
    else void answer(request, response);
  });
  server.on('connection', (socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  server.on('clientError', (error, socket) => {
    refuseBytes(error, socket as Socket, answers.get(socket as Socket));
  });
  const dropped = dropLogger(log);
  server.on('drop', dropped);
  const adjustAddresses = limitAddresses(server, config, dropped);
  const adjust = () => {
    Object.assign(server, timesOf(config.limits));
    server.maxConnections = config.limits.connections;
    adjustAddresses();
  };
  adjust();
  return { server, work, unused, adjust };
}

/** Node reads these for each connection anew. */
function timesOf(limits: LimitsConfig) {
  return {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
  };
}

function edgeOf(limits: LimitsConfig) {
  return {
    ...timesOf(limits),
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

/** Connections of one address at once; proxies speak for many. What it answers takes the settings as they are then. */
function limitAddresses(
  server: Server,
  config: Pick<Config, 'limits' | 'server'>,
  dropped: () => void,
): () => void {
  let isProxy: (ip: string) => boolean = () => false;
  const open = new Map<string, number>();
  server.on('connection', (socket) => {
    const address = socket.remoteAddress ?? '';
    if (isProxy(address)) return;
    const count = (open.get(address) ?? 0) + 1;
    if (count > config.limits.connectionsPerAddress) {
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
  return () => {
    isProxy = ipRanges(config.server.trustedProxies);
  };
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

const NO_LISTENING: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use: stop what listens there, or set another port (0 takes a free one)',
  EACCES: 'is not for this user: set a port of 1024 or above',
  EADDRNOTAVAIL: 'is no address of this machine: set one that it has (0.0.0.0 is all of them)',
};

async function listen(
  server: Server,
  { port, host }: { port: number; host: string },
): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    const refused = (cause: NodeJS.ErrnoException) => {
      const why = NO_LISTENING[cause.code ?? ''];
      const text = `${host}:${port} ${why} (${cause.code}).`;
      reject(why === undefined ? cause : new Error(text, { cause }));
    };
    server.once('error', refused);
    server.listen(port, host, () => {
      server.off('error', refused);
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
