/** `MediaHttp` over one connection pool a channel, bounded in connections, time and bytes. It follows no redirect: the key would go with it. */
import { type Dispatcher, errors, Pool } from 'undici';
import type { ChannelConfig } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import type { Fields, MediaAnswer, MediaHttp, MediaRequest } from '../media.ts';
import { withChannelHeaders } from '../channel-edits.ts';
import { redact } from '../redact.ts';
import { retryAfter } from '../retry-after.ts';
import { encodeBody } from './multipart.ts';
import { isFields } from './read.ts';
import { withTrace } from '../../traces/trace.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** Refused by who guards the door: nothing was begun. */
const NOT_BEGUN = new Set([401, 402, 403, 407, 503, 529]);
const SLOW = new Set([408, 504]);

export interface MediaHttpOptions {
  maxBytes: number;
  nowMs(): number;
}

export class MediaCalls {
  readonly #options: MediaHttpOptions;
  readonly #byChannel = new Map<ChannelConfig, Pool>();
  /** With those that are closing. */
  readonly #pools = new Set<Pool>();

  constructor(options: MediaHttpOptions) {
    this.#options = options;
  }

  /** `signal` ends what is under way; `over`: whose connections are used, where a request is written with another's key. */
  to(channel: ChannelConfig, signal?: AbortSignal, over = channel): MediaHttp {
    const secrets = secretsOf(channel);
    return {
      request: (request) => this.#request(channel, request, { signal, over }),
      clean: (text) => redact(text, secrets),
      nowMs: () => this.#options.nowMs(),
    };
  }

  /** After a reload: connections to other channels than these close when what is under way on them has ended. */
  retain(channels: readonly ChannelConfig[]): void {
    const current = new Set(channels);
    for (const [channel, pool] of this.#byChannel) {
      if (current.has(channel)) continue;
      this.#byChannel.delete(channel);
      void pool
        .close()
        .catch(() => pool.destroy())
        .finally(() => this.#pools.delete(pool));
    }
  }

  /** Ends every pool; running calls fail. */
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#pools, (pool) => pool.destroy()));
  }

  async #request(
    channel: ChannelConfig,
    request: MediaRequest,
    { signal, over }: { signal: AbortSignal | undefined; over: ChannelConfig },
  ): Promise<MediaAnswer> {
    const url = targetOf(channel, request.to);
    const body = request.body && encodeBody(request.body);
    const { firstByteMs, idleMs, totalMs } = channel.timeout;
    const exchange = new Exchange(this.#options.maxBytes);
    const stop = exchange.stopAt(totalMs, signal);
    try {
      this.#pool(over).dispatch(
        {
          method: request.method ?? (body ? 'POST' : 'GET'),
          path: `${url.pathname}${url.search}`,
          headers: withTrace(headersOf(channel, request, body?.contentType)),
          body: body?.bytes ?? null,
          headersTimeout: request.isSlow ? totalMs : firstByteMs,
          bodyTimeout: idleMs,
        },
        exchange,
      );
      return this.#answer(await exchange.done, request, channel);
    } finally {
      stop();
    }
  }

  #answer(
    raw: RawAnswer,
    { accept = [] }: MediaRequest,
    { statusMap }: ChannelConfig,
  ): MediaAnswer {
    const { status, headers } = raw;
    const verdict = statusMap[status];
    if (verdict === undefined && accept.includes(status)) return answerOf(raw);
    if (status >= 200 && status < 300) return answerOf(raw);
    if (verdict === 'refused') return answerOf(raw);
    if (verdict === 'sick') throw failed('upstream_failed', 'failed to answer', true, status);
    if (status === 429 || verdict === 'busy') {
      throw new AppError('upstream_busy', 'The model is busy. Try again shortly.', {
        retryAfterSeconds: retryAfter(headers['retry-after'], this.#options.nowMs()),
      });
    }
    if (SLOW.has(status)) throw failed('upstream_timeout', 'did not answer in time', true, status);
    if (NOT_BEGUN.has(status)) throw failed('upstream_failed', 'refused us', false, status);
    if (status >= 400 && status < 500) return answerOf(raw);
    throw failed('upstream_failed', 'failed to answer', true, status);
  }

  #pool(channel: ChannelConfig): Pool {
    let pool = this.#byChannel.get(channel);
    if (!pool) {
      pool = new Pool(new URL(channel.baseUrl).origin, {
        connections: channel.concurrency,
        pipelining: 1,
        allowH2: false,
        connect: { timeout: CONNECT_TIMEOUT_MS },
      });
      this.#pools.add(pool);
      this.#byChannel.set(channel, pool);
    }
    return pool;
  }
}

