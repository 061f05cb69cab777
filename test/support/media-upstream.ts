/** A media upstream that answers as it is told, request by request: a real server. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ChannelConfig } from '../../src/config/config.ts';
import type { Order } from '../../src/orders/order.ts';
import { MediaCalls } from '../../src/providers/media/http.ts';
import { findMediaProvider } from '../../src/providers/media/index.ts';
import type { MediaJob } from '../../src/providers/media.ts';

export interface Recorded {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  json: Record<string, unknown>;
}

export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  json?: unknown;
  bytes?: Buffer;
  /** Instead of an answer. */
  act?: (response: ServerResponse) => void;
}

export interface MediaUpstream extends AsyncDisposable {
  url: string;
  requests: Recorded[];
  /** Answers of the next requests, one each; afterwards 500. */
  next(...answers: Answer[]): void;
  /** Takes the script back. */
  forget(): void;
  /** For what is not scripted. */
  otherwise(handler: (request: Recorded) => Answer): void;
}

export async function startMediaUpstream(): Promise<MediaUpstream> {
  const requests: Recorded[] = [];
  const script: Answer[] = [];
  let handler: (request: Recorded) => Answer = () => ({
    status: 500,
    json: { error: 'no script' },
  });
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('error', () => {});
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = Buffer.concat(chunks);
      const { method = '', url = '', headers } = incoming;
      const request = { method, path: url, headers, body, json: jsonOf(body) };
      requests.push(request);
      give(script.shift() ?? handler(request), response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    next: (...answers) => void script.push(...answers),
    forget: () => void script.splice(0),
    otherwise: (next) => void (handler = next),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function give(
  { status = 200, headers = {}, json, bytes, act }: Answer,
  response: ServerResponse,
): void {
  if (act) return act(response);
  const body = bytes ?? Buffer.from(json === undefined ? '' : JSON.stringify(json));
  response.writeHead(status, {
    ...(json !== undefined && { 'content-type': 'application/json' }),
    ...headers,
  });
  response.end(body);
}

function jsonOf(body: Buffer): Record<string, unknown> {
  try {
    return JSON.parse(body.toString()) as Record<string, unknown>;
  } catch {
    return {};
  }
}

export const CHANNEL_KEY = 'secret-upstream-key-1234567890';

export function mediaChannel(baseUrl: string, more: Partial<ChannelConfig> = {}): ChannelConfig {
  return {
    id: 'media',
    provider: 'openai',
    baseUrl,
    apiKey: CHANNEL_KEY,
    headers: {},
    removeHeaders: [],
    params: { set: {}, remove: [] },
    group: 'default',
    priority: 0,
    weight: 1,
    concurrency: 8,
    queue: { size: 8, waitMs: 1_000 },
    retryOn: null,
    statusMap: {},
    timeout: { firstByteMs: 2_000, idleMs: 2_000, totalMs: 4_000 },
    onDisconnect: 'abort',
    outputLimitField: 'max_tokens',
    responses: false,
    streamOptions: true,
    reportedCost: null,
    dialect: 'openai',
    vendor: null,
    ...more,
  };
}

export function mediaOrder(asked: Order['asked'] = {}, units: Order['units'] = {}): Order {
  return { units, circumstances: {}, asked, assumed: {} };
}

/** A provider at work on one job over its channel. */
export function atWork(
  provider: string,
  given: Pick<MediaJob, 'type' | 'upstreamModel'> &
    Partial<Pick<MediaJob, 'fields' | 'order' | 'taskId'>> & { channel: ChannelConfig },
) {
  const job: MediaJob = {
    taskId: 'task_0123456789',
    fields: { prompt: 'A red fox.' },
    order: mediaOrder(),
    ...given,
  };
  const calls = new MediaCalls({ maxBytes: 4 * 1024 * 1024, nowMs: () => 1_700_000_000_000 });
  const http = calls.to(given.channel);
  const found = findMediaProvider(provider, job.type);
  return {
    job,
    provider: found,
    start: () => found.start(job, http),
    poll: (ref: Parameters<NonNullable<typeof found.poll>>[0]) => found.poll!(ref, job, http),
    cancel: (ref: Parameters<NonNullable<typeof found.poll>>[0]) => found.cancel!(ref, job, http),
    [Symbol.asyncDispose]: () => calls.close(),
  };
}
