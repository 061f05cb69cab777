/** Builds what makes media; one line of the composition root. */
import type { Catalogue } from '../catalogue.ts';
import type { Byok } from '../chat/byok.ts';
import type { Clock } from '../clock.ts';
import type { ChannelConfig, LimitsConfig } from '../config/config.ts';
import type { Store } from '../ledger/store.ts';
import type { Log } from '../log.ts';
import type { MediaStore } from '../media/store.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { NanoUsd } from '../money.ts';
import { MediaCalls } from '../providers/media/http.ts';
import { findMediaProvider } from '../providers/media/index.ts';
import type { Quotes } from '../quotes.ts';
import type { Routing } from '../routing/routing.ts';
import { addTaskFigures } from '../tasks/figures.ts';
import { Tasks } from '../tasks/tasks.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';

export interface TaskPartsOptions {
  store: Store;
  catalogue: Catalogue;
  routing: Routing;
  quotes: Quotes;
  byok: Byok;
  media: MediaStore;
  webhooks: Webhooks;
  limits: Pick<LimitsConfig, 'upstreamBodyBytes'>;
  creditUsd: NanoUsd;
  metrics: Metrics;
  clock: Clock;
  log: Log;
}

export interface TaskParts {
  tasks: Tasks;
  /** After a reload: see MediaCalls. */
  retain(channels: readonly ChannelConfig[]): void;
  /** After the tasks have stopped. */
  close(): Promise<void>;
}

export function createTaskParts({
  store,
  limits,
  metrics,
  ...options
}: TaskPartsOptions): TaskParts {
  const { clock } = options;
  addTaskFigures(metrics, { reports: store.reports, clock });
  const calls = new MediaCalls({
    get maxBytes() {
      return limits.upstreamBodyBytes;
    },
    nowMs: () => clock.nowMs(),
  });
  const tasks = new Tasks({
    ...options,
    ledger: store.ledger,
    calls,
    findProvider: findMediaProvider,
    box: store.boxFor('tasks'),
  });
  return { tasks, retain: (channels) => calls.retain(channels), close: () => calls.close() };
}
