/** What was made goes into our store, whole, before anybody calls the task completed. */
import type { ChannelConfig } from '../config/config.ts';
import type { TaskRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { StoredMedia } from '../media/store.ts';
import type { Measured } from '../orders/order.ts';
import { mediaOutlay, NO_OUTLAY, type Outlay } from '../pricing/outlay.ts';
import type { Polled } from '../providers/media.ts';
import { endTask, failTask } from './ending.ts';
import { costOf, type PricedTask, readPriced } from './priced.ts';
import type { TaskTools } from './tools.ts';

/** Files of one task. */
const MAX_ASSETS = 32;
const FETCH_MS = 10 * 60_000;
/** A result that is not what it should be does not become so by waiting. */
const FINAL = new Set(['too_large', 'wrong_type', 'empty', 'refused']);

export type Made = Extract<Polled, { state: 'completed' }>;

export interface Delivery {
  channel: ChannelConfig;
  made: Made;
  signal: AbortSignal;
}

/** Stores what was made and ends the task with it. Throws what stands in the way; nothing is kept then. */
export async function completeTask(
  tools: TaskTools,
  row: TaskRow,
  delivery: Delivery,
): Promise<void> {
  const { measured } = delivery.made;
  const priced = readPriced(row.priced);
  const cost = costOf(priced, measured);
  const outlay = outlayOf(tools, row, priced, measured);
  const stored = await store(tools, row, delivery);
  let ended: TaskRow | null = null;
  try {
    const byok = priced.fee && (delivery.channel.vendor ?? '');
    const end = { state: 'completed', stored, measured, cost, outlay, byok } as const;
    ended = await endTask(tools, row, end);
  } finally {
    if (!ended) await tools.media.discard(stored);
  }
}

/** What it cost the operator, at the costs of today. */
function outlayOf(
  { catalogue }: TaskTools,
  { model, channel_id: channelId }: TaskRow,
  { order, fee }: PricedTask,
  { units, upstreamCostUsd }: Measured,
): Outlay {
  // Its owner pays the vendor.
  if (fee) return NO_OUTLAY;
  const route = catalogue.routes(model).find(({ channel }) => channel === channelId);
  const { circumstances } = order;
  return mediaOutlay(
    route?.cost,
    { units: { ...order.units, ...units }, circumstances },
    upstreamCostUsd,
  );
}

/** Of what came with the very answer to the start: there is nothing to ask for it again. */
export async function deliver(tools: TaskTools, row: TaskRow, delivery: Delivery): Promise<void> {
  try {
    await completeTask(tools, row, delivery);
  } catch (error) {
    if (delivery.signal.aborted) return;
    const { log } = tools;
    log.error('task_result_lost', { task: row.id, channel: row.channel_id, error });
    await failTask(tools, row, 'result_unavailable', resultMessage(error));
  }
}

/** Whether another look may bring a better one. */
export function isWorthAnotherLook(error: unknown): boolean {
  if (!(error instanceof AppError)) return false;
  return !FINAL.has(String(error.details?.['reason']));
}

export function resultMessage(error: unknown): string {
  const why = error instanceof AppError ? ` ${error.message}` : '';
  return `The result could not be kept.${why}`;
}

async function store(
  { media }: TaskTools,
  row: TaskRow,
  { channel, made, signal }: Delivery,
): Promise<StoredMedia[]> {
  const stored: StoredMedia[] = [];
  const { type } = readPriced(row.priced).model;
  if (!made.assets.length) throw new AppError('upstream_failed', 'The upstream made nothing.');
  try {
    for (const [index, asset] of made.assets.slice(0, MAX_ASSETS).entries()) {
      const about = {
        taskId: row.id,
        accountId: row.account_id,
        index,
        type,
        claimedType: asset.contentType,
      };
      const options = { channel, deadlineMs: FETCH_MS, signal };
      stored.push(await media.fetchAsset(asset, about, options));
    }
    return stored;
  } catch (error) {
    await media.discard(stored);
    throw error;
  }
}
