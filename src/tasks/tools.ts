/** What the parts of the engine share. */
import type { Catalogue } from '../catalogue.ts';
import type { Byok } from '../chat/byok.ts';
import type { Clock } from '../clock.ts';
import type { ChannelConfig, MediaType } from '../config/config.ts';
import type { TaskRow } from '../db/tables.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import type { MediaStore } from '../media/store.ts';
import type { NanoUsd } from '../money.ts';
import type { MediaHttp, MediaProvider } from '../providers/media.ts';
import type { Quotes } from '../quotes.ts';
import type { Routing } from '../routing/routing.ts';
import type { SecretBox } from '../secrets.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';
import type { Bell } from './bell.ts';
import type { Slots } from './slots.ts';
import type { Typical } from './typical.ts';

export interface TaskTools {
  ledger: Ledger;
  catalogue: Catalogue;
  routing: Routing;
  media: MediaStore;
  webhooks: Pick<Webhooks, 'requireCallback' | 'enqueue' | 'wake'>;
  calls: { to(channel: ChannelConfig, signal?: AbortSignal, over?: ChannelConfig): MediaHttp };
  byok: Pick<Byok, 'keysOf' | 'chooseMedia' | 'keyed'>;
  findProvider(name: string, type: MediaType): MediaProvider;
  /** For what callers sent, and for what upstreams know it by. */
  box: SecretBox;
  clock: Clock;
  log: Log;
  bell: Bell;
  slots: Slots;
  typical: Typical;
  /** Tasks that have not ended; those that wait and those that are made. */
  open: { count: number };
  quotes: Pick<Quotes, 'open'>;
  /** What one credit is worth. */
  creditUsd: NanoUsd;
}

/** Where a column of a task is sealed for. */
export function placeOf(
  { id }: Pick<TaskRow, 'id'>,
  column: 'fields' | 'callback' | 'ref',
): string {
  return `tasks/${id}/${column}`;
}
