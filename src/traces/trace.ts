/**
 * Spans: what was done for a request, and how long each part took. Nothing happens here until somebody sets a tracer, once for the process,
 * as OpenTelemetry's own API has it. Attributes come from closed lists, settings and ids of ours: never from headers, bodies or paths.
 */
export type Attributes = Record<string, string | number | boolean | null>;

export interface SpanSpec {
  /** Of a closed list, so that spans can be grouped by it. */
  name: string;
  kind?: 'internal' | 'server' | 'client';
  /** null: it belongs to nothing; left out: to the span that runs here. */
  parent?: Span | RemoteParent | null;
  attributes?: Attributes;
}

/** W3C Trace Context, as a caller sent it. */
export interface RemoteParent {
  traceparent: string | undefined;
  tracestate: string | undefined;
}

export interface Span {
  /** For whoever is asked within it: `traceparent`, and `tracestate` where there is one. */
  headers(): Record<string, string>;
  rename(name: string): void;
  /** Adds to what is there; null is left out. */
  set(attributes: Attributes): void;
  /** `code`: of the closed list of errors, not a message. */
  fail(code: string): void;
}

export interface Tracer {
  run<T>(spec: SpanSpec, work: (span: Span) => Promise<T>): Promise<T>;
  current(): Span | null;
}

let tracer: Tracer | null = null;

/** null turns it off again. */
export function setTracer(next: Tracer | null): void {
  tracer = next;
}

/** Whether spans are made at all. */
export function isTracing(): boolean {
  return tracer !== null;
}

/** Does `work` in a span, which ends with it and fails where it throws. Without a tracer `spec` is not even asked for. */
export function traced<T>(
  spec: () => SpanSpec,
  work: (span: Span | null) => Promise<T>,
): Promise<T> {
  return tracer === null ? work(null) : tracer.run(spec(), work);
}

/** The span that runs here; null without one. */
export function currentSpan(): Span | null {
  return tracer === null ? null : tracer.current();
}

/** `headers`, and those by which whoever is asked can go on with this trace. */
export function withTrace<T extends Record<string, unknown>>(headers: T): T {
  const span = currentSpan();
  return span === null ? headers : { ...headers, ...span.headers() };
}
