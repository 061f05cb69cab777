/** Sends spans that ended to a collector, as OTLP/HTTP JSON: https://opentelemetry.io/docs/specs/otlp/#otlphttp */
import type { Log } from '../log.ts';
import type { Attributes } from './trace.ts';
import type { TraceContext } from './context.ts';

export interface EndedSpan {
  context: TraceContext;
  /** '' for the first of a trace. */
  parentSpanId: string;
  name: string;
  kind: 'internal' | 'server' | 'client';
  startedNs: bigint;
  endedNs: bigint;
  attributes: Attributes;
  /** Code of the error; null where it went well. */
  failed: string | null;
}

export interface ExporterOptions {
  url: string;
  headers: Record<string, string>;
  timeoutMs: number;
  resource: Record<string, string>;
  log: Pick<Log, 'warn'>;
  fetch?: typeof fetch;
}

/** Those of the standard's batch processor. Beyond the first, spans are lost and counted. */
const MAX_WAITING = 2_048;
const MAX_BATCH = 512;
const EVERY_MS = 5_000;
const MAX_TRIES = 3;
const CLOSE_MS = 2_000;
const SAY_EVERY_MS = 60_000;
const MAX_TEXT_CHARS = 256;
const KINDS = { internal: 1, server: 2, client: 3 };
const STATUS_ERROR = 2;

export class Exporter {
  readonly #options: ExporterOptions;
  readonly #waiting: EndedSpan[] = [];
  readonly #timer: NodeJS.Timeout;
  #sending: Promise<void> | null = null;
  #tries = 0;
  #lost = 0;
  #saidAt = -Infinity;

  constructor(options: ExporterOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.flush(), EVERY_MS);
    this.#timer.unref();
  }

  add(span: EndedSpan): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#lost += 1;
      return;
    }
    this.#waiting.push(span);
    if (this.#waiting.length >= MAX_BATCH && this.#tries === 0) void this.flush();
  }

  /** Sends what waits, once; never rejects. */
  flush(): Promise<void> {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  /** A collector that hangs does not keep the process from ending. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    const last = (async () => {
      await this.#sending;
      await this.flush();
    })();
    const timer = Promise.withResolvers<void>();
    const timeout = setTimeout(timer.resolve, CLOSE_MS);
    await Promise.race([last, timer.promise]);
    clearTimeout(timeout);
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length) {
      const batch = this.#waiting.slice(0, MAX_BATCH);
      const problem = await this.#send(batch);
      if (problem === null) {
        this.#waiting.splice(0, batch.length);
        this.#tries = 0;
        continue;
      }
      this.#tries += 1;
      const isOver = !problem.mayPass || this.#tries >= MAX_TRIES;
      if (isOver) {
        this.#lost += this.#waiting.splice(0, batch.length).length;
        this.#tries = 0;
      }
      this.#say(problem.what);
      // The next time is soon enough.
      return;
    }
    if (this.#lost) this.#say('more spans than can wait');
  }

  async #send(batch: EndedSpan[]): Promise<{ what: string; mayPass: boolean } | null> {
    const { url, headers, timeoutMs, resource, fetch: ask = fetch } = this.#options;
    try {
      const response = await ask(url, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(request(resource, batch)),
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
      await response.body?.cancel();
      if (response.ok) return null;
      const mayPass = [429, 502, 503, 504].includes(response.status);
      return { what: `the collector answered ${response.status}`, mayPass };
    } catch {
      // Its text may hold the URL, and the URL a password.
      return { what: 'the collector could not be reached', mayPass: true };
    }
  }

  #say(what: string): void {
    if (performance.now() - this.#saidAt < SAY_EVERY_MS) return;
    this.#saidAt = performance.now();
    this.#options.log.warn('traces_not_sent', { reason: what, lost: this.#lost });
    this.#lost = 0;
  }
}

function request(resource: Record<string, string>, batch: readonly EndedSpan[]) {
  const scopeSpans = [{ scope: { name: 'farebox' }, spans: batch.map(spanOf) }];
  return { resourceSpans: [{ resource: { attributes: attributesOf(resource) }, scopeSpans }] };
}

function spanOf(span: EndedSpan) {
  const { traceId, spanId, state } = span.context;
  return {
    traceId,
    spanId,
    ...(span.parentSpanId !== '' && { parentSpanId: span.parentSpanId }),
    ...(state !== '' && { traceState: state }),
    name: span.name,
    kind: KINDS[span.kind],
    startTimeUnixNano: String(span.startedNs),
    endTimeUnixNano: String(span.endedNs),
    attributes: attributesOf(span.attributes),
    status: span.failed === null ? {} : { code: STATUS_ERROR },
  };
}

function attributesOf(attributes: Attributes) {
  return Object.entries(attributes)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => ({ key, value: valueOf(value!) }));
}

function valueOf(value: string | number | boolean) {
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'string') return { stringValue: value.slice(0, MAX_TEXT_CHARS) };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
