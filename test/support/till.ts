/** The payments of a server on a real store and real rails, and a clock that runs and can be set forward. */
import { expect } from 'vitest';
import type { Rail } from '../../src/chains/chain.ts';
import { createRail } from '../../src/chains/index.ts';
import { Rails } from '../../src/chains/rails.ts';
import type { Clock } from '../../src/clock.ts';
import type { NetworkConfig, PaymentsConfig } from '../../src/config/config.ts';
import { AppError } from '../../src/errors.ts';
import type { Log, LogFields } from '../../src/log.ts';
import { parseUsd } from '../../src/money.ts';
import { type PaymentHeader, readPaymentHeader } from '../../src/payments/header.ts';
import { Payments } from '../../src/payments/payments.ts';
import { evmNetwork, paymentHeader } from './evm-payment.ts';
import { testStore, type TestStore } from './store.ts';

export type TestClock = Clock & { ms: number };

/** Runs with the real time, and jumps when `ms` is set. */
export function runningClock(): TestClock {
  let offset = 0;
  return {
    get ms() {
      return Date.now() + offset;
    },
    set ms(to) {
      offset = to - Date.now();
    },
    nowMs() {
      return this.ms;
    },
  };
}

export interface TillOptions {
  networks: NetworkConfig[];
  config?: Partial<PaymentsConfig>;
  settleTimeoutMs?: number;
  inlineWaitMs?: number;
  store?: TestStore;
  clock?: TestClock;
}

export interface Till {
  store: TestStore;
  payments: Payments;
  rails: Rail[];
  clock: TestClock;
  /** Every line of the log. */
  lines: { level: string; event: string; fields: LogFields }[];
  /** The same store with a new process's payments, not started; with other settings when given. */
  restart(changed?: Partial<TillOptions>): Promise<Till>;
  /** Lets `ms` pass and reconciles what is due then. */
  later(ms: number): Promise<void>;
  entries(): Promise<{ kind: string; ref: string; amount: number }[]>;
  /** Units of the DEPOSIT entries, after checking that every invariant holds. */
  deposits(): Promise<number[]>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function openTill(options: TillOptions): Promise<Till> {
  const clock = options.clock ?? runningClock();
  const store = options.store ?? (await testStore({ clock }));
  const lines: Till['lines'] = [];
  const log = keepLines(lines);
  const rails = await Promise.all(
    options.networks.map((network) =>
      createRail(network, {
        clock,
        log,
        dataDir: store.dataDir,
        mode: network.facilitator.kind === 'sandbox' ? 'sandbox' : 'live',
        settleTimeoutMs: options.settleTimeoutMs ?? 3_000,
      }),
    ),
  );
  const { ledger, accounts } = store;
  const payments = new Payments({
    ledger,
    accounts,
    rails: new Rails(rails),
    config: { ...paymentsConfig(options.networks), ...options.config },
    clock,
    log,
    box: store.boxFor('payments'),
    inlineWaitMs: options.inlineWaitMs ?? 100,
  });
  const entries = () =>
    ledger.read.selectFrom('entries').select(['kind', 'ref', 'amount']).orderBy('seq').execute();
  return {
    store,
    payments,
    rails,
    clock,
    lines,
    entries,
    restart: async (changed = {}) =>
      openTill({ ...options, ...changed, clock, store: await store.reopen() }),
    later: async (ms) => {
      clock.ms += ms;
      await payments.reconcile();
    },
    deposits: async () => {
      await store.check();
      const made = (await entries()).filter(({ kind }) => kind === 'DEPOSIT');
      return made.map(({ amount }) => amount / 1_000);
    },
    [Symbol.asyncDispose]: async () => {
      await payments.stop();
      await store[Symbol.asyncDispose]();
    },
  };
}

function keepLines(lines: Till['lines']): Log {
  const keep =
    (level: string) =>
    (event: string, fields: LogFields = {}) =>
      void lines.push({ level, event, fields });
  return { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') };
}

export function paymentsConfig(networks: NetworkConfig[]): PaymentsConfig {
  return {
    minimumTopUp: parseUsd('1'),
    inlineMinimum: parseUsd('0.05'),
    suggestedTopUp: parseUsd('10'),
    maximumTopUp: parseUsd('10000'),
    minimumBalance: parseUsd('0.01'),
    exposurePerPayer: parseUsd('50'),
    exposureTotal: parseUsd('500'),
    adjustConfirm: parseUsd('100'),
    adjustDaily: parseUsd('1000'),
    networks,
  };
}

/** The play chain of a test network. */
export function playNetwork(overrides: Partial<NetworkConfig> = {}): NetworkConfig {
  return evmNetwork({ kind: 'sandbox' }, null, { network: 'eip155:84532', ...overrides });
}

/** A payload as it comes in, read from its header. */
export function cameAs(
  network: NetworkConfig,
  payload: unknown,
  dialect: 'v1' | 'v2' | 'hybrid' = 'v2',
  extra: Record<string, unknown> = {},
): PaymentHeader {
  const names = { v1: 'X-PAYMENT', v2: 'PAYMENT-SIGNATURE', hybrid: 'X-402-Payment' };
  const value = paymentHeader(dialect, network, payload, extra);
  return readPaymentHeader([{ name: names[dialect], value }]);
}

/** What it fails with; throws when it does not fail with an AppError. */
export async function refusalOf(work: Promise<unknown>): Promise<AppError> {
  const error: unknown = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof AppError) return error;
  throw error instanceof Error ? error : new Error('it was not refused');
}

export async function expectPending(work: Promise<unknown>): Promise<string> {
  const { code, retryAfterSeconds, details } = await refusalOf(work);
  expect({ code, retryAfterSeconds }).toEqual({ code: 'payment_pending', retryAfterSeconds: 5 });
  return String(details?.['paymentId']);
}
