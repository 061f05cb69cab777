/** The composition root: builds each part once, in order. */
import { isDeepStrictEqual } from 'node:util';
import { audioPaths } from './audio/paths.ts';
import { createSiwx } from './auth/siwx.ts';
import { Sessions } from './auth/sessions.ts';
import { Web3Keys } from './auth/web3-key.ts';
import { Catalogue } from './catalogue.ts';
import { contractWalletVerifier } from './chains/contract-wallet.ts';
import { createRail } from './chains/index.ts';
import { secp256k1Engine } from './chains/secp256k1.ts';
import { Byok } from './chat/byok.ts';
import { createChats } from './chat/chats.ts';
import { type Clock, systemClock } from './clock.ts';
import type { ChannelConfig, Config } from './config/config.ts';
import { type DemoUpstream, startDemoUpstream } from './demo-upstream.ts';
import { AppError } from './errors.ts';
import { clientIp } from './http/client-ip.ts';
import { Origins, originsOf } from './http/origins.ts';
import type { RouteEntry } from './http/router.ts';
import { createHttpServer } from './http/server.ts';
import { KeySpending } from './keys/spending.ts';
import type { Ledger } from './ledger/ledger.ts';
import { openStore, type Store } from './ledger/store.ts';
import { createGuards } from './limits/guards.ts';
import { type Log, silentLog } from './log.ts';
import { OperatorAccounts } from './operator/accounts.ts';
import { Figures } from './operator/figures.ts';
import { OperatorLists } from './operator/lists.ts';
import { createMediaParts } from './media/parts.ts';
import type { MediaStore } from './media/store.ts';
import type { LookUpName } from './outbound-names.ts';
import { createMetrics } from './metrics/create.ts';
import { createWays } from './parts/ways.ts';
import { createTaskParts } from './parts/tasks.ts';
import { Payments } from './payments/payments.ts';
import { Payouts } from './payouts/payouts.ts';
import { PriceLists } from './price-lists.ts';
import { Presets } from './presets.ts';
import { Quotes } from './quotes.ts';
import { Cursors } from './usage/cursor.ts';
import { History } from './usage/history.ts';
import { RollUp } from './usage/roll-up.ts';
import { Usage } from './usage/usage.ts';
import { Vault } from './vault.ts';
import type { Tasks } from './tasks/tasks.ts';
import type { Webhooks } from './webhooks/webhooks.ts';

