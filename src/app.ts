/** The composition root: the parts, HTTP in front of them, and how both begin and end. */
import type { Sessions } from './auth/sessions.ts';
import { secp256k1Engine } from './chains/secp256k1.ts';
import { systemClock } from './clock.ts';
import type { Reloaded } from './config/changes.ts';
import type { Config } from './config/config.ts';
import { liveConfig } from './config/live.ts';
import { Origins } from './http/origins.ts';
import type { RouteEntry } from './http/router.ts';
import { createHttpServer } from './http/server.ts';
import { type Store } from './ledger/store.ts';
import { type Log, silentLog } from './log.ts';
import type { MediaStore } from './media/store.ts';
import { frontOf } from './parts/front.ts';
import { Gate } from './parts/gate.ts';
import { createParts, type Overrides, type Parts } from './parts/parts.ts';
import { atMost, reloads } from './parts/reload.ts';
import { createSite } from './parts/site.ts';
import type { Payments } from './payments/payments.ts';
import type { Payouts } from './payouts/payouts.ts';
import type { Tasks } from './tasks/tasks.ts';
import type { Webhooks } from './webhooks/webhooks.ts';

export type { Overrides } from './parts/parts.ts';

export interface App {
  /** In force. */
  readonly config: Config;
  store: Store;
  payments: Payments;
  payouts: Payouts;
  media: MediaStore;
  webhooks: Webhooks;
  tasks: Tasks;
  /** Every route, with who may call it. */
  readonly routes: readonly RouteEntry[];
  /** Of the operator's site. */
  readonly pages: readonly Pick<RouteEntry, 'method' | 'path'>[];
  /** Who is signed in to the operator's page, and the link by which a new server is claimed. */
  sessions: Sessions;
  /** Where clients dial it; known once it listens. */
  readonly url: string;
  /** Of the operator's own listener, once it listens; null without one. */
  readonly adminPort: number | null;
  /** Serves; answers the port. */
  listen(): Promise<number>;
  /**
   * Takes other settings into use. Requests under way end under those that they began with; no connection is closed. Answers what
   * changed, and what only a restart takes over. Throws, and changes nothing, where a price, a network, DATA_DIR or SANDBOX cannot be
   * taken over. `actor`: for the log of changes.
   */
  reload(next: Config, actor?: string): Promise<Reloaded>;
  /** Ends what is under way, within the configured time, and closes everything. */
  close(): Promise<void>;
}

/** A start does not wait longer for facilitators and chains: what does not need them is served meanwhile. */
const RAILS_WAIT_MS = 1_000;
/** A settlement under way is given that long at the end; the next start takes it up where it was. */
const SETTLEMENTS_WAIT_MS = 10_000;

export async function createApp(first: Config, overrides: Overrides = {}): Promise<App> {
  const { clock = systemClock, log = silentLog, admits } = overrides;
  await using opened = new AsyncDisposableStack();
  const gate = new Gate(first.server.port, new Origins());
  const { origins } = gate;
  const live = liveConfig(first);
  const parts = await createParts(live, { ...overrides, clock, log }, { origins, opened });
  const { store, tasks, catalogue } = parts;
  const site = createSite(live, { store, catalogue, clock, log, tools: overrides.site });
  const make = (config: Config) => frontOf(config, parts, { clock, log, site, gate });
  const now = { config: first, front: make(first) };
  const http = createHttpServer({ config: live, log, admits });
  http.use(now.front);

  let paymentsStarted = Promise.resolve();
  opened.defer(async () => {
    gate.close();
    tasks.stopWaiting();
    const { drainMs } = live.limits;
    await Promise.all([http.close(drainMs), tasks.stop(drainMs), site.playground.stop()]);
    await atMost(
      paymentsStarted.then(() => stopPayments(parts)),
      SETTLEMENTS_WAIT_MS,
    );
  });
  const listen = async () => {
    gate.listens(await http.listen(), now.config);
    paymentsStarted = startPayments(parts, log);
    await atMost(paymentsStarted, RAILS_WAIT_MS);
    await tasks.start();
    gate.open();
    sayListening(now.config, gate, log);
    return gate.port;
  };
  const reload = reloads({ parts, live, now, make, http, gate, log });
  const resources = opened.move();
  return {
    ...partsOf(parts),
    get config() {
      return now.config;
    },
    get routes() {
      return now.front.routes;
    },
    get pages() {
      return now.front.pages;
    },
    get url() {
      return origins.dialled(undefined);
    },
    get adminPort() {
      return gate.admin;
    },
    listen,
    reload: (next, actor = 'start') => reload(next, actor),
    close: () => resources.disposeAsync(),
  };
}

function partsOf({ store, payments, payouts, media, webhooks, tasks, sessions }: Parts) {
  return { store, payments, payouts, media, webhooks, tasks, sessions };
}

async function startPayments(
  { payments, payouts }: { payments: Payments; payouts: Payouts },
  log: Log,
): Promise<void> {
  try {
    await Promise.all([payments.start(), payouts.start()]);
  } catch (error) {
    log.error('payments_not_started', { error });
  }
}

async function stopPayments({ payments, payouts }: Pick<App, 'payments' | 'payouts'>) {
  await payouts.stop();
  await payments.stop();
}

function sayListening({ mode, origin }: Config, { port, admin, origins }: Gate, log: Log): void {
  for (const note of origin?.notes ?? []) log.warn('config_note', { note });
  const url = origins.dialled(undefined) || null;
  const own = admin === null ? {} : { admin };
  log.info('listening', { port, ...own, mode, url, secp256k1: secp256k1Engine() });
}
