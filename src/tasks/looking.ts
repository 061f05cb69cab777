/** Looks how a task that an upstream has is getting on, and ends it when the upstream, or its time, does. */
import type { TaskRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { MediaProvider, Polled } from '../providers/media.ts';
import { askedPause, lookAfter, pauseAfter } from './backoff.ts';
import { endTask, failedUpstream, failTask } from './ending.ts';
import { addEvent } from './events.ts';
import { handOnAgain, providerFor } from './handing.ts';
import { jobOf, refOf } from './job.ts';
import { forgetLate, LATE_LOOK_MS, lookedLate, lookLater } from './late.ts';
import { readPriced } from './priced.ts';
import { completeTask, isWorthAnotherLook, type Made, resultMessage } from './results.ts';
import { changeTask, claimDue, isOpen } from './rows.ts';
import type { TaskErrorCode } from './task.ts';
import type { TaskTools } from './tools.ts';
import { guessedProgress } from './view.ts';
import { type Way, wayOf } from './ways.ts';

/** One look, with the result that it may bring; afterwards another one may begin. */
const LOOK_MS = 20 * 60_000;
/** An upstream that does not know a task, or whose result cannot be had, is believed after that. */
const TROUBLE_MS = 10 * 60_000;
/** A task whose time is over while its upstream cannot be asked waits that long for an answer. */
const GRACE_MS = 10 * 60_000;
/** Looks that never came to an end, one after another: whatever it is, it may take the process with it. */
const MAX_CRASHES = 10;
const MOST_PROGRESS = 99;
const TIMED_OUT = {
  state: 'expired',
  code: 'timed_out',
  message: 'The upstream did not finish the task in time.',
} as const;

interface Look {
  tools: TaskTools;
  row: TaskRow;
  way: Way;
  provider: MediaProvider;
  signal: AbortSignal;
}

/** Takes up a task whose time has come; nothing where somebody else did. */
export async function look(tools: TaskTools, due: TaskRow, signal: AbortSignal): Promise<void> {
  const row = await tools.ledger.write((tx) => claimDue(tx, due, tx.nowMs + LOOK_MS));
  if (!row) return;
  if (row.crashes > MAX_CRASHES) return park(tools, row);
  if (row.state === 'pending' && row.submit === 'unsent') return queueAgain(tools, row);
  const way = await wayOf(tools, row);
  if (isOpen(row) && row.submit === 'sending') return handOnAgain(tools, row, way, signal);
  const provider = way && providerFor(tools, row, way.channel);
  if (!way || !provider) return unreachable(tools, row);
  const at = { tools, row, way, provider, signal };
  try {
    const polled = await poll(at);
    if (isOpen(row)) await heed(at, polled);
    else await lookedLate(tools, row, polled);
  } catch (error) {
    // A server that stops: the next one looks again.
    if (signal.aborted) return;
    await unanswered(at, error);
  }
}

async function poll({ tools, row, way, provider, signal }: Look): Promise<Polled> {
  const ref = refOf(tools, row);
  if (!provider.poll || ref === undefined) return { state: 'gone' };
  const http = tools.calls.to(way.keyed, signal, way.channel);
  return provider.poll(ref, jobOf(tools, row, way.keyed), http);
}

async function heed(at: Look, polled: Polled): Promise<void> {
  const { tools, row } = at;
  switch (polled.state) {
    case 'pending':
    case 'processing':
      if (tools.clock.nowMs() >= row.deadline_at) await timeOut(at);
      else await stillMaking(at, polled);
      return;
    case 'completed':
      await take(at, polled);
      return;
    case 'failed':
      await failedUpstream(tools, row, polled);
      return;
    case 'gone':
      await trouble(at, 'lost', 'The upstream does not know the task any more.');
  }
}

async function stillMaking(
  { tools, row }: Look,
  { state, progress, queuePosition }: Extract<Polled, { state: 'pending' | 'processing' }>,
): Promise<void> {
  const { ledger, typical, bell } = tools;
  const typicalMs = typical.of(row.model, readPriced(row.priced).model.params);
  const changed = await ledger.write(async (tx) => {
    const far = progress ?? guessedProgress(row, tx.nowMs, typicalMs);
    const next = await changeTask(tx, row, {
      // Neither ever goes back.
      state: row.state === 'processing' ? row.state : state,
      progress: Math.max(row.progress, Math.min(MOST_PROGRESS, Math.floor(far) || 0)),
      queue_position: queuePosition ?? null,
      polls: row.polls + 1,
      crashes: 0,
      troubled_since: null,
      next_at: tx.nowMs + lookAfter(row.polls),
    });
    const isNews = next && (next.state !== row.state || next.progress !== row.progress);
    if (isNews) await addEvent(tx, next, next.state === row.state ? 'progress' : next.state);
    return isNews;
  });
  if (changed) bell.ring(row.id, row.account_id);
}

/** A result that cannot be had yet is asked for again: by then it may have another link. */
async function take(at: Look, made: Made): Promise<void> {
  const { tools, row, way, signal } = at;
  try {
    await completeTask(tools, row, { channel: way.channel, made, signal });
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof AppError)) throw error;
    if (isWorthAnotherLook(error)) await trouble(at, 'result_unavailable', resultMessage(error));
    else await failTask(tools, row, 'result_unavailable', resultMessage(error));
  }
}