export interface Overrides {
  clock?: Clock;
  log?: Log;
  /** What the rails reach facilitators and chains with. */
  fetch?: typeof fetch;
  /** What names of callbacks and links to results stand for. */
  lookUp?: LookUpName;
  /** What the sandbox sells, instead of the demo upstream: base URL of an OpenAI-compatible server. */
  demoUrl?: string;
  pid?: number;
  /** The storage failed; the process must end. */
  onFatal?(error: unknown): void;
}

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
  const { payments, payouts, catalogue, byok } = parts;

  const gate = { closed: starting() as AppError | null, port: server.port };
  const http = createHttpServer({
    ...parts,
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
  });

  let paymentsStarted = Promise.resolve();
  opened.defer(async () => {
    gate.closed = stopping();
    parts.tasks.stopWaiting();
    await Promise.all([http.close(limits.drainMs), parts.tasks.stop(limits.drainMs)]);
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
      const port = await http.listen();
      gate.port = port;
      origins.set(originsOf(server, port));
      paymentsStarted = startPayments(parts, log);
      await atMost(paymentsStarted, RAILS_WAIT_MS);
      await parts.tasks.start();
      const url = origins.dialled(undefined) || null;
      gate.closed = url === null ? notConfigured() : null;
      sayListening(config, { port, url, log });
      return port;
    },
    reload: (next) => {
      catalogue.replace(next.models);
      parts.presets.replace(next.presets);
      ways.replace(channelsOf(next, demoUrl));
      byok.replace(next.byok);
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
] as const satisfies (keyof Config)[];

function unchangeable(config: Config, next: Config): string[] {
  return ONLY_AT_START.filter((name) => !isDeepStrictEqual(config[name], next[name]));
}

/** Everything below HTTP, in order; what must be closed again is on the stack. */
async function createParts(
  config: Config,
  tools: Tools,
  { origins, opened }: { origins: Origins; opened: AsyncDisposableStack },
) {
  const { clock, log } = tools;
  const { limits, creditUsd, mode } = config;
  const store = await openLedger(config, tools);
  opened.defer(() => store.close());
  const { ledger, accounts, keys, idempotency, reports } = store;

  const { demoUrl = opened.use(await startDemo(config))?.url ?? null } = tools;
  const catalogue = new Catalogue(config.models, limits.tokenizer);
  const channels = channelsOf(config, demoUrl);
  const ways = await createWays({ store, channels, limits, clock, log });
  opened.defer(() => ways.stop());
  const { routing, upstream, drift } = ways;
  const priceLists = new PriceLists({ ledger, catalogue, clock });
  await priceLists.start();
  const quotes = new Quotes({ priceLists, secret: store.secretFor('quotes'), clock });
  const vault = new Vault(ledger, store.masterKey.values);
  await vault.load();
  const byok = new Byok({ vault, routing, fee: config.byok });
  const money = { ledger, catalogue, quotes, creditUsd };
  const path = { ...money, byok, routing, upstream, drift, limits, clock, log };
  const chats = createChats(path);

  const { payments, payouts } = await createPayments(config, tools, store);
  const operator = { ...operatorParts(ledger, config), ...ways.forOperator };
  const figures = opened.use(createMetrics({ ...ways, mode, ledger, reports, clock, log }));
  const { metrics, requests } = figures;

  const usage = startReports(store, tools, opened);
  const origin = () => origins.dialled(undefined);
  const results = await createMediaParts({
    store,
    config,
    origin,
    clock,
    log,
    metrics,
    lookUp: tools.lookUp,
  });
  opened.defer(() => results.stop());
  const { media, webhooks } = results;
  const made = createTaskParts({ ...money, routing, media, webhooks, store, limits, clock, log });
  opened.defer(() => made.close());
  const spending = new KeySpending(ledger.read);
  const forHttp = {
    ledger,
    accounts,
    keys,
    spending,
    ...signInParts(config, clock, store, origins),
    payments,
    chats,
    audio: audioPaths(path),
    catalogue,
    presets: new Presets(config.presets),
    idempotency,
    quotes,
    vault,
    byok,
    media,
    webhooks,
    tasks: made.tasks,
    metrics,
    requests,
    ...usage,
  };
  return { store, ways, demoUrl, payouts, operator, ...forHttp };
}

/** The ways in which wallets and operators sign in. */
function signInParts({ siwx, payments }: Config, clock: Clock, store: Store, origins: Origins) {
  const { ledger, keys } = store;
  const useNonce = (id: string, expiresAtMs: number) => ledger.useNonce(id, expiresAtMs);
  return {
    siwx: createSiwx({
      siwx,
      origins: origins.list,
      networks: payments.networks.map(({ network }) => network),
      useNonce,
      verifyContractWallet: contractWalletVerifier(payments.networks),
      clock,
    }),
    sessions: new Sessions({ ledger, keys, clock, secret: store.secretFor('admin sessions') }),
    web3Keys: new Web3Keys({ secret: store.secretFor('web3 keys'), clock, useNonce }),
  };
}

async function createPayments(config: Config, tools: Tools, store: Store) {
  const { clock, log } = tools;
  const { ledger, accounts } = store;
  const rails = await createRails(config, tools);
  const payments = new Payments({
    ledger,
    accounts,
    rails,
    config: config.payments,
    clock,
    log,
    box: store.boxFor('payments'),
  });
  return { payments, payouts: new Payouts({ ledger, rails, clock, log }) };
}

function operatorParts(ledger: Ledger, { payments: config }: Config) {
  return {
    accounts: new OperatorAccounts({ ledger, config }),
    lists: new OperatorLists(ledger.read),
    figures: new Figures(ledger.read),
  };
}

/** What was used: sums by day, made behind what is charged, and the entries themselves. */
function startReports(store: Store, { clock, log }: Tools, opened: AsyncDisposableStack) {
  const rollUp = new RollUp({ ledger: store.ledger, log });
  rollUp.start();
  opened.defer(() => rollUp.stop());
  return {
    usage: new Usage(store.reports),
    history: new History(store.reports),
    cursors: new Cursors(store.boxFor('usage history'), clock),
  };
}

type Tools = Overrides & Required<Pick<Overrides, 'clock' | 'log'>>;

async function openLedger(config: Config, { clock, log, pid = 0, onFatal }: Tools): Promise<Store> {
  const { dataDir, mode, secrets } = config;
  const store = await openStore({
    dataDir,
    mode,
    masterKey: secrets.masterKey,
    newMasterKey: secrets.newMasterKey,
    clock,
    log,
    pid,
    onFatal: (error) => {
      log.error('storage_failed', { error });
      onFatal?.(error);
    },
  });
  if (secrets.adminKey) {
    await store.keys.add(secrets.adminKey, { type: 'ADMIN', description: 'FAREBOX_ADMIN_KEY' });
  }
  return store;
}

function startDemo({ mode, demo }: Config): Promise<DemoUpstream | null> {
  return mode === 'sandbox' ? startDemoUpstream(demo) : Promise.resolve(null);
}

/** The sandbox ignores real channels: all of its own lead to the demo upstream. */
function channelsOf({ mode, channels }: Config, demoUrl: string | null): ChannelConfig[] {
  if (mode !== 'sandbox' || demoUrl === null) return channels;
  return channels.map((channel) => ({ ...channel, baseUrl: demoUrl }));
}

function createRails({ payments, dataDir, mode }: Config, { clock, log, fetch }: Tools) {
  const options = { clock, log, dataDir, mode, ...(fetch && { fetch }) };
  return Promise.all(payments.networks.map((network) => createRail(network, options)));
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

function notConfigured(): AppError {
  return new AppError(
    'not_configured',
    'This server is not set up: set PUBLIC_URL to the address that clients dial.',
    { retryAfterSeconds: 60 },
  );
}
