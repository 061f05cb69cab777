/** What makes room: results whose time is over, and bytes that no row stands for. The row says so first, then the bytes go. */
import type { Clock } from '../clock.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import type { Blobs } from './blobs.ts';
import { liveAmong, markDeleted, overdue } from './rows.ts';
import type { BlobStores } from './store.ts';

export interface MediaUpkeepOptions {
  ledger: Ledger;
  stores: BlobStores;
  clock: Clock;
  log: Log;
}

const EVERY_MS = 15_000;
const MAX_OVERDUE = 200;
/** Bytes without a row are left alone that long: the end of their task may be under way. */
const ORPHAN_MS = 3_600_000;
const LOOKED_UP = 500;

export class MediaUpkeep {
  readonly #options: MediaUpkeepOptions;
  /** Where the search for orphans goes on, by store. */
  readonly #pages = new Map<string, string | null>();
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;

  constructor(options: MediaUpkeepOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#running ??= this.sweep()
        .catch((error: unknown) => this.#options.log.error('media_upkeep_failed', { error }))
        .finally(() => {
          this.#running = null;
        });
    }, EVERY_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    await this.#running;
  }

  /** What is overdue, and a page of orphans of each store. */
  async sweep(): Promise<void> {
    await this.#expire();
    for (const [name, blobs] of this.#options.stores) {
      const page = this.#pages.get(name) ?? null;
      this.#pages.set(name, await this.#sweepPage(blobs, page));
    }
  }

  async #expire(): Promise<void> {
    const { ledger, clock, log } = this.#options;
    const due = await overdue(ledger.read, clock.nowMs(), MAX_OVERDUE);
    if (!due.length) return;
    const ids = due.map(({ id }) => id);
    const rows = await ledger.write((tx) => markDeleted(tx, 'retention', { ids }));
    log.info('media_expired', { count: rows.length });
    for (const { id, place } of rows) {
      const at = place.indexOf(':');
      await this.#options.stores
        .get(place.slice(0, at))
        ?.remove(place.slice(at + 1))
        .catch((error: unknown) => log.warn('media_not_removed', { media: id, error }));
    }
  }

  async #sweepPage(blobs: Blobs, page: string | null): Promise<string | null> {
    const { ledger, clock, log } = this.#options;
    const listed = await blobs.list(page);
    const oldest = clock.nowMs() - ORPHAN_MS;
    // What is not named as we name things is somebody else's.
    const old = listed.blobs.filter(
      ({ id, modifiedAtMs }) => id.startsWith('med_') && modifiedAtMs < oldest,
    );
    for (let at = 0; at < old.length; at += LOOKED_UP) {
      const some = old.slice(at, at + LOOKED_UP);
      const live = await liveAmong(
        ledger.read,
        some.map(({ id }) => id),
      );
      for (const { id, name } of some) {
        if (live.has(id)) continue;
        await blobs.remove(name);
        log.info('media_orphan_removed', { media: id });
      }
    }
    return listed.next;
  }
}
