/** A task is cancelled by its owner or an operator: at once while nobody has it, and afterwards where its upstream lets go of it. */
import type { TaskRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { endTask } from './ending.ts';
import { providerFor } from './handing.ts';
import { cancelUpstream } from './looking.ts';
import { Refusals } from './refusals.ts';
import { changeTask, isOpen, taskById } from './rows.ts';
import type { TaskTools } from './tools.ts';
import { wayOf } from './ways.ts';

/** As its owner is told it. */
export type CancelledBy = 'its owner' | 'the operator';

const CANCELLED = { state: 'cancelled', code: 'cancelled' } as const;
/** Somebody else may change it meanwhile, that often at most. */
const MAX_TRIES = 20;
/** One that is being handed to its upstream is waited for, because it can be cancelled right after. */
const HANDING_MS = 3_000;
const WAIT_MS = 300;
/** Nobody else looks at it while its upstream is asked. */
const ASKING_MS = 60_000;
/** Of each engine. */
const refusals = new WeakMap<TaskTools, Refusals<TaskRow | null>>();

interface Cancelling {
  by: CancelledBy;
  signal: AbortSignal;
}

/** Answers the task as it is then. Throws state_conflict where it goes on. */
export async function cancelTask(
  tools: TaskTools,
  row: TaskRow,
  { by, signal }: Cancelling,
): Promise<TaskRow> {
  const until = performance.now() + HANDING_MS;
  let now = row;
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    if (now.state === 'cancelled') return now;
    if (!isOpen(now)) throw conflict(`The task is ${now.state} already.`, now);
    const ended = await tryCancel(tools, now, { by, signal });
    if (ended) return ended;
    if (now.submit === 'sending') {
      if (performance.now() >= until) break;
      await tools.bell.wait(now.id, WAIT_MS, signal);
    }
    now = (await taskById(tools.ledger.read, now.id)) ?? now;
  }
  throw conflict('The task is being handed to its upstream right now. Try again shortly.', now);
}

/** Null where it is something else by now than what was read of it. */
async function tryCancel(
  tools: TaskTools,
  row: TaskRow,
  cancelling: Cancelling,
): Promise<TaskRow | null> {
  switch (row.submit) {
    case 'unsent':
      return endTask(tools, { id: row.id, isUnsent: true }, endOf(cancelling));
    case 'sending':
      return null;
    case 'sent':
      return refusalsOf(tools).ask(
        row.id,
        () => tools.clock.nowMs(),
        () => cancelSent(tools, row, cancelling),
      );
  }
}

function refusalsOf(tools: TaskTools): Refusals<TaskRow | null> {
  let own = refusals.get(tools);
  if (!own) refusals.set(tools, (own = new Refusals()));
  return own;
}

/** Whoever looks at it at the moment is overruled: what was agreed with the upstream here is what counts. */
async function cancelSent(
  tools: TaskTools,
  row: TaskRow,
  cancelling: Cancelling,
): Promise<TaskRow | null> {
  const { ledger } = tools;
  const taken = await ledger.write((tx) =>
    changeTask(tx, row, { lease_epoch: row.lease_epoch + 1, next_at: tx.nowMs + ASKING_MS }),
  );
  if (!taken) return null;
  try {
    requireReleased(row, await askUpstream(tools, taken, cancelling.signal));
  } catch (error) {
    await ledger.write((tx) => changeTask(tx, taken, { next_at: tx.nowMs }));
    throw error;
  }
  return endTask(tools, taken, endOf(cancelling));
}

function endOf({ by }: Cancelling) {
  return { ...CANCELLED, message: `Cancelled by ${by}.` };
}

async function askUpstream(tools: TaskTools, row: TaskRow, signal: AbortSignal) {
  const way = await wayOf(tools, row);
  const provider = way && providerFor(tools, row, way.channel);
  if (!way || !provider) return 'unsupported';
  return cancelUpstream({ tools, row, way, provider, signal });
}

function requireReleased(row: TaskRow, said: 'cancelled' | 'too_late' | 'unsupported'): void {
  if (said === 'cancelled') return;
  throw conflict(
    said === 'too_late'
      ? 'It is too late to cancel the task: its upstream is about to finish it.'
      : 'The upstream that makes this task cannot cancel it once it has it.',
    row,
  );
}

function conflict(message: string, { id, state }: TaskRow): AppError {
  return new AppError('state_conflict', message, { details: { task_id: id, status: state } });
}