async function trouble({ tools, row }: Look, code: TaskErrorCode, message: string): Promise<void> {
  const { ledger, log, clock } = tools;
  const since = row.troubled_since ?? clock.nowMs();
  if (clock.nowMs() - since >= TROUBLE_MS) return failTask(tools, row, code, message);
  log.warn('task_in_trouble', { task: row.id, channel: row.channel_id, code });
  await ledger.write((tx) =>
    changeTask(tx, row, { ...later(row, tx.nowMs), troubled_since: since }),
  );
}

/** Its time is over and it is still being made. Where the upstream lets go of it, nobody is billed for it. */
async function timeOut(at: Look): Promise<void> {
  const { tools, row } = at;
  const said = await cancelUpstream(at).catch(() => 'unsupported');
  const isOver = tools.clock.nowMs() >= row.deadline_at + GRACE_MS;
  if (said === 'too_late' && !isOver) return again(tools, row);
  const lookAgain = said === 'cancelled' ? {} : { lookAgainAt: tools.clock.nowMs() + LATE_LOOK_MS };
  await endTask(tools, row, { ...TIMED_OUT, ...lookAgain });
}

export async function cancelUpstream({
  tools,
  row,
  way,
  provider,
  signal,
}: Look): Promise<'cancelled' | 'too_late' | 'unsupported'> {
  const ref = refOf(tools, row);
  if (!provider.cancel || ref === undefined) return 'unsupported';
  const http = tools.calls.to(way.keyed, signal, way.channel);
  return provider.cancel(ref, jobOf(tools, row, way.keyed), http);
}

async function unanswered({ tools, row }: Look, error: unknown): Promise<void> {
  const { log, clock } = tools;
  const what = { task: row.id, channel: row.channel_id };
  const isOurs = !(error instanceof AppError) || error.code === 'internal';
  if (isOurs) log.error('task_crashed', { ...what, error });
  else log.warn('task_not_seen', { ...what, code: error.code });
  const pauseMs = isOurs ? pauseAfter(row.crashes) : askedPause(error.retryAfterSeconds);
  await again(tools, row, { pauseMs, isCrash: isOurs });
  if (isOpen(row) && clock.nowMs() >= row.deadline_at + GRACE_MS) {
    await endTask(tools, row, { ...TIMED_OUT, lookAgainAt: clock.nowMs() + LATE_LOOK_MS });
  }
}

/** Its channel was taken out of the configuration, or its owner's key for it removed; both may come back. */
async function unreachable(tools: TaskTools, row: TaskRow): Promise<void> {
  const nowMs = tools.clock.nowMs();
  if (!isOpen(row)) return forgetLate(tools, row);
  if (nowMs < row.deadline_at + GRACE_MS) return again(tools, row);
  await endTask(tools, row, TIMED_OUT);
}

async function again(
  tools: TaskTools,
  row: TaskRow,
  { pauseMs = 0, isCrash = false } = {},
): Promise<void> {
  if (!isOpen(row)) return lookLater(tools, row);
  await tools.ledger.write((tx) => {
    const change = later(row, tx.nowMs);
    const next_at = Math.max(change.next_at, tx.nowMs + pauseMs);
    return changeTask(tx, row, { ...change, next_at, crashes: isCrash ? row.crashes : 0 });
  });
}

function later(row: TaskRow, nowMs: number): { polls: number; crashes: number; next_at: number } {
  return { polls: row.polls + 1, crashes: 0, next_at: nowMs + lookAfter(row.polls) };
}

/** It waited after no channel could take it. */
async function queueAgain(tools: TaskTools, row: TaskRow): Promise<void> {
  const { ledger, clock, bell } = tools;
  if (clock.nowMs() >= row.deadline_at) return endUnstarted(tools, row);
  await ledger.write((tx) => changeTask(tx, row, { queue: row.lane, next_at: null, crashes: 0 }));
  bell.ring(row.id);
}

/** Nothing was ever begun of it. */
export async function endUnstarted(tools: TaskTools, row: TaskRow): Promise<void> {
  await endTask(tools, row, {
    state: 'expired',
    code: 'no_channel',
    message: 'No channel took the task within its time.',
  });
}

async function park(tools: TaskTools, row: TaskRow): Promise<void> {
  tools.log.error('task_parked', { task: row.id, channel: row.channel_id });
  if (isOpen(row)) await failTask(tools, row, 'internal', 'The task could not be worked on.');
  else await forgetLate(tools, row);
}
