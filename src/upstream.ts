/**
 * The way to the servers at the far end: one connection pool a channel, bounded in connections, waiting requests, time and bytes.
 * It follows no redirect (the channel's key would go with it) and asks for no compression.
 */
import { errors, Pool } from 'undici';
import type { Dispatcher } from 'undici';
import type { ChannelConfig, LimitsConfig } from './config/config.ts';
import { AppError } from './errors.ts';
import type { UpstreamRequest } from './providers/provider.ts';
import type { Traffic } from './routing/traffic.ts';
import type { Tally } from './tally.ts';
import { isTracing, withTrace } from './traces/trace.ts';

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

/** The way to one channel: so many requests under way at once, and those that wait for one of them to end. */
interface Way {
  pool: Pool;
  running: number;
  /** In the order of their arrival. */
  waiting: Set<Exchange>;
  /** Of a channel that the settings do not have any more, or have anew: its connections close once nobody uses them. */
  isRetired: boolean;
}

export class Upstream {
  readonly #limits: Pick<LimitsConfig, 'upstreamBodyBytes'>;
  readonly #traffic: Pick<Traffic, 'of'> | null;
  readonly #ways = new Map<ChannelConfig, Way>();
  /** With those that are closing. */
  readonly #pools = new Set<Pool>();
  /** Null: whatever is asked for. */
  #current: ReadonlySet<ChannelConfig> | null = null;

  constructor(
    limits: Pick<LimitsConfig, 'upstreamBodyBytes'>,
    traffic: Pick<Traffic, 'of'> | null = null,
  ) {
    this.#limits = limits;
    this.#traffic = traffic;
  }

  /** Whether whatever is sent next has to wait. */
  isBusy(channel: ChannelConfig): boolean {
    return (this.#ways.get(channel)?.running ?? 0) >= channel.concurrency;
  }

  /** Requests under way, and those that wait. */
  load(channel: ChannelConfig): { running: number; waiting: number } {
    const way = this.#ways.get(channel);
    return { running: way?.running ?? 0, waiting: way?.waiting.size ?? 0 };
  }

  /** Throws no_channel, before anything is sent, where too many requests wait already; one that waits too long fails with it. */
  send(channel: ChannelConfig, request: UpstreamRequest, sink: UpstreamSink): UpstreamCall {
    const way = this.#way(channel);
    // Now: when its turn comes, it is another's context.
    const traced = isTracing() ? { ...request, headers: withTrace(request.headers) } : request;
    const exchange = new Exchange(channel, {
      maxBytes: this.#limits.upstreamBodyBytes,
      firstByte: this.#traffic?.of(channel.id).firstByte ?? null,
      sink,
      dispatch: () => dispatch(way.pool, channel, traced, exchange),
      left: () => {
        leave(way, channel, exchange);
        this.#closeIfDone(channel, way);
      },
    });
    if (way.running < channel.concurrency) {
      way.running += 1;
      exchange.start();
    } else if (way.waiting.size < channel.queue.size) {
      way.waiting.add(exchange);
      exchange.wait(channel.queue.waitMs);
    } else throw everyConnectionBusy();
    return exchange;
  }

  /**
   * After a reload: connections to other channels than these close as soon as no request is under way or waits on them. A request that
   * took its channel before may still be sent over it.
   */
  retain(channels: readonly ChannelConfig[]): void {
    this.#current = new Set(channels);
    for (const [channel, way] of this.#ways) {
      way.isRetired = !this.#current.has(channel);
      this.#closeIfDone(channel, way);
    }
  }

  /** Ends every pool; running calls fail. */
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#pools, (pool) => pool.destroy()));
  }

  #closeIfDone(channel: ChannelConfig, way: Way): void {
    const { pool, running, waiting, isRetired } = way;
    if (!isRetired || running > 0 || waiting.size > 0 || this.#ways.get(channel) !== way) return;
    this.#ways.delete(channel);
    // What was called off and is still being cut off ends first.
    void pool
      .close()
      .catch(() => pool.destroy())
      .finally(() => this.#pools.delete(pool));
  }

  #way(config: ChannelConfig): Way {
    let way = this.#ways.get(config);
    if (!way) {
      const pool = new Pool(new URL(config.baseUrl).origin, {
        connections: config.concurrency,
        pipelining: 1,
        allowH2: false,
        connect: { timeout: CONNECT_TIMEOUT_MS },
      });
      this.#pools.add(pool);
      const isRetired = this.#current !== null && !this.#current.has(config);
      way = { pool, running: 0, waiting: new Set(), isRetired };
      this.#ways.set(config, way);
    }
    return way;
  }
}

function dispatch(
  pool: Pool,
  { timeout }: ChannelConfig,
  { path, headers, body }: UpstreamRequest,
  exchange: Exchange,
): void {
  pool.dispatch(
    {
      method: 'POST',
      path,
      headers,
      body,
      headersTimeout: timeout.firstByteMs,
      bodyTimeout: timeout.idleMs,
    },
    exchange,
  );
}

/** Who ends makes room for whoever waits longest. */
function leave(way: Way, channel: ChannelConfig, exchange: Exchange): void {
  if (way.waiting.delete(exchange)) return;
  way.running -= 1;
  for (const next of way.waiting) {
    if (way.running >= channel.concurrency) return;
    way.waiting.delete(next);
    way.running += 1;
    next.start();
  }
}

function everyConnectionBusy(): AppError {
  return new AppError('no_channel', 'Every connection to this model is busy. Try again shortly.', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

interface ExchangeOptions {
  maxBytes: number;
  firstByte: Tally | null;
  sink: UpstreamSink;
  dispatch(): void;
  /** Told once, when it is over. */
  left(): void;
}

class Exchange implements Dispatcher.DispatchHandler, UpstreamCall {
  readonly #options: ExchangeOptions;
  readonly #sink: UpstreamSink;
  readonly #totalMs: number;
  #timer: NodeJS.Timeout | null = null;
  #startedMs = 0;
  #controller: Dispatcher.DispatchController | null = null;
  #aborted: AppError | null = null;
  #isOver = false;
  #bytes = 0;

  constructor(channel: ChannelConfig, options: ExchangeOptions) {
    this.#options = options;
    this.#sink = options.sink;
    this.#totalMs = channel.timeout.totalMs;
  }

  /** For its turn, which comes with `start`. */
  wait(ms: number): void {
    this.#timer = setTimeout(() => this.abort(everyConnectionBusy()), ms);
  }

  start(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => this.abort(tooSlow(`did not finish within ${this.#totalMs} ms`)),
      this.#totalMs,
    );
    this.#startedMs = performance.now();
    this.#options.dispatch();
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
    this.#options.firstByte?.add(performance.now() - this.#startedMs);
    this.#sink.head(status, headers);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver || this.#aborted) return;
    this.#bytes += chunk.length;
    const { maxBytes } = this.#options;
    if (this.#bytes > maxBytes) {
      this.abort(new AppError('upstream_failed', `The upstream sent more than ${maxBytes} bytes.`));
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
    if (this.#timer) clearTimeout(this.#timer);
    this.#options.left();
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
