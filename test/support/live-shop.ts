/** The whole server, paid on a chain of its own, and settings that a test exchanges while it runs. */
import { rm } from 'node:fs/promises';
import { expect } from 'vitest';
import type { Config, NetworkConfig } from '../../src/config/config.ts';
import { type Answer, type AppOptions, startApp, type TestApp } from './app.ts';
import { evmNetwork, paymentHeader } from './evm-payment.ts';
import { type EvmShop, FIVE, type Signed } from './evm-till.ts';
import { runningClock, type TestClock } from './till.ts';

export interface LiveShop {
  app: TestApp;
  clock: TestClock;
  /** Takes other networks into use while the server runs. */
  reload(networks: NetworkConfig[]): Promise<void>;
  /** The same directory with a new process. */
  restart(networks: NetworkConfig[]): Promise<void>;
  /** Sends a payment for a top-up. */
  topUp(signed: Signed): Promise<Answer>;
  /** Lets `ms` pass and looks at what is due then. */
  later(ms: number): Promise<void>;
  /** USDC units of the entries of a kind, after checking that every invariant holds. */
  moved(kind: 'DEPOSIT' | 'WITHDRAWAL'): Promise<number[]>;
  close(): Promise<void>;
}

/** What a header names; nothing of it counts but the network. */
const NAMED = evmNetwork({ kind: 'sandbox' }, null);
const SETTLE_MS = 400;
const INLINE_MS = 50;

export async function openLiveShop(networks: NetworkConfig[]): Promise<LiveShop> {
  const clock = runningClock();
  const start = (given: NetworkConfig[], options: AppOptions = {}) =>
    startApp({
      clock,
      settleTimeoutMs: SETTLE_MS,
      inlineWaitMs: INLINE_MS,
      ...options,
      change: (config) => {
        config.mode = 'live';
        config.payments.networks = given;
      },
    });
  const live: LiveShop = {
    app: await start(networks),
    clock,
    reload: async (next) => {
      const { config } = live.app.app;
      const payments = { ...config.payments, networks: next };
      const changed: Config = { ...config, payments };
      await live.app.app.reload(changed);
    },
    restart: async (next) => {
      const { dataDir } = live.app;
      await live.app.stop();
      live.app = await start(next, { dataDir });
    },
    topUp: async (signed) =>
      live.app.post('/api/v1/x402/top-up', '{}', {
        'payment-signature': paymentHeader('v2', NAMED, signed.payload),
      }),
    later: async (ms) => {
      clock.ms += ms;
      await live.app.app.payments.reconcile();
      await live.app.app.payouts.reconcile();
    },
    moved: async (kind) => {
      await live.app.check();
      const entries = await live.app.app.store.ledger.read
        .selectFrom('entries')
        .select('amount')
        .where('kind', '=', kind)
        .execute();
      return entries.map(({ amount }) => amount / 1_000);
    },
    close: async () => {
      await live.app.stop();
      await rm(live.app.dataDir, { recursive: true, force: true });
    },
  };
  return live;
}

/** The endpoint is dark from the moment that it was handed a transaction. Resolves then. */
export function darkAfterSending(shop: EvmShop): Promise<void> {
  const sent = Promise.withResolvers<void>();
  let isDark = false;
  shop.proxy.rule = ({ method }) => {
    if (isDark) return 'cut';
    if (method !== 'eth_sendRawTransaction') return 'forward';
    isDark = true;
    sent.resolve();
    return 'forward';
  };
  return sent.promise;
}

/** A payment that was broadcast, and of which nobody here knows what became; the chain stays dark. */
export async function pendingPayment(shop: EvmShop, live: LiveShop): Promise<Signed> {
  const signed = await shop.pay({ units: FIVE });
  const sent = darkAfterSending(shop);
  const answer = await live.topUp(signed);
  await sent;
  expect({ status: answer.status, code: answer.json['code'] }).toEqual({
    status: 503,
    code: 'X402_SETTLEMENT_PENDING',
  });
  return signed;
}
