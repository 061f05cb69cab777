/** Builds what keeps results and calls back; one line of the composition root. */
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/config.ts';
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
  /** Ends deliveries under way; what was not delivered is taken up by the next start. */
  stop(): Promise<void>;
}

const OWNER_HEX = 12;

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
  const s3 = config.media.s3 && new S3Blobs(config.media.s3, owner);
  if (s3) stores.set('s3', s3);
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
    stop: async () => {
      await webhooks.stop();
      await upkeep.stop();
      await s3?.close();
    },
  };
}
