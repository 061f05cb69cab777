/**
 * Over which channels a task may go, and with whose credentials. Whoever stored a key for a vendor of the model goes over it or gets an
 * error, here as everywhere (src/chat/byok.ts).
 */
import type { ChannelConfig, MediaModel } from '../config/config.ts';
import type { TaskRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { ByokFee } from '../pricing/byok.ts';
import type { Route } from '../routing/routing.ts';
import { readLane } from './lanes.ts';
import { readPriced } from './priced.ts';
import type { TaskTools } from './tools.ts';

/** What a task costs that goes over a key of its owner; null where they have none that fits. Errors: provider_key_refused, no_channel. */
export async function ownFee(
  { byok }: Pick<TaskTools, 'byok'>,
  accountId: string | null,
  model: MediaModel,
  groups: readonly string[],
): Promise<ByokFee | null> {
  const keys = await byok.keysOf(accountId);
  return (keys && byok.chooseMedia(model, groups, keys)?.terms) ?? null;
}

/**
 * Best first; none where the model or all of its channels are out of order. Errors: provider_key_refused where a key that was to be gone
 * over is not there any more.
 */
export async function waysOf(
  { catalogue, routing, byok }: TaskTools,
  lane: string,
): Promise<readonly Route[]> {
  const { model: id, groups, owner } = readLane(lane);
  try {
    const model = catalogue.find(id);
    if (owner === null) return routing.candidates(model, groups);
    const keys = await byok.keysOf(owner);
    const own = keys && byok.chooseMedia(model, groups, keys);
    if (own) return own.routes;
  } catch (error) {
    if (error instanceof AppError && error.code !== 'provider_key_refused') return [];
    throw error;
  }
  throw keyGone();
}

/** A channel, and the same as requests are written: with a key of the task's owner, where it goes over one. */
export interface Way {
  channel: ChannelConfig;
  keyed: ChannelConfig;
}

/**
 * Of a task that has a channel; null where that, or the key that it was over, is not there any more. A task that was begun at one server
 * is looked after there, also when its channel has left the settings or leads to another one; else as the settings are now.
 */
export async function wayOf(
  { routing, byok, slots }: TaskTools,
  row: TaskRow,
): Promise<Way | null> {
  const now = routing.channels().find(({ id }) => id === row.channel_id);
  const begun = slots.channelOf(row.channel_id, row.id);
  const isSame = now?.provider === begun?.provider && now?.baseUrl === begun?.baseUrl;
  const channel = begun && !isSame ? begun : now;
  if (!channel) return null;
  if (readPriced(row.priced).fee === null) return { channel, keyed: channel };
  const keys = await byok.keysOf(row.account_id);
  try {
    const keyed = keys && byok.keyed(channel, keys);
    return keyed && { channel, keyed };
  } catch (error) {
    // It cannot be opened any more.
    if (error instanceof AppError) return null;
    throw error;
  }
}

function keyGone(): AppError {
  return new AppError(
    'provider_key_refused',
    'The provider key that you stored for this model was removed before the task began.',
  );
}
