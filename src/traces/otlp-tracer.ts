/** A tracer whose spans know one another by the asynchronous context they run in. Loaded only where traces are wanted. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { AppError } from '../errors.ts';
import { readContext, type TraceContext, writeContext } from './context.ts';
import type { Exporter } from './exporter.ts';
import type { Sampler } from './sampler.ts';
import type { Attributes, RemoteParent, Span, SpanSpec, Tracer } from './trace.ts';

const NS_PER_MS = 1_000_000;

export class OtlpTracer implements Tracer {
  readonly #sampler: Sampler;
  readonly #exporter: Pick<Exporter, 'add'>;
  readonly #running = new AsyncLocalStorage<LiveSpan>();

  constructor(sampler: Sampler, exporter: Pick<Exporter, 'add'>) {
    this.#sampler = sampler;
    this.#exporter = exporter;
  }

  current(): Span | null {
    return this.#running.getStore() ?? null;
  }

  async run<T>(spec: SpanSpec, work: (span: Span) => Promise<T>): Promise<T> {
    const span = this.#begin(spec);
    try {
      return await this.#running.run(span, () => work(span));
    } catch (error) {
      span.fail(error instanceof AppError ? error.code : 'internal');
      throw error;
    } finally {
      this.#end(span);
    }
  }

  #begin(spec: SpanSpec): LiveSpan {
    const parent = this.#parentOf(spec.parent);
    const traceId = parent?.traceId ?? newHex(16);
    const isSampled = this.#sampler(traceId, parent);
    const context = { traceId, spanId: newHex(8), isSampled, state: parent?.state ?? '' };
    return new LiveSpan(spec, context, parent?.spanId ?? '');
  }

  #parentOf(parent: Span | RemoteParent | null | undefined): TraceContext | null {
    if (parent === null) return null;
    if (parent instanceof LiveSpan) return parent.context;
    if (parent && 'traceparent' in parent)
      return readContext(parent.traceparent, parent.tracestate);
    return this.#running.getStore()?.context ?? null;
  }

  #end({ spec, context, parentSpanId, startedNs, attributes, name, failed }: LiveSpan): void {
    if (!context.isSampled) return;
    const { kind = 'internal' } = spec;
    const endedNs = nowNs();
    const ids = { context, parentSpanId, name, kind };
    this.#exporter.add({ ...ids, startedNs, endedNs, attributes, failed });
  }
}

class LiveSpan implements Span {
  readonly spec: SpanSpec;
  readonly context: TraceContext;
  readonly parentSpanId: string;
  readonly startedNs = nowNs();
  readonly attributes: Attributes;
  name: string;
  failed: string | null = null;

  constructor(spec: SpanSpec, context: TraceContext, parentSpanId: string) {
    this.spec = spec;
    this.context = context;
    this.parentSpanId = parentSpanId;
    this.name = spec.name;
    this.attributes = { ...spec.attributes };
  }

  headers(): Record<string, string> {
    return writeContext(this.context);
  }

  rename(name: string): void {
    this.name = name;
  }

  set(attributes: Attributes): void {
    Object.assign(this.attributes, attributes);
  }

  fail(code: string): void {
    this.failed = code;
    this.attributes['error.type'] = code;
  }
}

function newHex(bytes: number): string {
  return randomBytes(bytes).toString('hex');
}

/** Of the wall, and as fine as the machine has it. */
function nowNs(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * NS_PER_MS));
}
