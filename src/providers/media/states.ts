/** The words of upstreams for where a job stands. */
import type { Failed } from '../media.ts';

export type Known = 'pending' | 'processing' | 'completed' | Failed['failure'];

const STATES: Record<string, Known> = {
  pending: 'pending',
  queued: 'pending',
  in_queue: 'pending',
  starting: 'pending',
  submitted: 'pending',
  not_start: 'pending',
  preparing: 'pending',
  queueing: 'pending',
  throttled: 'pending',
  created: 'pending',
  processing: 'processing',
  in_progress: 'processing',
  running: 'processing',
  dreaming: 'processing',
  generating: 'processing',
  text_success: 'processing',
  first_success: 'processing',
  completed: 'completed',
  complete: 'completed',
  succeeded: 'completed',
  succeed: 'completed',
  success: 'completed',
  done: 'completed',
  finished: 'completed',
  failed: 'failed',
  fail: 'failed',
  failure: 'failed',
  error: 'failed',
  aborted: 'failed',
  rejected: 'failed',
  moderated: 'moderated',
  cancelled: 'cancelled',
  canceled: 'cancelled',
  expired: 'expired',
};

/** Undefined for a word that nobody here knows. Case and blanks do not count. */
export function stateOf(word: unknown): Known | undefined {
  if (typeof word !== 'string') return undefined;
  const name = word.trim().toLowerCase().replaceAll(/[ -]/g, '_');
  return Object.hasOwn(STATES, name) ? STATES[name] : undefined;
}
