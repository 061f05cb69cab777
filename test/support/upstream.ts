/** An upstream that answers as it is told: a real server, scripted request by request, that behaves and misbehaves. */
import {
  createServer,
  type IncomingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, gzipSync } from 'node:zlib';

export interface RecordedRequest {
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  json: Record<string, unknown>;
  /** Resolves when the connection of this request is closed, with whether the answer was complete by then. */
  closed: Promise<boolean>;
}

export type Behaviour = (response: ServerResponse, request: RecordedRequest) => unknown;

export interface TestUpstream extends AsyncDisposable {
  url: string;
  requests: RecordedRequest[];
  /** Behaviours for the next requests, one each; afterwards the usual one. */
  next(...behaviours: Behaviour[]): void;
  usually(behaviour: Behaviour): void;
  /** Resolves when this many requests have arrived. */
  arrived(count: number): Promise<void>;
  close(): Promise<void>;
}

export async function startUpstream(usual: Behaviour = whole()): Promise<TestUpstream> {
  const requests: RecordedRequest[] = [];
  const script: Behaviour[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const server: Server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('error', () => {});
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = Buffer.concat(chunks);
      const closed = new Promise<boolean>((resolve) =>
        response.once('close', () => resolve(response.writableFinished)),
      );
      const request: RecordedRequest = {
        path: incoming.url ?? '',
        headers: incoming.headers,
        body,
        json: parsed(body),
        closed,
      };
      requests.push(request);
      for (const waiter of waiting) if (requests.length >= waiter.count) waiter.resolve();
      void (script.shift() ?? usual)(response, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    next: (...behaviours) => script.push(...behaviours),
    usually: (behaviour) => {
      usual = behaviour;
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

/** Of a form there is none. */
function parsed(body: Buffer): Record<string, unknown> {
  try {
    return JSON.parse(body.toString()) as Record<string, unknown>;
  } catch {
    return {};
  }
}

export const USAGE = { prompt_tokens: 20, completion_tokens: 5, total_tokens: 25 };

/** A whole answer; `usage: null` leaves it out, anything else is sent as it is. */
export function whole(
  options: { text?: string; usage?: unknown; more?: object; choice?: object } = {},
): Behaviour {
  return (response) => sendJson(response, 200, wholeBody(options));
}

export function wholeBody({
  text = 'Hello there.',
  usage = USAGE as unknown,
  more = {},
  choice = {},
} = {}): object {
  const message = { role: 'assistant', content: text, refusal: null };
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'up-1',
    choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop', ...choice }],
    ...(usage === null ? {} : { usage }),
    ...more,
  };
}

export function json(
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): Behaviour {
  return (response) => sendJson(response, status, body, headers);
}

export function raw(status: number, contentType: string, body: string | Buffer): Behaviour {
  return (response) => {
    response.writeHead(status, { 'content-type': contentType });
    response.end(body);
  };
}

function sendJson(response: ServerResponse, status: number, body: unknown, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

/** One chunk of a chat stream, as a line of SSE. */
export function event(
  delta: object,
  more: { finish?: string | null; usage?: unknown } = {},
): string {
  const choice = { index: 0, delta, logprobs: null, finish_reason: more.finish ?? null };
  return line({ choices: [choice], ...('usage' in more && { usage: more.usage }) });
}

export function line(body: object): string {
  const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'up-1' };
  return `data: ${JSON.stringify({ ...head, ...body })}\n\n`;
}

export function usageEvent(usage: unknown = USAGE): string {
  return line({ choices: [], usage });
}

export const ROLE = event({ role: 'assistant', content: '' });
export const STOP = event({}, { finish: 'stop' });
export const DONE = 'data: [DONE]\n\n';

export function words(count: number, usage?: unknown): string[] {
  return Array.from({ length: count }, (_, index) =>
    event({ content: ` word${index}` }, usage === undefined ? {} : { usage }),
  );
}

/** Sends the pieces one by one and ends, or does what `ending` says. */
export function stream(pieces: (string | Buffer)[], ending: Ending = 'end'): Behaviour {
  return async (response, request) => {
    startStream(response);
    for (const piece of pieces) await write(response, piece);
    await finish(response, request, ending);
  };
}

/** end: as it should; cut: the connection breaks; hang: nothing more comes. */
export type Ending = 'end' | 'cut' | 'hang';

async function finish(
  response: ServerResponse,
  request: RecordedRequest,
  ending: Ending,
): Promise<void> {
  if (ending === 'end') response.end();
  else if (ending === 'cut') response.destroy();
  else await request.closed;
}

export function startStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  response.flushHeaders();
}

/** Writes and lets the bytes leave before the next ones. */
export async function write(response: ServerResponse, piece: string | Buffer): Promise<void> {
  if (response.destroyed) return;
  await new Promise<void>((resolve) => response.write(piece, () => setImmediate(resolve)));
}

/** A good stream of three words. */
export function goodStream(usage: unknown = USAGE): Behaviour {
  return stream([ROLE, ...words(3), STOP, usageEvent(usage), DONE]);
}

/** Like the one given, but only when the gate is opened. */
export function gated(behaviour: Behaviour): { behaviour: Behaviour; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    behaviour: async (response, request) => {
      await opened;
      await behaviour(response, request);
    },
    open,
  };
}

export function hang(): Behaviour {
  return (_response, request) => request.closed;
}

export function reset(): Behaviour {
  return (response) => response.socket?.resetAndDestroy();
}

/** Sends `piece` over and over until the connection is closed. */
export function drip(contentType: string, piece: string | Buffer, everyMs: number): Behaviour {
  return async (response) => {
    response.writeHead(200, { 'content-type': contentType });
    response.flushHeaders();
    while (!response.destroyed) {
      await write(response, piece);
      if (everyMs) await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  };
}

/** A few hundred bytes that unpack to `megabytes`. */
export function bomb(encoding: 'gzip' | 'br', megabytes: number): Behaviour {
  const zeros = Buffer.alloc(megabytes * 1024 * 1024);
  const packed = encoding === 'gzip' ? gzipSync(zeros) : brotliCompressSync(zeros);
  return (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding });
    response.end(packed);
  };
}

export function redirect(location: string): Behaviour {
  return (response) => {
    response.writeHead(302, { location });
    response.end();
  };
}

/** Says the key that it was called with, in its headers and its body. */
export function echoKey(status: number): Behaviour {
  return (response, request) => {
    const key = String(request.headers.authorization).replace('Bearer ', '');
    const body =
      status === 200
        ? wholeBody({ text: `your key is ${key}` })
        : { error: { message: `Incorrect API key provided: ${key}` } };
    sendJson(response, status, body, { 'x-echo': key, 'set-cookie': `key=${key}` });
  };
}
