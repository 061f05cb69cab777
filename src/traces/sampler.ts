/** Which traces are kept: https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling */
import type { TraceContext } from './context.ts';

export type Sampler = (traceId: string, parent: TraceContext | null) => boolean;

const always: Sampler = () => true;
const never: Sampler = () => false;

/** The names of OTEL_TRACES_SAMPLER; null for any other. `ratio`: from 0 to 1. */
export function samplerOf(name: string, ratio: number): Sampler | null {
  switch (name) {
    case 'always_on':
      return always;
    case 'always_off':
      return never;
    case 'traceidratio':
      return byRatio(ratio);
    case 'parentbased_always_on':
      return likeParent(always);
    case 'parentbased_always_off':
      return likeParent(never);
    case 'parentbased_traceidratio':
      return likeParent(byRatio(ratio));
    default:
      return null;
  }
}

function likeParent(root: Sampler): Sampler {
  return (traceId, parent) => (parent ? parent.isSampled : root(traceId, null));
}

/** By the id alone, so that every service keeps the same traces. */
function byRatio(ratio: number): Sampler {
  const DIGITS = 13;
  const below = ratio * 16 ** DIGITS;
  return (traceId) => Number.parseInt(traceId.slice(-DIGITS), 16) < below;
}
