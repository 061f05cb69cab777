/** W3C Trace Context, level 1: https://www.w3.org/TR/trace-context/ */
export interface TraceContext {
  /** 32 and 16 hexadecimal digits. */
  traceId: string;
  spanId: string;
  isSampled: boolean;
  /** '' without one. */
  state: string;
}

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const MAX_STATE_CHARS = 512;

/** Null where it is no valid one: then a new trace begins. */
export function readContext(
  traceparent: string | undefined,
  tracestate: string | undefined,
): TraceContext | null {
  const [, version, traceId, spanId, flags, more] = FORM.exec(traceparent?.trim() ?? '') ?? [];
  if (!version || !traceId || !spanId || !flags || version === 'ff') return null;
  if (version === '00' && more !== undefined) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  const state = tracestate?.trim() ?? '';
  const isFit = state.length <= MAX_STATE_CHARS && /^[\x20-\x7e]*$/.test(state);
  const isSampled = (Number.parseInt(flags, 16) & 1) === 1;
  return { traceId, spanId, isSampled, state: isFit ? state : '' };
}

export function writeContext(context: TraceContext): Record<string, string> {
  const { traceId, spanId, isSampled, state } = context;
  const traceparent = `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
  return state === '' ? { traceparent } : { traceparent, tracestate: state };
}
