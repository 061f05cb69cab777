/** A row as its owner sees it. */
import type { TaskRow } from '../db/tables.ts';
import type { MediaView } from '../media/store.ts';
import { nanoUsd } from '../money.ts';
import { readPriced } from './priced.ts';
import type { Task, TaskErrorCode } from './task.ts';
import { placeOf, type TaskTools } from './tools.ts';

/** What is not told by the upstream is never called done. */
const MOST_GUESSED = 95;

export interface Seen {
  assets?: MediaView[];
  /** Tasks before it, here. */
  place?: number | null;
}

export function viewOf(
  row: TaskRow,
  { clock, typical, box }: Pick<TaskTools, 'clock' | 'typical' | 'box'>,
  { assets = [], place = null }: Seen = {},
): Task {
  const { model, fee } = readPriced(row.priced);
  const typicalMs = typical.of(row.model, model.params);
  return {
    id: row.id,
    accountId: row.account_id,
    keyId: row.key_id,
    kind: row.kind,
    type: row.type as Task['type'],
    model: row.model,
    state: row.state,
    requestId: row.request_id,
    ...progressOf(row, clock.nowMs(), typicalMs),
    queuePosition: row.ended_at === null ? (place ?? row.queue_position) : null,
    typicalMs,
    held: nanoUsd(row.held),
    charged: nanoUsd(row.charged),
    error: row.error_code === null ? null : errorOf(row),
    assets,
    callbackUrl: row.callback === null ? null : box.open(placeOf(row, 'callback'), row.callback),
    isOwnKey: fee !== null,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  };
}

function errorOf({ error_code, error_message }: TaskRow): Task['error'] {
  return { code: error_code as TaskErrorCode, message: error_message ?? '' };
}

function progressOf(
  row: TaskRow,
  nowMs: number,
  typicalMs: number | null,
): Pick<Task, 'progress' | 'estimatedSecondsLeft'> {
  if (row.state === 'completed') return { progress: 100, estimatedSecondsLeft: 0 };
  const { progress, polls } = row;
  if (row.ended_at !== null || typicalMs === null) return { progress, estimatedSecondsLeft: null };
  const guess = polls === 0 ? guessedProgress(row, nowMs, typicalMs) : 0;
  const left = Math.max(1, Math.ceil((typicalMs - goneMs(row, nowMs)) / 1_000));
  return { progress: Math.max(progress, guess), estimatedSecondsLeft: left };
}

/** Where the upstream says nothing: as far as most tasks of the model are by now. */
export function guessedProgress(row: TaskRow, nowMs: number, typicalMs: number | null): number {
  if (typicalMs === null) return 0;
  const share = Math.floor((100 * goneMs(row, nowMs)) / Math.max(1, typicalMs));
  return Math.min(MOST_GUESSED, share);
}

function goneMs({ started_at }: TaskRow, nowMs: number): number {
  return started_at === null ? 0 : Math.max(0, nowMs - started_at);
}
