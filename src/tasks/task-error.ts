/** The end of a task without a result, for a caller who waited for it: the error that the answer is instead. */
import { AppError, type ErrorCode } from '../errors.ts';
import type { Task, TaskErrorCode } from './task.ts';

const CODES: Record<TaskErrorCode, ErrorCode> = {
  refused: 'upstream_rejected',
  content_policy: 'content_policy',
  provider_key_refused: 'provider_key_refused',
  upstream_failed: 'upstream_failed',
  upstream_expired: 'upstream_failed',
  submit_unknown: 'upstream_failed',
  lost: 'upstream_failed',
  result_unavailable: 'upstream_failed',
  no_channel: 'no_channel',
  timed_out: 'upstream_timeout',
  cancelled: 'state_conflict',
  internal: 'internal',
};

/** Null for a task that is completed, or still on its way. */
export function errorOfTask({ error, id }: Pick<Task, 'error' | 'id'>): AppError | null {
  if (!error) return null;
  return new AppError(CODES[error.code], error.message, { details: { task_id: id } });
}
