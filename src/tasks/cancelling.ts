/** A task is cancelled by its owner: at once while nobody has it, and afterwards where its upstream lets go of it. */
import type { TaskRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { endTask } from './ending.ts';
import { providerFor } from './handing.ts';
import { cancelUpstream } from './looking.ts';
import { isOpen, taskById } from './rows.ts';
import type { TaskTools } from './tools.ts';

const CANCELLED = {
  state: 'cancelled',
  code: 'cancelled',
  message: 'Cancelled by its owner.',
} as const;
/** Somebody else may change it meanwhile, that often at most. */
const MAX_TRIES = 20;

/** Answers the task as it is then. Throws state_conflict where it goes on. */
export async function cancelTask(
  tools: TaskTools,
  row: TaskRow,
  signal: AbortSignal,
): Promise<TaskRow> {
  let now = row;
  let isReleased = false;
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    if (now.state === 'cancelled') return now;
    if (!isOpen(now)) throw conflict(`The task is ${now.state} already.`, now);
    const isUnsent = now.submit === 'unsent';
    if (!isUnsent && !isReleased) {
      await release(tools, now, signal);
      isReleased = true;
    }
    const guard = isUnsent ? ({ id: now.id, isUnsent } as const) : now;
    const ended = await endTask(tools, guard, CANCELLED);
    if (ended) return ended;
    now = (await taskById(tools.ledger.read, now.id)) ?? now;
  }
  throw conflict('The task could not be cancelled at the moment. Try again shortly.', now);
}

/** Throws where the upstream does not let go of it. */
async function release(tools: TaskTools, row: TaskRow, signal: AbortSignal): Promise<void> {
  if (row.submit === 'sending') {
    throw conflict('The task is being handed to its upstream right now. Try again shortly.', row);
  }
  const channel = tools.routing.channels().find(({ id }) => id === row.channel_id);
  const provider = channel && providerFor(tools, row, channel);
  const said =
    channel && provider
      ? await cancelUpstream({ tools, row, channel, provider, signal })
      : 'unsupported';
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
