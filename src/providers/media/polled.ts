/** From what an upstream says of a job to what the engine is told: the same rules for all. */
import type { Measured } from '../../orders/order.ts';
import type { Asset, MediaAnswer, MediaHttp, Polled } from '../media.ts';
import { failure } from './failure.ts';
import { garbled } from './read.ts';
import { type Known, stateOf } from './states.ts';

export interface Told {
  /** The upstream's word, or ours where it has been read. */
  word: unknown;
  known?: Known | undefined;
  /** 0-100. */
  progress?: number | undefined;
  queuePosition?: number | undefined;
  assets: Asset[];
  measured: Measured;
  /** What it says went wrong; null and undefined: nothing. */
  error?: unknown;
}

/**
 * A word that nobody knows is believed where something else bears it out: a result, or an error. Otherwise the job still runs, until
 * the engine's deadline ends it.
 */
export function polled(told: Told, http: MediaHttp): Polled {
  const { assets, error, measured, progress, queuePosition } = told;
  const known = told.known ?? stateOf(told.word) ?? guess(told);
  switch (known) {
    case 'completed':
      if (assets.length > 0) return { state: 'completed', assets, measured };
      return failure(error ?? 'The upstream finished without a result.', http);
    case 'pending':
    case 'processing':
      return {
        state: known,
        ...(progress !== undefined && { progress }),
        ...(queuePosition !== undefined && { queuePosition }),
      };
    default:
      return failure(error, http, known);
  }
}

function guess({ assets, error }: Told): Known {
  if (error !== null && error !== undefined) return 'failed';
  return assets.length > 0 ? 'completed' : 'processing';
}

/** The answer to a poll that is none of a job's states: gone, or something that may pass. Null for a good answer. */
export function notThere(answer: MediaAnswer): Polled | null {
  if (answer.status < 400) return null;
  if (answer.status === 404 || answer.status === 410) return { state: 'gone' };
  throw garbled(`answered ${answer.status} to a question about its job`);
}
