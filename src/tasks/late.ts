/**
 * Tasks that ran out of time are looked at for a day longer: their money went back, and the upstream may finish them all the same and want
 * its own. The operator is told; the result stays where it is, because what has ended does not change any more.
 */
import type { TaskRow } from '../db/tables.ts';
import type { WriteTx } from '../ledger/ledger.ts';
import type { Polled } from '../providers/media.ts';
import type { Claimed } from './rows.ts';
import type { TaskTools } from './tools.ts';

export const LATE_LOOK_MS = 10 * 60_000;
const LATE_MS = 24 * 60 * 60_000;

export async function lookedLate(tools: TaskTools, row: TaskRow, polled: Polled): Promise<void> {
  if (polled.state === 'pending' || polled.state === 'processing') return lookLater(tools, row);
  if (polled.state !== 'completed') return forgetLate(tools, row);
  const { upstreamCostUsd = null } = polled.measured;
  const { log, ledger } = tools;
  const what = { task: row.id, model: row.model, channel: row.channel_id };
  log.error('task_finished_late', { ...what, upstreamCostUsd });
  await ledger.write((tx) =>
    changeEnded(tx, row, {
      next_at: null,
      measured: JSON.stringify(polled.measured.units),
      upstream_cost: upstreamCostUsd,
    }),
  );
}

export async function lookLater({ ledger }: TaskTools, row: TaskRow): Promise<void> {
  await ledger.write((tx) =>
    changeEnded(tx, row, {
      crashes: 0,
      next_at: tx.nowMs < (row.ended_at ?? 0) + LATE_MS ? tx.nowMs + LATE_LOOK_MS : null,
    }),
  );
}

export async function forgetLate({ ledger }: TaskTools, row: TaskRow): Promise<void> {
  await ledger.write((tx) => changeEnded(tx, row, { next_at: null }));
}

/** Never its state, its money or its error. */
async function changeEnded(
  { db }: WriteTx,
  { id, lease_epoch }: Claimed,
  change: Partial<Pick<TaskRow, 'next_at' | 'crashes' | 'measured' | 'upstream_cost'>>,
): Promise<void> {
  await db
    .updateTable('tasks')
    .set(change)
    .where('id', '=', id)
    .where('lease_epoch', '=', lease_epoch)
    .where('ended_at', 'is not', null)
    .execute();
}
