import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { SYSTEM } from '../../src/ledger/ledger.ts';
import { openStore, type Store, type StoreOptions } from '../../src/ledger/store.ts';
import { silentLog } from '../../src/log.ts';
import { nanoUsd, type NanoUsd, parseUsd } from '../../src/money.ts';
import { verifyStore } from '../../src/verify.ts';

/** A clock that stands still until it is told. */
export function manualClock(start = Date.UTC(2026, 10, 21, 12)): Clock & { ms: number } {
  return {
    ms: start,
    nowMs() {
      return this.ms;
    },
  };
}

export interface TestStore extends Store {
  dataDir: string;
  clock: Clock & { ms: number };
  fatal: unknown[];
  /** A wallet account with money granted to it. */
  wallet(usd?: string): Promise<string>;
  available(accountId: string): Promise<number>;
  /** Fails the test unless every invariant holds. */
  check(): Promise<void>;
  reopen(options?: Partial<StoreOptions>): Promise<TestStore>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function testStore(
  options: Partial<StoreOptions> & { clock?: Clock & { ms: number } } = {},
): Promise<TestStore> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'farebox-')));
  const clock = options.clock ?? manualClock();
  const fatal: unknown[] = [];
  const store = await openStore({
    mode: 'sandbox',
    log: silentLog,
    onFatal: (error) => fatal.push(error),
    ...options,
    clock,
    dataDir,
  });
  let isOpen = true;
  const close = async () => {
    if (isOpen) await store.close();
    isOpen = false;
  };
  let wallets = 0;
  return {
    ...store,
    dataDir,
    clock,
    fatal,
    close,
    wallet: (usd = '1') => {
      wallets += 1;
      const address = `0x${wallets.toString(16).padStart(40, '0')}`;
      return store.ledger.write((tx) => grantTo(tx, address, parseUsd(usd)));
    },
    available: async (accountId) => {
      const { posted, held } = await store.accounts.balance(accountId);
      return posted - held;
    },
    check: async () => {
      const { faults } = await verifyStore({ dataDir, nowMs: clock.nowMs() });
      expect(faults).toEqual([]);
    },
    reopen: async (changed = {}) => {
      await close();
      return testStore({ ...options, ...changed, dataDir, clock });
    },
    [Symbol.asyncDispose]: async () => {
      await close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function grantTo(
  tx: Parameters<Parameters<Store['ledger']['write']>[0]>[0],
  address: string,
  amount: NanoUsd,
): Promise<string> {
  const id = await tx.walletAccount({ family: 'eip155', chain: '', address });
  if (amount > 0) {
    const ref = `grant ${address} ${tx.nowMs} ${Math.random()}`;
    await tx.post({ kind: 'GRANT', ref, debit: SYSTEM.grants, credit: id, amount });
  }
  return id;
}

export function reserveRequest(accountId: string, amount: number, more: object = {}) {
  return {
    accountId,
    keyId: null,
    amount: nanoUsd(amount),
    purpose: 'chat',
    model: 'm',
    requestId: 'r',
    priceVersion: 'p',
    ttlMs: 60_000,
    ...more,
  };
}
