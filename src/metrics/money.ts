/** Families about money: entries as they are written, and balances and payments as they stand, read at most every few seconds. */
import { type Kysely, sql } from 'kysely';
import type { Clock } from '../clock.ts';
import type { Tables } from '../db/tables.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { NANO_PER_USD } from '../money.ts';
import { keptFor } from './kept.ts';
import type { Metrics, Sample } from './metrics.ts';

/** A look at every account costs a few milliseconds; nobody needs it more often. */
const KEPT_MS = 10_000;

export interface MoneyOptions {
  ledger: Pick<Ledger, 'counters' | 'queued'>;
  /** A connection on which a long statement keeps nobody waiting. */
  reports: Kysely<Tables>;
  clock: Clock;
}

export function addMoney(metrics: Metrics, { ledger, reports, clock }: MoneyOptions): void {
  const entries = (value: (sum: { count: number; nano: bigint }) => number) => () =>
    Array.from(ledger.counters.entries, ([kind, sum]) => ({
      labels: { kind },
      value: value(sum),
    }));
  metrics.add({
    name: 'farebox_entries_total',
    help: 'Ledger entries written since the start.',
    kind: 'counter',
    labels: ['kind'],
    collect: entries(({ count }) => count),
  });
  metrics.add({
    name: 'farebox_entries_usd_total',
    help: 'US dollars moved by ledger entries since the start.',
    kind: 'counter',
    labels: ['kind'],
    collect: entries(({ nano }) => Number(nano) / NANO_PER_USD),
  });
  metrics.addTally({
    name: 'farebox_batch_operations',
    help: 'Operations that shared one commit.',
    collect: () => [{ tally: ledger.counters.sizes }],
  });
  metrics.add({
    name: 'farebox_writes_waiting',
    help: 'Operations that wait for the next commit.',
    kind: 'gauge',
    collect: () => [{ value: ledger.queued }],
  });
  addStanding(
    metrics,
    keptFor(clock, KEPT_MS, () => standing(reports)),
  );
}

interface Standing {
  accounts: { kind: string; accounts: number; posted: number; held: number }[];
  openHolds: number;
  payments: { state: string; count: number }[];
  payouts: { state: string; count: number }[];
}

function addStanding(metrics: Metrics, read: () => Promise<Standing>): void {
  const add = (
    name: string,
    help: string,
    labels: string[],
    samples: (now: Standing) => Sample[],
  ): void => {
    const collect = async () => samples(await read());
    metrics.add({ name, help, kind: 'gauge', labels, collect });
  };
  const ofAccounts = (field: 'posted' | 'held') => (now: Standing) =>
    now.accounts.map(({ kind, [field]: nano }) => ({
      labels: { kind },
      value: nano / NANO_PER_USD,
    }));
  const counted = (of: 'payments' | 'payouts') => (now: Standing) =>
    now[of].map(({ state, count }) => ({ labels: { state }, value: count }));
  add(
    'farebox_balance_usd',
    'Sum of balances: of wallets, what the operator owes its customers.',
    ['kind'],
    ofAccounts('posted'),
  );
  add('farebox_held_usd', 'Set aside for work under way.', ['kind'], ofAccounts('held'));
  add('farebox_accounts', 'Accounts.', ['kind'], (now) =>
    now.accounts.map(({ kind, accounts }) => ({ labels: { kind }, value: accounts })),
  );
  add('farebox_holds_open', 'Holds that are not resolved.', [], (now) => [
    { value: now.openHolds },
  ]);
  add('farebox_payments', 'Payments by state.', ['state'], counted('payments'));
  add('farebox_payouts', 'Payouts by state.', ['state'], counted('payouts'));
}

async function standing(db: Kysely<Tables>): Promise<Standing> {
  const accounts = await db
    .selectFrom('accounts')
    .select(['kind', sql<number>`count(*)`.as('accounts')])
    .select([sql<number>`sum(posted)`.as('posted'), sql<number>`sum(held)`.as('held')])
    .groupBy('kind')
    .execute();
  const holds = await db
    .selectFrom('holds')
    .select(sql<number>`count(*)`.as('count'))
    .where('state', '=', 'open')
    .executeTakeFirst();
  const counted = (table: 'payments' | 'payouts') =>
    db
      .selectFrom(table)
      .select(['state', sql<number>`count(*)`.as('count')])
      .groupBy('state')
      .execute();
  return {
    accounts,
    openHolds: holds?.count ?? 0,
    payments: await counted('payments'),
    payouts: await counted('payouts'),
  };
}