/** The channel's key, and whatever else is secret in what it sends. */
function secretsOf({ apiKey, headers }: ChannelConfig): string[] {
  const own = Object.values(headers).filter((value) => value.length >= 8);
  return apiKey === null ? own : [apiKey, ...own];
}

/** Throws where an upstream names another host: the channel's key goes to its own only. */
function targetOf({ baseUrl }: ChannelConfig, to: string): URL {
  const base = new URL(baseUrl);
  const url = to.startsWith('/') ? new URL(`${baseUrl.replace(/\/$/, '')}${to}`) : parsed(to);
  if (url?.origin === base.origin && !url.username && !url.password) return url;
  throw failed('upstream_failed', 'named another host than its own', true);
}

function parsed(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

function headersOf(
  channel: ChannelConfig,
  { headers, auth }: MediaRequest,
  contentType: string | undefined,
): Record<string, string> {
  const bearer = channel.apiKey === null ? {} : { authorization: `Bearer ${channel.apiKey}` };
  const all: Record<string, string> = {
    accept: '*/*',
    // A few hundred compressed bytes can unpack to hundreds of megabytes.
    'accept-encoding': 'identity',
    'user-agent': 'farebox',
    ...(auth ?? bearer),
    ...headers,
    ...(contentType !== undefined && { 'content-type': contentType }),
  };
  return withChannelHeaders(all, channel);
}

interface RawAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

function answerOf({ status, headers, body }: RawAnswer): MediaAnswer {
  const given = headers['content-type'];
  const contentType = (Array.isArray(given) ? given[0] : given) ?? '';
  return {
    status,
    headers,
    body,
    contentType: contentType.split(';', 1)[0]!.trim().toLowerCase(),
    json: () => jsonOf(body),
  };
}

function jsonOf(body: Buffer): Fields {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    if (isFields(value)) return value;
  } catch {
    // Told below.
  }
  throw failed('upstream_failed', 'answered what is no JSON object', true);
}

/** Collects one answer. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly done: Promise<RawAnswer>;
  readonly #settle = Promise.withResolvers<RawAnswer>();
  readonly #maxBytes: number;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #status = 0;
  #headers: RawAnswer['headers'] = {};
  #isSent = false;
  #controller: Dispatcher.DispatchController | null = null;
  #aborted: AppError | null = null;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.done = this.#settle.promise;
  }

  /** Answers what takes both ends back. */
  stopAt(totalMs: number, signal: AbortSignal | undefined): () => void {
    const late = () => this.#abort('upstream_timeout', `did not finish within ${totalMs} ms`);
    const called = () => this.#abort('unavailable', 'was not waited for any longer');
    const timer = setTimeout(late, totalMs);
    signal?.addEventListener('abort', called, { once: true });
    if (signal?.aborted) called();
    return () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', called);
    };
  }

  #abort(code: 'upstream_timeout' | 'upstream_failed' | 'unavailable', what: string): void {
    if (this.#aborted) return;
    this.#aborted = failed(code, what, this.#isSent);
    this.#controller?.abort(this.#aborted);
    this.#settle.reject(this.#aborted);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted) return controller.abort(this.#aborted);
    // From here on it may have been written.
    this.#isSent = true;
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: RawAnswer['headers'],
  ): void {
    if (status < 200) return;
    const encoding = headers['content-encoding'] ?? '';
    if (encoding !== '' && encoding !== 'identity') {
      this.#abort('upstream_failed', 'compressed its answer, unasked');
      return;
    }
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes <= this.#maxBytes) this.#chunks.push(chunk);
    else this.#abort('upstream_failed', `sent more than ${this.#maxBytes} bytes`);
  }

  onResponseEnd(): void {
    const body = Buffer.concat(this.#chunks);
    this.#settle.resolve({ status: this.#status, headers: this.#headers, body });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#settle.reject(this.#aborted ?? this.#failure(error));
  }

  #failure(error: Error): AppError {
    const isSlow =
      error instanceof errors.HeadersTimeoutError ||
      error instanceof errors.BodyTimeoutError ||
      error instanceof errors.ConnectTimeoutError;
    return isSlow
      ? failed('upstream_timeout', 'did not answer in time', this.#isSent)
      : failed('upstream_failed', 'could not be reached or broke off', this.#isSent);
  }
}

function failed(
  code: 'upstream_timeout' | 'upstream_failed' | 'unavailable',
  what: string,
  isSent: boolean,
  status?: number,
): AppError {
  return new AppError(code, `The upstream ${what}.`, {
    details: { isSent, ...(status !== undefined && { status }) },
  });
}
