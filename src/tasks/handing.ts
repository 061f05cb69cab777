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
import { pauseAfter } from './backoff.ts';
import { elsewhere, MAX_STARTS } from './elsewhere.ts';
import { failedUpstream, failTask } from './ending.ts';
import { addEvent } from './events.ts';
import { jobOf } from './job.ts';
import { readPriced } from './priced.ts';
import { deliver } from './results.ts';
import { changeTask } from './rows.ts';
import { placeOf, type TaskTools } from './tools.ts';
import type { Way } from './ways.ts';

/** How long a start may take beyond what the channel allows, until it counts as lost. */
const START_MARGIN_MS = 20 * 60_000;
/** Before the first look. */
const FIRST_LOOK_MS = 2_000;
const MAX_FIRST_LOOK_MS = 5 * 60_000;
const KEY_REFUSALS = new Set([401, 402, 403]);

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
  const keyed = route.own?.keyed ?? channel;
  breaker.begin();
  let outcome: Outcome | 'unknown' = 'unknown';
  let retryAfterMs: number | undefined;
  let started: Started;
  let provider: MediaProvider | null = null;
  try {
    provider = providerFor(tools, row, channel);
    if (!provider) throw new AppError('no_channel', 'The channel makes no such thing.');
    const http = tools.calls.to(keyed, signal, channel);
    started = await provider.start(jobOf(tools, row, keyed), http);
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
  if (isUnsent && isOfOwnKey(row, error)) return refuseOwnKey(tools, row);
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

/** Whoever stored a key goes over it or gets an error: not over the next channel, and not over the operator's. */
function isOfOwnKey(row: TaskRow, { details }: AppError): boolean {
  return KEY_REFUSALS.has(Number(details?.['status'])) && readPriced(row.priced).fee !== null;
}

async function refuseOwnKey(tools: TaskTools, row: TaskRow): Promise<void> {
  const message =
    'The vendor refused the provider key that you stored: check it and its credit there, or remove it.';
  await failTask(tools, row, 'provider_key_refused', message);
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
  way: Way | null,
  signal: AbortSignal,
): Promise<void> {
  const { ledger, clock } = tools;
  const provider = way && providerFor(tools, row, way.channel);
  if (!way || !provider?.isIdempotent) return failUnknown(tools, row);
  const { channel, keyed } = way;
  const again = await ledger.write((tx) =>
    changeTask(tx, row, { next_at: startsBy(tx.nowMs, channel), starts: row.starts + 1 }),
  );
  if (!again) return;
  const upstreamModel = row.upstream_model ?? row.model;
  const own = { vendor: channel.vendor ?? '', keyed };
  const route = { channel, upstreamModel, breaker: new Breaker(clock), own };
  await handOn(tools, again, route, signal);
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
