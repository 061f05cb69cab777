/** A server at an address of choice, scripted request by request; it counts connections, also those that never ask for anything. */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

export interface Received {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export type Answering = (response: ServerResponse, request: Received) => unknown;

export interface Receiver extends AsyncDisposable {
  port: number;
  /** "http://127.0.0.1:4711". */
  origin: string;
  requests: Received[];
  connections(): number;
  /** Answers to the next requests, one each; afterwards the usual one. */
  next(...answers: Answering[]): void;
  usually(answer: Answering): void;
  /** Resolves when so many requests have arrived. */
  arrived(count: number): Promise<void>;
  close(): Promise<void>;
}

export interface ReceiverOptions {
  host?: string;
  port?: number;
  tls?: { key: string | Buffer; cert: string | Buffer };
}

export async function startReceiver(
  usual: Answering = status(204),
  { host = '127.0.0.1', port = 0, tls }: ReceiverOptions = {},
): Promise<Receiver> {
  const requests: Received[] = [];
  const script: Answering[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  let connections = 0;
  const serve = (incoming: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    incoming.on('error', () => {});
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming;
      const request = { method, path: url, headers, body: Buffer.concat(chunks) };
      requests.push(request);
      for (const waiter of waiting) if (requests.length >= waiter.count) waiter.resolve();
      void (script.shift() ?? usual)(response, request);
    });
  };
  const server = tls ? createTlsServer(tls, serve) : createServer(serve);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  const at = (server.address() as AddressInfo).port;
  const shown = host.includes(':') ? `[${host}]` : host;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  return {
    port: at,
    origin: `${tls ? 'https' : 'http'}://${shown}:${at}`,
    requests,
    connections: () => connections,
    next: (...answers) => script.push(...answers),
    usually: (answer) => {
      usual = answer;
    },
    arrived: (count) =>
      new Promise((resolve) => {
        if (requests.length >= count) resolve();
        else waiting.push({ count, resolve });
      }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

export function status(code: number, headers: Record<string, string> = {}): Answering {
  return (response) => {
    response.writeHead(code, headers);
    response.end();
  };
}

export function bytes(
  body: Buffer | string,
  headers: Record<string, string> = {},
  code = 200,
): Answering {
  return (response) => {
    response.writeHead(code, { 'content-length': String(Buffer.byteLength(body)), ...headers });
    response.end(body);
  };
}

/** Takes the request and says nothing. */
export const silent: Answering = () => {};

/** Sends without end until it is cut off; `sent` is told of every chunk. */
export function endless(code: number, sent: (bytes: number) => void = () => {}): Answering {
  return (response) => {
    response.writeHead(code, { 'content-type': 'text/plain' });
    const chunk = Buffer.alloc(16_384, 'x');
    const more = (): void => {
      if (response.destroyed) return;
      sent(chunk.length);
      if (response.write(chunk)) setImmediate(more);
      else response.once('drain', more);
    };
    more();
  };
}
