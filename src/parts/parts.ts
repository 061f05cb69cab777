/** Every part of a server below HTTP that outlives a reload, built once and in order; what a reload makes anew is in front.ts. */
import type { IncomingMessage } from 'node:http';
import { Sessions } from '../auth/sessions.ts';
import { Web3Keys } from '../auth/web3-key.ts';
import { Catalogue } from '../catalogue.ts';
import { Rails } from '../chains/rails.ts';
import { Byok } from '../chat/byok.ts';
import { type Clock } from '../clock.ts';
import type { ChannelConfig, Config } from '../config/config.ts';
import { takeInto } from '../config/live.ts';
import { type DemoUpstream, startDemoUpstream } from '../demo-upstream.ts';
import { OpenNow } from '../http/open-now.ts';
import type { Origins } from '../http/origins.ts';
import { KeySpending } from '../keys/spending.ts';
import { openStore, type Store } from '../ledger/store.ts';
import { createGuards, replaceGuards } from '../limits/guards.ts';
import { type Log } from '../log.ts';
import { createMediaParts } from '../media/parts.ts';
import type { LookUpName } from '../outbound-names.ts';
import { createMetrics } from '../metrics/create.ts';
import { createOperatorParts } from './operator.ts';
import { createWays } from './ways.ts';
import { type SiteTools } from './site.ts';
import { createTaskParts } from './tasks.ts';
import { NO_UPKEEP } from '../operator/upkeep.ts';
import { NetworkMemory } from '../payments/networks.ts';
import { Payments } from '../payments/payments.ts';
import { Payouts } from '../payouts/payouts.ts';
import { PriceLists } from '../price-lists.ts';
import { Presets } from '../presets.ts';
import { Quotes } from '../quotes.ts';
import { Cursors } from '../usage/cursor.ts';
import { History } from '../usage/history.ts';
import { RollUp } from '../usage/roll-up.ts';
import { Usage } from '../usage/usage.ts';
import { Vault } from '../vault.ts';

export interface Overrides {
  clock?: Clock;
  log?: Log;
  /** What the rails reach facilitators and chains with. */
  fetch?: typeof fetch;
  /** See RailOptions. */
  settleTimeoutMs?: number;
  /** See SettlerOptions. */
  inlineWaitMs?: number;
  /** What names of callbacks and links to results stand for. */
  lookUp?: LookUpName;
  /** What the sandbox sells, instead of the demo upstream: base URL of an OpenAI-compatible server. */
  demoUrl?: string;
  pid?: number;
  /** Whose requests are answered at all; everybody's where it is left out. */
  admits?(request: IncomingMessage): boolean;
  /** What the operator's site may do with the process. */
  site?: SiteTools;
  /** The storage failed; the process must end. */
  onFatal?(error: unknown): void;
}

export type Parts = Awaited<ReturnType<typeof createParts>>;

/**
 * Other settings, all at once. The catalogue first: it throws, before anything is changed, where a price cannot be used. `live`: what the
 * parts were made with.
 */
export function takeOver(parts: Parts, live: Config, next: Config): void {
  const { catalogue, presets, ways, mediaWays, byok, guards, tasks, results, demoUrl } = parts;
  catalogue.replace(next.models, next.limits.tokenizer);
  takeInto(live, next);
  presets.replace(next.presets);
  ways.replace(channelsOf(next, demoUrl), next.limits);
  mediaWays.retain(ways.routing.channels());
  byok.replace(next.byok);
  replaceGuards(guards, next.limits);
  tasks.replace(next);
  results.replace(next);
}

/** In order; what must be closed again is on the stack. `config`: see liveConfig. */
export async function createParts(
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
  const { routing } = ways;
  const priceLists = new PriceLists({ ledger, catalogue, clock });
  await priceLists.start();
  const quotes = new Quotes({ priceLists, secret: store.secretFor('quotes'), clock });
  const vault = new Vault(ledger, store.masterKey.values);
  await vault.load();
  const byok = new Byok({ vault, routing, fee: config.byok });
  const money = { ledger, catalogue, quotes, creditUsd };

  const { payments, payouts, rails, networks } = await createPayments(config, tools, store);
  const told = { mode, ledger, reports, upkeep: tools.site?.upkeep ?? NO_UPKEEP, clock, log };
  const { metrics, requests } = opened.use(createMetrics({ ...ways, ...told }));
  const operator = createOperatorParts({ ...told, store, config, rails, ways, requests });

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
  const shop = { ...money, byok, routing, media, webhooks, store, limits, metrics };
  const made = createTaskParts({ ...shop, clock, log });
  opened.defer(() => made.close());
  const forHttp = {
    ledger,
    accounts,
    keys,
    ...signInParts(store, clock),
    spending: new KeySpending(ledger.read),
    guards: createGuards(limits, clock),
    payments,
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
    openNow: new OpenNow(),
    ...usage,
  };
  const rest = { ways, mediaWays: made, results, rails, networks, demoUrl };
  return { store, payouts, operator, ...rest, ...forHttp };
}

/** Of operators, and of keys that a wallet signs for. */
function signInParts(store: Store, clock: Clock) {
  const { ledger, keys } = store;
  return {
    sessions: new Sessions({ ledger, keys, clock, secret: store.secretFor('admin sessions') }),
    web3Keys: new Web3Keys({
      secret: store.secretFor('web3 keys'),
      clock,
      useNonce: nonces(store),
    }),
  };
}

/** Takes what a signature may be used with once. */
export function nonces({ ledger }: Store): (id: string, expiresAtMs: number) => Promise<boolean> {
  return (id, expiresAtMs) => ledger.useNonce(id, expiresAtMs);
}

async function createPayments(config: Config, tools: Tools, store: Store) {
  const { clock, log, inlineWaitMs } = tools;
  const { ledger, accounts } = store;
  const { networks } = config.payments;
  const rails = await Rails.make(networks, railOptions(config, tools));
  const memory = new NetworkMemory({ ledger, box: store.boxFor('networks'), log });
  await rails.lookAfter(await memory.missing(networks));
  await memory.keep(networks);
  const payments = new Payments({
    ledger,
    accounts,
    rails,
    config: config.payments,
    clock,
    log,
    box: store.boxFor('payments'),
    ...(inlineWaitMs !== undefined && { inlineWaitMs }),
  });
  const payouts = new Payouts({ ledger, rails, clock, log });
  return { payments, payouts, rails, networks: memory };
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

export type Tools = Overrides & Required<Pick<Overrides, 'clock' | 'log'>>;

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
export function channelsOf({ mode, channels }: Config, demoUrl: string | null): ChannelConfig[] {
  if (mode !== 'sandbox' || demoUrl === null) return channels;
  return channels.map((channel) => ({ ...channel, baseUrl: demoUrl }));
}

function railOptions({ dataDir, mode }: Config, { clock, log, fetch, settleTimeoutMs }: Tools) {
  const bounds = settleTimeoutMs === undefined ? {} : { settleTimeoutMs };
  return { clock, log, dataDir, mode, ...bounds, ...(fetch && { fetch }) };
}
