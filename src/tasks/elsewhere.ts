/** A task that a channel did not begin goes to the next one. */
import type { TaskRow } from '../db/tables.ts';
import type { AppError } from '../errors.ts';
import { askedPause, pauseAfter } from './backoff.ts';
import { failTask } from './ending.ts';
import { changeTask } from './rows.ts';
import type { TaskTools } from './tools.ts';
import { waysOf } from './ways.ts';

/** How often channels may fail to begin it before it fails itself. A busy one does not count. */
export const MAX_STARTS = 8;

/** Nothing was begun: another channel is tried at once, or, after all of them, each again later. */
export async function elsewhere(
  tools: TaskTools,
  row: TaskRow,
  message: string,
  busy: AppError | null,
): Promise<void> {
  const { ledger, slots, bell } = tools;
  const starts = busy ? row.starts - 1 : row.starts;
  if (starts >= MAX_STARTS) {
    await failTask(tools, row, 'upstream_failed', message);
    return;
  }
  const tried = [...triedOf(row), row.channel_id ?? ''];
  const waits = !(await isAnotherLeft(tools, row, tried));
  const pauseMs = Math.max(pauseAfter(row.starts), askedPause(busy?.retryAfterSeconds));
  await ledger.write((tx) =>
    changeTask(tx, row, {
      submit: 'unsent',
      state: 'pending',
      channel_id: null,
      upstream_model: null,
      starts,
      tried: JSON.stringify(waits ? [] : tried),
      queue: waits ? null : row.lane,
      crashes: 0,
      next_at: waits ? tx.nowMs + pauseMs : null,
    }),
  );
  slots.give(row.channel_id, row.id);
  bell.ring(row.id);
}

async function isAnotherLeft(
  tools: TaskTools,
  row: TaskRow,
  tried: readonly string[],
): Promise<boolean> {
  const ways = await waysOf(tools, row.lane).catch(() => []);
  return ways.some(({ channel }) => !tried.includes(channel.id));
}

export function triedOf({ tried }: Pick<TaskRow, 'tried'>): string[] {
  return JSON.parse(tried) as string[];
}
