/** The composition root: builds each part once, in order. */
import { Catalogue } from './catalogue.ts';
import { contractWalletVerifier } from './chains/contract-wallet.ts';
import { createRail } from './chains/index.ts';
import { secp256k1Engine } from './chains/secp256k1.ts';
import { createSiwx } from './auth/siwx.ts';
import { Chat } from './chat/chat.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Config } from './config/config.ts';
import { type DemoUpstream, startDemoUpstream } from './demo-upstream.ts';
import { AppError } from './errors.ts';
import { createHttpServer } from './http/server.ts';
import { openStore, type Store } from './ledger/store.ts';
import { type Log, silentLog } from './log.ts';
import { Payments } from './payments/payments.ts';
import { Routing } from './routing.ts';
import { Upstream } from './upstream.ts';

export interface Overrides {
  clock?: Clock;
  log?: Log;
  pid?: number;
  /** The storage failed; the process must end. */
  onFatal?(error: unknown): void;
}

export interface App {
  config: Config;
  store: Store;
  payments: Payments;
  /** Serves; answers the port. */
  listen(): Promise<number>;
  /** Ends what is under way, within the configured time, and closes everything. */
  close(): Promise<void>;
}

export async function createApp(config: Config, overrides: Overrides = {}): Promise<App> {
  const clock = overrides.clock ?? systemClock;
  const log = overrides.log ?? silentLog;
  const { dataDir, mode } = config;
  const store = await openStore({
    dataDir,
    mode,
    masterKey: config.secrets.masterKey,
    clock,
    log,
    pid: overrides.pid ?? 0,
    onFatal: (error) => {
      log.error('storage_failed', { error });
      overrides.onFatal?.(error);
    },
  });
  const demo = mode === 'sandbox' ? await startDemoUpstream() : null;
  const rails = await Promise.all(
    config.payments.networks.map((network) => createRail(network, { clock, log, dataDir, mode })),
  );
  const { ledger, accounts, keys } = store;
  if (config.secrets.adminKey) {
    await keys.add(config.secrets.adminKey, { type: 'ADMIN', description: 'FAREBOX_ADMIN_KEY' });
  }
  const payments = new Payments({ ledger, accounts, rails, config: config.payments, clock, log });
  const catalogue = new Catalogue(config.models);
  const upstream = new Upstream(config.limits);
  const routing = new Routing(demo ? demoChannels(config, demo) : config.channels);
  const { limits } = config;
  const chat = new Chat({ ledger, catalogue, routing, upstream, limits, clock, log });
  const origins: string[] = [];
  const state = {
    closed: new AppError('unavailable', 'The server is starting.') as AppError | null,
  };
  const siwx = createSiwx({
    siwx: config.siwx,
    origins,
    networks: config.payments.networks.map(({ network }) => network),
    useNonce: (id, expiresAtMs) => ledger.useNonce(id, expiresAtMs),
    verifyContractWallet: contractWalletVerifier(config.payments.networks),
    clock,
  });
  const http = createHttpServer({
    keys,
    accounts,
    siwx,
    payments,
    config: config.payments,
    origins,
    log,
    chat,
    catalogue,
    limits,
    server: config.server,
    closedBecause: () => state.closed,
  });
  return {
    config,
    store,
    payments,
    listen: async () => {
      const port = await http.listen();
      origins.push(...originsOf(config, port));
      await payments.start();
      state.closed = origins.length ? null : notConfigured();
      log.info('listening', {
        port,
        mode,
        secp256k1: secp256k1Engine(),
        isConfigured: origins.length > 0,
      });
      return port;
    },
    close: async () => {
      state.closed = new AppError('unavailable', 'The server is stopping.', {
        retryAfterSeconds: 5,
      });
      await http.close(limits.drainMs);
      await payments.stop();
      await upstream.close();
      await demo?.close();
      await store.close();
    },
  };
}

function demoChannels(config: Config, demo: DemoUpstream): Config['channels'] {
  return config.channels.map((channel) => ({ ...channel, baseUrl: demo.url }));
}

/** PUBLIC_URL alone; a server that only this machine reaches may go without and is dialled by its loopback names. */
function originsOf({ server }: Config, port: number): string[] {
  if (server.publicUrl !== null) return [server.publicUrl];
  const isLoopback = /^(localhost|127(\.\d{1,3}){3}|::1)$/.test(server.host);
  const names = ['127.0.0.1', 'localhost', '[::1]'];
  return isLoopback ? names.map((name) => `http://${name}:${port}`) : [];
}

function notConfigured(): AppError {
  return new AppError(
    'not_configured',
    'This server is not set up: set PUBLIC_URL to the address that clients dial.',
    { retryAfterSeconds: 60 },
  );
}
