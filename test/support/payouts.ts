/** The payouts of a till: the same store and rails, and an operator who is this machine itself. */
import { cp, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { Rails } from '../../src/chains/rails.ts';
import type { PayoutRow } from '../../src/db/tables.ts';
import { parseUsd } from '../../src/money.ts';
import { Payouts } from '../../src/payouts/payouts.ts';
import { testStore } from './store.ts';
import { openTill, type Till, type TillOptions } from './till.ts';

export interface Desk {
  till: Till;
  payouts: Payouts;
  /** A new process on the same store, not started. */
  restart(changed?: Partial<TillOptions>): Promise<Desk>;
  /** Lets `ms` pass and looks at what is due then. */
  later(ms: number): Promise<void>;
  /** Makes a payout of an account, by the treasury's key unless said otherwise. */
  pay(accountId: string, usd?: string, method?: 'embedded' | 'manual'): Promise<PayoutRow>;
  row(id: string): Promise<PayoutRow>;
  /** Amounts of the WITHDRAWAL entries in USDC units, after checking that every invariant holds. */
  withdrawals(): Promise<number[]>;
  close(): Promise<void>;
}

export async function openDesk(options: TillOptions): Promise<Desk> {
  return deskOf(await openTill(options));
}

function deskOf(till: Till): Desk {
  const { store, rails, clock } = till;
  const { ledger } = store;
  const keep =
    (level: string) =>
    (event: string, fields = {}) =>
      void till.lines.push({ level, event, fields });
  const log = {
    debug: keep('debug'),
    info: keep('info'),
    warn: keep('warn'),
    error: keep('error'),
  };
  const payouts = new Payouts({ ledger, rails: new Rails(rails), clock, log });
  return {
    till,
    payouts,
    restart: async (changed) => deskOf(await till.restart(changed)),
    later: async (ms) => {
      clock.ms += ms;
      await payouts.reconcile();
    },
    pay: (accountId, usd, method = 'embedded') =>
      payouts.make('cli', {
        accountId,
        amount: usd === undefined ? null : parseUsd(usd),
        method,
        reason: 'a test',
      }),
    row: (id) => payouts.get(id),
    withdrawals: async () => {
      await store.check();
      const made = (await till.entries()).filter(({ kind }) => kind === 'WITHDRAWAL');
      return made.map(({ amount }) => amount / 1_000);
    },
    close: async () => {
      await payouts.stop();
      await till[Symbol.asyncDispose]();
    },
  };
}

/** A second server on what the first has on disk now, as after restoring a backup. */
export async function restored(desk: Desk, options: TillOptions): Promise<Desk> {
  const { store } = desk.till;
  const dataDir = await mkdtemp(join(tmpdir(), 'farebox-restored-'));
  await cp(store.dataDir, dataDir, { recursive: true });
  return openDesk({ ...options, store: await testStore({ dataDir, clock: store.clock }) });
}

export async function heldOf({ till }: Desk, accountId: string): Promise<number> {
  return (await till.store.accounts.balance(accountId)).held;
}

/** The actions in the log of changes about something, oldest first. */
export async function actionsOn({ till }: Desk, target: string): Promise<string[]> {
  const rows = await till.store.ledger.read
    .selectFrom('audit_log')
    .selectAll()
    .where('target', '=', target)
    .orderBy('seq')
    .execute();
  for (const row of rows) expect(row.actor).not.toBe('');
  return rows.map(({ action }) => action);
}
