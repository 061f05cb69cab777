/** The HTTP server: limits of the edge, the steps that every request passes, and a bounded drain. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import Koa from 'koa';
import type { LimitsConfig, ServerConfig } from '../config/config.ts';
import type { Log } from '../log.ts';
import { cors } from './cors.ts';
import type { State } from './request.ts';
import { createRouter, methodNotAllowed, type RouterOptions } from './router.ts';
import { boundary } from './steps.ts';

export interface HttpOptions extends RouterOptions {
  server: ServerConfig;
  limits: LimitsConfig;
  log: Log;
}

export interface HttpServer {
  /** Answers the port. */
  listen(): Promise<number>;
  /** Takes no new connection; waits for answers under way, then ends what is left. */
  close(drainMs: number): Promise<void>;
}

const CHECK_MS = 1_000;
const KEEP_ALIVE_MS = 75_000;
const MAX_HEADERS = 100;

export function createHttpServer(options: HttpOptions): HttpServer {
  const app = new Koa<State>();
  app.silent = true;
  const router = createRouter(options);
  app.use(boundary(options.origins, options.log));
  app.use(cors(options.server.corsOrigins));
  app.use(methodNotAllowed(router));
  app.use(router.routes());
  const { limits } = options;
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_MS,
      requireHostHeader: true,
      joinDuplicateHeaders: false,
    },
    app.callback(),
  );
  server.maxConnections = limits.connections;
  server.maxHeadersCount = MAX_HEADERS;
  return {
    listen: () => listen(server, options.server),
    close: (drainMs) => drain(server, drainMs),
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

async function drain(server: Server, drainMs: number): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), drainMs);
  await closed;
  clearTimeout(timer);
}
