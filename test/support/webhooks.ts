/** Webhooks over a real ledger, to receivers on this machine. */
import { Outbound, type OutboundOptions } from '../../src/outbound.ts';
import { Webhooks, type WebhooksOptions } from '../../src/webhooks/webhooks.ts';
import type { DeliveryRow } from '../../src/db/tables.ts';
import type { Log, LogFields } from '../../src/log.ts';
import { mediaBench, type MediaBench } from './media.ts';
import type { Received } from './receiver.ts';
import { manualClock, type TestStore, testStore } from './store.ts';

export interface HookBench extends AsyncDisposable {
  store: TestStore;
  clock: TestStore['clock'];
  media: MediaBench;
  webhooks: Webhooks;
  accountId: string;
  logged: (LogFields & { event: string })[];
  /** The id of a delivery of a task of its own, or of the given one. */
  enqueue(
    url: string,
    more?: {
      accountId?: string;
      taskId?: string;
      event?: string;
      payload?: Record<string, unknown>;
    },
  ): Promise<string>;
  row(id: string): Promise<DeliveryRow>;
  /** Until the delivery is tried again, and then that. */
  later(id: string): Promise<void>;
  /** Stops it and starts another on the same data. */
  restart(options?: Partial<WebhooksOptions>): Promise<HookBench>;
}

export const HOUR_MS = 3_600_000;

const HOOK = { 'webhook-id': '', 'webhook-timestamp': '', 'webhook-signature': '' };

/** What a receiver hands to its library. */
export function hookOf({ headers }: Received): typeof HOOK {
  const names = Object.keys(HOOK) as (keyof typeof HOOK)[];
  return Object.fromEntries(names.map((name) => [name, String(headers[name])])) as typeof HOOK;
}

let tasks = 0;

export async function hookBench(
  options: Partial<WebhooksOptions> & {
    outboundOptions?: Partial<OutboundOptions>;
    store?: TestStore;
  } = {},
): Promise<HookBench> {
  // Receivers look at the time that is signed.
  const store = options.store ?? (await testStore({ clock: manualClock(Date.now()) }));
  const { clock, ledger } = store;
  const media = await mediaBench({ store });
  // One process has one pump.
  await media.webhooks.stop();
  const logged: HookBench['logged'] = [];
  const outbound = new Outbound({
    allowPrivate: ['127.0.0.0/8'],
    ports: [0],
    ...options.outboundOptions,
  });
  const webhooks = new Webhooks({
    ledger,
    reports: store.reports,
    outbound,
    media: media.media,
    box: store.boxFor('webhooks'),
    clock,
    log: recordingLog(logged),
    random: () => 0,
    timeoutMs: 2_000,
    ...options,
  });
  const { accountId } = media;
  const row = (id: string) =>
    ledger.read
      .selectFrom('webhook_deliveries')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
  let isOpen = true;
  const stop = async () => {
    if (isOpen) await webhooks.stop();
    if (isOpen) await media[Symbol.asyncDispose]();
    isOpen = false;
  };
  return {
    store,
    clock,
    media,
    webhooks,
    accountId,
    logged,
    enqueue: async (url, more = {}) => {
      const taskId = more.taskId ?? `task_hook_${(tasks += 1)}`;
      const event = more.event ?? 'task.completed';
      const payload = more.payload ?? { id: taskId, status: 'completed' };
      await ledger.write((tx) =>
        webhooks.enqueue(tx, { accountId, ...more, taskId, url, event, payload }),
      );
      const [made] = await webhooks.list({ taskId, limit: 1 });
      return made!.id;
    },
    row,
    later: async (id) => {
      clock.ms = (await row(id)).next_at!;
      await webhooks.deliverDue();
    },
    restart: async (changed = {}) => {
      await stop();
      return hookBench({ ...options, ...changed, store });
    },
    [Symbol.asyncDispose]: async () => {
      await stop();
      if (!options.store) await store[Symbol.asyncDispose]();
    },
  };
}

function recordingLog(logged: HookBench['logged']): Log {
  const record = (event: string, fields: LogFields = {}) => {
    logged.push({ event, ...fields });
  };
  return { debug: record, info: record, warn: record, error: record };
}
