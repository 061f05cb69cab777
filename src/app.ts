/** The composition root: the parts, HTTP in front of them, and how both begin and end. */
import { isDeepStrictEqual } from 'node:util';
import type { Sessions } from './auth/sessions.ts';
import { secp256k1Engine } from './chains/secp256k1.ts';
import { systemClock } from './clock.ts';
import type { Config } from './config/config.ts';
import { AppError } from './errors.ts';
import { clientIp } from './http/client-ip.ts';
import { Origins, originsOf } from './http/origins.ts';
import type { RouteEntry } from './http/router.ts';
import { createHttpServer } from './http/server.ts';
import { type Store } from './ledger/store.ts';
import { createGuards } from './limits/guards.ts';
import { type Log, silentLog } from './log.ts';
import type { MediaStore } from './media/store.ts';
import { createSite } from './parts/site.ts';
import type { Payments } from './payments/payments.ts';
import type { Payouts } from './payouts/payouts.ts';
import type { Tasks } from './tasks/tasks.ts';
import type { Webhooks } from './webhooks/webhooks.ts';
import { channelsOf, createParts, type Overrides, takeOver } from './parts/parts.ts';

export type { Overrides } from './parts/parts.ts';

export interface App {
  config: Config;
  store: Store;
  payments: Payments;
  payouts: Payouts;
  media: MediaStore;
  webhooks: Webhooks;
  tasks: Tasks;
  /** Every route, with who may call it. */
  routes: readonly RouteEntry[];
  /** Of the operator's site. */
  pages: readonly Pick<RouteEntry, 'method' | 'path'>[];
  /** Who is signed in to the operator's page, and the link by which a new server is claimed. */
  sessions: Sessions;
  /** Where clients dial it; known once it listens. */
  readonly url: string;
  /** Serves; answers the port. */
  listen(): Promise<number>;
  /**
   * Takes over models, prices and channels; requests under way keep those that they began with. Answers the other settings that
   * changed, which a restart takes over. Throws, and changes nothing, where a price cannot be used.
   */
  reload(next: Config): string[];
  /** Ends what is under way, within the configured time, and closes everything. */
  close(): Promise<void>;
}

/** A start does not wait longer for facilitators and chains: what does not need them is served meanwhile. */
const RAILS_WAIT_MS = 1_000;
/** A settlement under way is given that long at the end; the next start takes it up where it was. */
const SETTLEMENTS_WAIT_MS = 10_000;

export async function createApp(config: Config, overrides: Overrides = {}): Promise<App> {
  const { clock = systemClock, log = silentLog } = overrides;
  const { limits, server, mode, creditUsd } = config;
  const settings = { limits, server, mode, creditUsd };
  await using opened = new AsyncDisposableStack();
  const origins = new Origins();
  const { store, ways, demoUrl, ...parts } = await createParts(
    config,
    { ...overrides, clock, log },
    { origins, opened },
  );
  const { payments, payouts } = parts;

  const { catalogue } = parts;
  const site = createSite(config, { store, catalogue, clock, log, tools: overrides.site });
  const gate = { closed: starting() as AppError | null, port: server.port };
  const http = createHttpServer({
    ...parts,
    ...site,
    clock,
    log,
    guards: createGuards(limits, clock),
    origins,
    ...settings,
    clientIp: clientIp(server.trustedProxies),
    config: config.payments,
    trustedProxies: server.trustedProxies,
    port: () => gate.port,
    closedBecause: () => gate.closed,
    admits: overrides.admits,
  });

  let paymentsStarted = Promise.resolve();
  opened.defer(async () => {
    gate.closed = stopping();
    parts.tasks.stopWaiting();
    await Promise.all([
      http.close(limits.drainMs),
      parts.tasks.stop(limits.drainMs),
      site.playground.stop(),
    ]);
    await atMost(
      paymentsStarted.then(() => stopPayments(parts)),
      SETTLEMENTS_WAIT_MS,
    );
  });
  const resources = opened.move();
  return {
    config,
    store,
    payments,
    payouts,
    media: parts.media,
    webhooks: parts.webhooks,
    tasks: parts.tasks,
    routes: http.routes,
    pages: http.pages,
    sessions: parts.sessions,
    get url() {
      return origins.dialled(undefined);
    },
    listen: async () => {
      gate.port = await http.listen();
      origins.set(originsOf(server, gate.port));
      paymentsStarted = startPayments(parts, log);
      await atMost(paymentsStarted, RAILS_WAIT_MS);
      await parts.tasks.start();
      const url = origins.dialled(undefined) || null;
      gate.closed = missing(config, url);
      sayListening(config, { port: gate.port, url, log });
      return gate.port;
    },
    reload: (next) => {
      takeOver({ ...parts, ways }, next, channelsOf(next, demoUrl));
      return unchangeable(config, next);
    },
    close: () => resources.disposeAsync(),
  };
}

const ONLY_AT_START = [
  'mode',
  'server',
  'dataDir',
  'logLevel',
  'secrets',
  'payments',
  'siwx',
  'limits',
  'creditUsd',
  'media',
  'webhooks',
  'backups',
] as const satisfies (keyof Config)[];

function unchangeable(config: Config, next: Config): string[] {
  return ONLY_AT_START.filter((name) => !isDeepStrictEqual(config[name], next[name]));
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

function sayListening(
  { mode, origin }: Config,
  { port, url, log }: { port: number; url: string | null; log: Log },
): void {
  for (const note of origin?.notes ?? []) log.warn('config_note', { note });
  log.info('listening', { port, mode, url, secp256k1: secp256k1Engine() });
}

async function atMost(work: Promise<unknown>, ms: number): Promise<void> {
  const timer = Promise.withResolvers<void>();
  const timeout = setTimeout(timer.resolve, ms);
  await Promise.race([work, timer.promise]);
  clearTimeout(timeout);
}

function starting(): AppError {
  return new AppError('unavailable', 'The server is starting.', { retryAfterSeconds: 1 });
}

function stopping(): AppError {
  return new AppError('unavailable', 'The server is stopping.', { retryAfterSeconds: 5 });
}

/** Set-up mode: health and the operator's site answer, nothing is sold. */
function missing({ mode, channels }: Config, url: string | null): AppError | null {
  if (url === null) {
    return notConfigured('set PUBLIC_URL to the address that clients dial.');
  }
  if (mode === 'sandbox' || channels.length > 0) return null;
  return notConfigured('it has nothing to sell. Open /admin, or set an upstream key.');
}

function notConfigured(how: string): AppError {
  return new AppError('not_configured', `This server is not set up: ${how}`, {
    retryAfterSeconds: 60,
  });
}
