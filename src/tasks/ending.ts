/**
 * The end of a task, whoever sees it first: the row, its money, its result, its event and its callback in one transaction. Everything
 * that ends a task goes through here, and a task ends once.
 */
import type { TaskRow } from '../db/tables.ts';
import type { Resolution, WriteTx } from '../ledger/ledger.ts';
import type { StoredMedia } from '../media/store.ts';
import { type NanoUsd, nanoUsd } from '../money.ts';
import type { Measured } from '../orders/order.ts';
import { type Outlay, outlayFields } from '../pricing/outlay.ts';
import type { Failed } from '../providers/media.ts';
import { traced } from '../traces/trace.ts';
import { addEvent } from './events.ts';
import { type Claimed, holdOfTask } from './rows.ts';
import type { TaskErrorCode, TaskState } from './task.ts';
import { taskObject } from './task-object.ts';
import { placeOf, type TaskTools } from './tools.ts';
import { viewOf } from './view.ts';

export type TaskEnd =
  | {
      state: 'completed';
      stored: readonly StoredMedia[];
      measured: Measured;
      cost: NanoUsd;
      /** Of the operator's. */
      outlay: Outlay;
      /** Whose key of its owner's it went over; null over the operator's. */
      byok: string | null;
    }
  | {
      state: Exclude<TaskState, 'pending' | 'processing' | 'completed'>;
      code: TaskErrorCode;
      message: string;
      /** Asked about once more then, in case it is made all the same. */
      lookAgainAt?: number;
    };

/** Who may end it: whoever claimed it last, or anybody while it was not handed on. */
export type EndGuard = Claimed | { id: string; isUnsent: true };

const MAX_MESSAGE = 500;

/** Null where it had ended before, or is somebody else's to end: then nothing was written. */
export async function endTask(
  tools: TaskTools,
  guard: EndGuard,
  end: TaskEnd,
): Promise<TaskRow | null> {
  const { slots, bell, typical, webhooks } = tools;
  const done = await traced(
    () => ({ name: 'settle task', attributes: { 'farebox.task': guard.id } }),
    async (span) => {
      const written = await writeEnd(tools, guard, end);
      span?.set({
        'farebox.task_state': written ? end.state : null,
        'farebox.charged_nano_usd': written?.row.charged ?? null,
      });
      return written;
    },
  );
  if (!done) return null;
  const { row, resolution } = done;
  slots.give(row.channel_id, row.id);
  tools.open.count -= 1;
  if (end.state === 'completed' && row.started_at !== null && row.ended_at !== null) {
    typical.add(row.model, row.ended_at - row.started_at);
  }
  sayEnd(tools, row, end, resolution);
  if (row.callback !== null) webhooks.wake();
  bell.ring(row.id, row.account_id);
  return row;
}

/** What is on disk of it in the end, in one transaction. */
function writeEnd(
  tools: TaskTools,
  guard: EndGuard,
  end: TaskEnd,
): Promise<{ row: TaskRow; resolution: Resolution } | null> {
  return tools.ledger.write(async (tx) => {
    const row = await endRow(tx, guard, end);
    if (!row) return null;
    const resolution = await settle(tx, row, end);
    const { charged } = resolution;
    if (charged > 0) {
      await tx.db.updateTable('tasks').set({ charged }).where('id', '=', row.id).execute();
    }
    const ended = { ...row, charged };
    if (end.state === 'completed') await tools.media.insertRows(tx, end.stored);
    await addEvent(tx, ended, end.state);
    await tell(tx, tools, ended);
    return { row: ended, resolution };
  });
}

/** Its money goes back, and its owner is told why. */
export async function failTask(
  tools: TaskTools,
  guard: EndGuard,
  code: TaskErrorCode,
  message: string,
): Promise<void> {
  await endTask(tools, guard, { state: 'failed', code, message });
}

/** As the upstream says that it ended without a result. */
export async function failedUpstream(
  tools: TaskTools,
  guard: EndGuard,
  { failure, message }: Pick<Failed, 'failure' | 'message'>,
): Promise<void> {
  await endTask(tools, guard, { ...FAILURES[failure], message });
}

const FAILURES = {
  refused: { state: 'failed', code: 'refused' },
  moderated: { state: 'failed', code: 'content_policy' },
  failed: { state: 'failed', code: 'upstream_failed' },
  expired: { state: 'expired', code: 'upstream_expired' },
  cancelled: { state: 'cancelled', code: 'cancelled' },
} as const;

async function endRow(tx: WriteTx, guard: EndGuard, end: TaskEnd): Promise<TaskRow | undefined> {
  let update = tx.db
    .updateTable('tasks')
    .set({ ...changeOf(end), ended_at: tx.nowMs, queue: null, sealed: null, queue_position: null })
    .where('id', '=', guard.id)
    .where('state', 'in', ['pending', 'processing']);
  update =
    'isUnsent' in guard
      ? update.where('submit', '=', 'unsent')
      : update.where('lease_epoch', '=', guard.lease_epoch);
  return update.returningAll().executeTakeFirst();
}

function changeOf(end: TaskEnd): Partial<TaskRow> {
  if (end.state !== 'completed') {
    return {
      state: end.state,
      next_at: end.lookAgainAt ?? null,
      error_code: end.code,
      error_message: end.message.slice(0, MAX_MESSAGE),
    };
  }
  const { units, upstreamCostUsd = null } = end.measured;
  return {
    state: 'completed',
    progress: 100,
    next_at: null,
    measured: JSON.stringify(units),
    upstream_cost: upstreamCostUsd,
  };
}

async function settle(tx: WriteTx, row: TaskRow, end: TaskEnd): Promise<Resolution> {
  const hold = await holdOfTask(tx.db, row);
  if (end.state !== 'completed') return tx.void(hold);
  const { measured, byok } = end;
  const way = row.channel_id === null ? {} : outlayFields(row.channel_id, end.outlay);
  return tx.capture(
    hold,
    nanoUsd(end.cost),
    JSON.stringify({ units: measured.units, ...(byok !== null && { byok }), ...way }),
  );
}

async function tell(tx: WriteTx, tools: TaskTools, row: TaskRow): Promise<void> {
  if (row.callback === null) return;
  const { media, webhooks, box, creditUsd } = tools;
  const rows = await tx.db
    .selectFrom('media')
    .selectAll()
    .where('task_id', '=', row.id)
    .orderBy('idx')
    .execute();
  const task = viewOf(row, tools, { assets: rows.map((found) => media.view(found)) });
  await webhooks.enqueue(tx, {
    accountId: row.account_id,
    taskId: row.id,
    url: box.open(placeOf(row, 'callback'), row.callback),
    event: `task.${row.state}`,
    payload: taskObject(task, creditUsd),
  });
}

function sayEnd(
  { log }: TaskTools,
  row: TaskRow,
  end: TaskEnd,
  { charged, shortfall }: Resolution,
): void {
  const what = { task: row.id, model: row.model, channel: row.channel_id };
  if (shortfall > 0) {
    log.error('charge_above_hold', { ...what, hold: row.hold_id, heldNano: row.held, shortfall });
  }
  if (end.state === 'completed') {
    log.info('task_completed', { ...what, chargedNano: charged });
    return;
  }
  // What the operator may have to pay for although nobody pays the operator.
  const isAlarm = end.code === 'submit_unknown' || end.code === 'lost' || end.code === 'internal';
  log[isAlarm ? 'error' : 'info']('task_ended', { ...what, state: end.state, code: end.code });
}
