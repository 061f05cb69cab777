/**
 * The way to the servers at the far end: one connection pool a channel, bounded in connections, waiting requests, time and bytes.
 * It follows no redirect (the channel's key would go with it) and asks for no compression.
 */
import { errors, Pool } from 'undici';
import type { Dispatcher } from 'undici';
import type { ChannelConfig, LimitsConfig } from './config/config.ts';
import { AppError } from './errors.ts';
import type { UpstreamRequest } from './providers/provider.ts';

/** Requests that may wait for a connection of one channel. */
const MAX_WAITING = 1_024;
const CONNECT_TIMEOUT_MS = 10_000;
const RETRY_AFTER_SECONDS = 1;

export type UpstreamHeaders = Record<string, string | string[] | undefined>;

/** What becomes of one upstream call, in this order: begun, head, data…, then exactly one of end and fail. */
export interface UpstreamSink {
  /** The request is about to be written: from here on it may cost the operator money. False calls it off. */
  begun(): boolean;
  head(status: number, headers: UpstreamHeaders): void;
  data(chunk: Buffer): void;
  end(): void;
  /** upstream_failed, upstream_timeout, or the error given to `abort`. */
  fail(error: AppError): void;
}

export interface UpstreamCall {
  /** No more data until `resume`, but for what is under way. */
  pause(): void;
  resume(): void;
  /** Ends the call; `sink.fail` is told this error unless it is over. */
  abort(error: AppError): void;
}

interface Channel {
  pool: Pool;
  waiting: number;
}

export class Upstream {
  readonly #limits: Pick<LimitsConfig, 'upstreamBodyBytes'>;
  readonly #channels = new WeakMap<ChannelConfig, Channel>();
  readonly #pools = new Set<Pool>();

  constructor(limits: Pick<LimitsConfig, 'upstreamBodyBytes'>) {
    this.#limits = limits;
  }

  /** Throws no_channel, before anything is sent, where too many requests wait already. */
  send(channel: ChannelConfig, request: UpstreamRequest, sink: UpstreamSink): UpstreamCall {
    const entry = this.#channel(channel);
    if (entry.waiting >= channel.concurrency + MAX_WAITING) {
      throw new AppError(
        'no_channel',
        'Every connection to this model is busy. Try again shortly.',
        {
          retryAfterSeconds: RETRY_AFTER_SECONDS,
        },
      );
    }
    entry.waiting++;
    const exchange = new Exchange(channel, this.#limits.upstreamBodyBytes, sink, () => {
      entry.waiting--;
    });
    entry.pool.dispatch(
      {
        method: 'POST',
        path: request.path,
        headers: request.headers,
        body: request.body,
        headersTimeout: channel.timeout.firstByteMs,
        bodyTimeout: channel.timeout.idleMs,
      },
      exchange,
    );
    return exchange;
  }

  /** Ends every pool; running calls fail. */
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#pools, (pool) => pool.destroy()));
  }

  #channel(config: ChannelConfig): Channel {
    let channel = this.#channels.get(config);
    if (!channel) {
      const pool = new Pool(new URL(config.baseUrl).origin, {
        connections: config.concurrency,
        pipelining: 1,
        allowH2: false,
        connect: { timeout: CONNECT_TIMEOUT_MS },
      });
      this.#pools.add(pool);
      channel = { pool, waiting: 0 };
      this.#channels.set(config, channel);
    }
    return channel;
  }
}

class Exchange implements Dispatcher.DispatchHandler, UpstreamCall {
  readonly #sink: UpstreamSink;
  readonly #release: () => void;
  readonly #maxBytes: number;
  readonly #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | null = null;
  #aborted: AppError | null = null;
  #isOver = false;
  #bytes = 0;

  constructor(channel: ChannelConfig, maxBytes: number, sink: UpstreamSink, release: () => void) {
    this.#sink = sink;
    this.#maxBytes = maxBytes;
    this.#release = release;
    const { totalMs } = channel.timeout;
    this.#timer = setTimeout(
      () => this.abort(tooSlow(`did not finish within ${totalMs} ms`)),
      totalMs,
    );
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  abort(error: AppError): void {
    if (this.#isOver || this.#aborted) return;
    this.#aborted = error;
    if (this.#controller) this.#controller.abort(error);
    // A request that still waits for a connection is called off when its turn comes; nobody needs to wait for that.
    else this.#fail(error);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted) controller.abort(this.#aborted);
    else if (!this.#sink.begun()) {
      controller.abort((this.#aborted = new AppError('client_closed', 'The caller left.')));
    }
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: UpstreamHeaders,
  ): void {
    // Informational answers come before the real one.
    if (status < 200 || this.#isOver) return;
    const encoding = headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity' && encoding !== '') {
      this.abort(new AppError('upstream_failed', 'The upstream compressed its answer, unasked.'));
      return;
    }
    this.#sink.head(status, headers);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver || this.#aborted) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) {
      this.abort(
        new AppError('upstream_failed', `The upstream sent more than ${this.#maxBytes} bytes.`),
      );
      return;
    }
    this.#sink.data(chunk);
  }

  onResponseEnd(): void {
    if (this.#over()) this.#sink.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(this.#aborted ?? failure(error));
  }

  #fail(error: AppError): void {
    if (this.#over()) this.#sink.fail(error);
  }

  #over(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#release();
    return true;
  }
}

function failure(error: Error): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof errors.HeadersTimeoutError)
    return tooSlow('did not begin to answer in time', error);
  if (error instanceof errors.BodyTimeoutError)
    return tooSlow('fell silent in the middle of its answer', error);
  if (error instanceof errors.ConnectTimeoutError)
    return tooSlow('could not be reached in time', error);
  return new AppError('upstream_failed', 'The upstream could not be reached or broke off.', {
    cause: error,
  });
}

function tooSlow(what: string, cause?: Error): AppError {
  return new AppError('upstream_timeout', `The upstream ${what}.`, cause ? { cause } : {});
}
