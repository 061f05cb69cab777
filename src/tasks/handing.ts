/**
 * Hands a task to a channel, once. That it is about to go out is written before it does, and what the upstream knows it by is written
 * before anything else happens: a task of which nobody knows whether the upstream has it is never sent a second time, unless the upstream
 * itself takes no second one. Another channel is tried only where nothing was begun.
 */
import type { ChannelConfig } from '../config/config.ts';
import type { TaskRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { WriteTx } from '../ledger/ledger.ts';
import type { Failed, MediaProvider, Started } from '../providers/media.ts';
import { Breaker, type Outcome } from '../routing/breaker.ts';
import { outcomeOf, type Route } from '../routing/routing.ts';
import { askedPause, pauseAfter } from './backoff.ts';
import { failedUpstream, failTask } from './ending.ts';
import { addEvent } from './events.ts';
import { jobOf } from './job.ts';
import { groupsOfLane } from './lanes.ts';
import { readPriced } from './priced.ts';
import { deliver } from './results.ts';
import { changeTask } from './rows.ts';
import { placeOf, type TaskTools } from './tools.ts';

/** How often channels may fail to begin it before it fails itself. A busy one does not count. */
const MAX_STARTS = 8;
/** How long a start may take beyond what the channel allows, until it counts as lost. */
const START_MARGIN_MS = 20 * 60_000;
/** Before the first look. */
const FIRST_LOOK_MS = 2_000;
const MAX_FIRST_LOOK_MS = 5 * 60_000;

/** Takes a queued task for this channel; null where somebody else took it, or it was cancelled. */
export async function takeQueued(
  tools: TaskTools,
  row: TaskRow,
  route: Pick<Route, 'channel' | 'upstreamModel'>,
): Promise<TaskRow | null> {
  // An upstream that is not asked later works on it at once.
  const isAtOnce = providerFor(tools, row, route.channel)?.poll === undefined;
  const taken = await tools.ledger.write(async (tx) => {
    const next = await claimQueued(tx, row, route, isAtOnce ? 'processing' : 'pending');
    if (next && isAtOnce) await addEvent(tx, next, 'processing');
    return next;
  });
  if (taken && isAtOnce) tools.bell.ring(row.id, row.account_id);
  return taken;
}

async function claimQueued(
  { db, nowMs }: WriteTx,
  row: TaskRow,
  { channel, upstreamModel }: Pick<Route, 'channel' | 'upstreamModel'>,
  state: TaskRow['state'],
): Promise<TaskRow | null> {
  const taken = await db
    .updateTable('tasks')
    .set({
      queue: null,
      state,
      submit: 'sending',
      channel_id: channel.id,
      upstream_model: upstreamModel,
      lease_epoch: row.lease_epoch + 1,
      next_at: startsBy(nowMs, channel),
      starts: row.starts + 1,
      started_at: nowMs,
    })
    .where('id', '=', row.id)
    .where('lease_epoch', '=', row.lease_epoch)
    .where('queue', 'is not', null)
    .returningAll()
    .executeTakeFirst();
  return taken ?? null;
}

/** `row`: taken for this route. Whatever comes of it is on disk when this resolves. */
export async function handOn(
  tools: TaskTools,
  row: TaskRow,
  route: Route,
  signal: AbortSignal,
): Promise<void> {
  const { breaker, channel } = route;
  breaker.begin();
  let outcome: Outcome | 'unknown' = 'unknown';
  let retryAfterMs: number | undefined;
  let started: Started;
  let provider: MediaProvider | null = null;
  try {
    provider = providerFor(tools, row, channel);
    if (!provider) throw new AppError('no_channel', 'The channel makes no such thing.');
    started = await provider.start(jobOf(tools, row, channel), tools.calls.to(channel, signal));
    outcome = started.state === 'failed' && !isOfContent(started) ? 'sick' : 'good';
  } catch (thrown) {
    // A server that stops: the next one finds the task as it is and decides.
    if (signal.aborted) return;
    const error = asAppError(thrown);
    outcome = outcomeOf(error);
    retryAfterMs = waitOf(error);
    await notStarted(tools, row, provider, error);
    return;
  } finally {
    breaker.end(outcome, retryAfterMs);
  }
  await began(tools, row, { route, started, signal });
}

async function began(
  tools: TaskTools,
  row: TaskRow,
  { route, started, signal }: { route: Route; started: Started; signal: AbortSignal },
): Promise<void> {
  switch (started.state) {
    case 'started':
      await remember(tools, row, started);
      return;
    case 'completed':
      await deliver(tools, row, { channel: route.channel, made: started, signal });
      return;
    case 'failed':
      if (started.isRetryable) await elsewhere(tools, row, started.message, null);
      else await failedUpstream(tools, row, started);
      return;
    case 'pending':
    case 'processing':
    case 'gone':
      tools.log.error('task_not_begun', { task: row.id, channel: row.channel_id });
      await failTask(tools, row, 'upstream_failed', 'The upstream did not begin.');
  }
}

async function remember(
  { ledger, box, log, bell }: TaskTools,
  row: TaskRow,
  { ref, pollAfterMs = FIRST_LOOK_MS }: Extract<Started, { state: 'started' }>,
): Promise<void> {
  const { maxRuntimeMs } = readPriced(row.priced).model.params;
  const sealed = box.seal(placeOf(row, 'ref'), JSON.stringify(ref));
  const lookMs = Math.min(Math.max(0, pollAfterMs), MAX_FIRST_LOOK_MS);
  const kept = await ledger.write((tx) =>
    changeTask(tx, row, {
      submit: 'sent',
      ref: sealed,
      next_at: tx.nowMs + lookMs,
      deadline_at: tx.nowMs + maxRuntimeMs,
    }),
  );
  if (kept) bell.ring(row.id);
  else log.error('task_begun_unwanted', { task: row.id, channel: row.channel_id });
}

/** The upstream gave no answer that says whether it has the task, or says that it has not. */
async function notStarted(
  tools: TaskTools,
  row: TaskRow,
  provider: MediaProvider | null,
  error: AppError,
): Promise<void> {
  const { log } = tools;
  const what = { task: row.id, channel: row.channel_id, code: error.code };
  const isUnsent = provider === null || error.details?.['isSent'] === false;
  if (error.code === 'upstream_busy' || isUnsent) {
    log.warn('task_not_taken', what);
    await elsewhere(tools, row, error.message, error.code === 'upstream_busy' ? error : null);
    return;
  }
  if (error.code === 'internal') {
    log.error('task_crashed', { ...what, error: error.cause ?? error });
    await failTask(tools, row, 'internal', 'The task could not be handed on.');
    return;
  }
  if (provider?.isIdempotent && row.starts < MAX_STARTS) {
    log.warn('task_sent_again', what);
    await sendLater(tools, row);
    return;
  }
  // It answered, with an error: nothing more is to come of it. Else nobody knows.
  if (typeof error.details?.['status'] === 'number') {
    await failTask(tools, row, 'upstream_failed', error.message);
  } else await failUnknown(tools, row);
}

/** Nobody knows whether the upstream has it, and it is not asked twice: its money goes back, and the operator is told. */
export async function failUnknown(tools: TaskTools, row: TaskRow): Promise<void> {
  await failTask(
    tools,
    row,
    'submit_unknown',
    'The upstream did not confirm the task, and it is not sent a second time.',
  );
}

/** The upstream takes one task of an id once: the same channel is asked again, later. */
async function sendLater({ ledger }: TaskTools, row: TaskRow): Promise<void> {
  await ledger.write((tx) =>
    changeTask(tx, row, { next_at: tx.nowMs + pauseAfter(row.starts), crashes: 0 }),
  );
}

/** It was being handed on when its process ended, or when the answer was lost: the upstream may have it, or not. */
export async function handOnAgain(
  tools: TaskTools,
  row: TaskRow,
  channel: ChannelConfig | null,
  signal: AbortSignal,
): Promise<void> {
  const { ledger, clock } = tools;
  const provider = channel && providerFor(tools, row, channel);
  if (!channel || !provider?.isIdempotent) return failUnknown(tools, row);
  const again = await ledger.write((tx) =>
    changeTask(tx, row, { next_at: startsBy(tx.nowMs, channel), starts: row.starts + 1 }),
  );
  if (!again) return;
  const upstreamModel = row.upstream_model ?? row.model;
  await handOn(tools, again, { channel, upstreamModel, breaker: new Breaker(clock) }, signal);
}

export function providerFor(
  { findProvider }: TaskTools,
  row: TaskRow,
  channel: ChannelConfig,
): MediaProvider | null {
  try {
    return findProvider(channel.provider, readPriced(row.priced).model.type);
  } catch {
    return null;
  }
}

function startsBy(nowMs: number, { timeout }: ChannelConfig): number {
  return nowMs + timeout.totalMs + START_MARGIN_MS;
}

/** Nothing was begun: another channel is tried at once, or, after all of them, each again later. */
async function elsewhere(
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
  const waits = !isAnotherLeft(tools, row, tried);
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

function isAnotherLeft(
  { catalogue, routing }: TaskTools,
  row: TaskRow,
  tried: readonly string[],
): boolean {
  try {
    const routes = routing.candidates(catalogue.find(row.model), groupsOfLane(row.lane));
    return routes.some(({ channel }) => !tried.includes(channel.id));
  } catch {
    return false;
  }
}

export function triedOf({ tried }: Pick<TaskRow, 'tried'>): string[] {
  return JSON.parse(tried) as string[];
}

/** What is wrong with the request says nothing of the channel. */
function isOfContent({ failure }: Failed): boolean {
  return failure === 'refused' || failure === 'moderated';
}

function waitOf({ retryAfterSeconds }: AppError): number | undefined {
  return retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1_000;
}

function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError('internal', 'The task could not be handed on.', { cause: error });
}
