/** Builds what keeps results and calls back; one line of the composition root. */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.ts';
import type { Config, S3Config } from '../config/config.ts';
import type { Store } from '../ledger/store.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { Outbound } from '../outbound.ts';
import type { LookUpName } from '../outbound-names.ts';
import { Webhooks } from '../webhooks/webhooks.ts';
import type { Blobs } from './blobs.ts';
import { DiskBlobs, MEDIA_DIRECTORY } from './disk.ts';
import { addMediaFigures } from './figures.ts';
import { S3Blobs } from './s3.ts';
import { Spool } from './spool.ts';
import { MediaStore } from './store.ts';
import { MediaUpkeep } from './upkeep.ts';

export interface MediaPartsOptions {
  store: Store;
  config: Pick<Config, 'dataDir' | 'media' | 'webhooks'>;
  /** Where clients reach this server. */
  origin(): string;
  clock: Clock;
  log: Log;
  /** Where their figures are told. */
  metrics?: Metrics | undefined;
  /** Of names that others chose; tests answer what they like. */
  lookUp?: LookUpName | undefined;
}

export interface MediaParts {
  media: MediaStore;
  webhooks: Webhooks;
  upkeep: MediaUpkeep;
  /** Other settings: `config.media` is read whenever it is used, the rest is exchanged here. */
  replace(next: Pick<Config, 'media' | 'webhooks'>): void;
  /** Ends deliveries under way; what was not delivered is taken up by the next start. */
  stop(): Promise<void>;
}

const OWNER_HEX = 12;
/** Of buckets that were configured, one after another. */
const MOST_BUCKETS = 16;

export async function createMediaParts(options: MediaPartsOptions): Promise<MediaParts> {
  const { store, config, origin, clock, log, metrics, lookUp } = options;
  const { ledger, reports } = store;
  const { allowPrivate, ports } = config.webhooks;
  const outbound = new Outbound({ allowPrivate, ports, ...(lookUp && { lookUp }) });
  const directory = join(config.dataDir, MEDIA_DIRECTORY);
  const spool = new Spool(join(directory, 'incoming'), config.media);
  await spool.start();
  const stores = new Map<string, Blobs>([['disk', new DiskBlobs(directory)]]);
  const owner = store.secretFor('media owner').toString('hex').slice(0, OWNER_HEX);
  const buckets = new Buckets(stores, owner);
  buckets.use(config.media.s3);
  const media = new MediaStore({
    ledger,
    config: config.media,
    outbound,
    spool,
    stores,
    secret: store.secretFor('media links'),
    origin,
    clock,
    log,
  });
  const upkeep = new MediaUpkeep({ ledger, stores, clock, log });
  upkeep.start();
  const box = store.boxFor('webhooks');
  const webhooks = new Webhooks({ ledger, reports, outbound, media, box, clock, log });
  webhooks.start();
  if (metrics) addMediaFigures(metrics, { reports, clock });
  return {
    media,
    webhooks,
    upkeep,
    replace: (next) => {
      outbound.replace(next.webhooks);
      buckets.use(next.media.s3);
    },
    stop: async () => {
      await webhooks.stop();
      await upkeep.stop();
      await buckets.close();
    },
  };
}

/** The bucket that is configured now, and those before it: what was begun with one of them is ended with it. */
class Buckets {
  readonly #stores: Map<string, Blobs>;
  readonly #owner: string;
  readonly #used: { config: S3Config; blobs: S3Blobs }[] = [];

  constructor(stores: Map<string, Blobs>, owner: string) {
    this.#stores = stores;
    this.#owner = owner;
  }

  use(config: S3Config | null): void {
    if (config === null) {
      this.#stores.delete('s3');
      return;
    }
    let found = this.#used.find((used) => isDeepStrictEqual(used.config, config));
    if (!found) {
      found = { config, blobs: new S3Blobs(config, this.#owner) };
      this.#used.push(found);
    }
    this.#stores.set('s3', found.blobs);
    const oldest =
      this.#used.length > MOST_BUCKETS ? this.#used.find((one) => one !== found) : null;
    if (!oldest) return;
    this.#used.splice(this.#used.indexOf(oldest), 1);
    void oldest.blobs.close().catch(() => {});
  }

  async close(): Promise<void> {
    await Promise.all(this.#used.map(({ blobs }) => blobs.close()));
  }
}
