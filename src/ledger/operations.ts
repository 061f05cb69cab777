/** The words of the ledger: what callers ask for, what they get, and how the writer keeps it. */
import type { Kysely } from 'kysely';
import type { Wallet } from '../auth/principal.ts';
import type { EntryKind, HoldRow, Tables } from '../db/tables.ts';
import type { NanoUsd } from '../money.ts';

/** System accounts have no balance row: their balance is the sum of their entries. */
export const SYSTEM = {
  revenue: 'sys:revenue',
  shortfall: 'sys:shortfall',
  grants: 'sys:grants',
  adjustments: 'sys:adjustments',
  clearing: (network: string): string => `sys:clearing:${network}`,
};

export function isSystemAccount(account: string): boolean {
  return account.startsWith('sys:');
}

export interface Balance {
  posted: NanoUsd;
  held: NanoUsd;
}

export interface ReserveRequest {
  /** Of the hold, where its row must be found by something written before; a fresh one by default. */
  holdId?: string | undefined;
  accountId: string;
  keyId: string | null;
  /** Keys that the key comes from, nearest first; its spending counts against each of them. */
  ancestors?: readonly string[];
  /** The ceiling: the most the request can cost. */
  amount: NanoUsd;
  /** The smallest hold that still serves; defaults to `amount`. The hold is the most available between the two. */
  atLeast?: NanoUsd;
  /** What must be available whatever the request costs; nothing by default. */
  minimumAvailable?: NanoUsd;
  purpose: string;
  model: string | null;
  requestId: string | null;
  priceVersion: string | null;
  /** After this the sweeper gives the hold back, whatever became of the request. */
  ttlMs: number;
}

export interface Hold {
  id: string;
  accountId: string;
  keyId: string | null;
  ancestors: readonly string[];
  amount: NanoUsd;
  /** The windows of the key that the hold counts in, whenever it is captured. */
  day: string;
  month: string;
  requestId: string | null;
  model: string | null;
  /** Right after the hold was taken. */
  balance: Balance;
  /** What the tightest limit of its keys left then; null without a limit. */
  limitLeft: NanoUsd | null;
}

export interface Resolution {
  charged: NanoUsd;
  shortfall: NanoUsd;
  balance: Balance;
  /** What the tightest limit of the hold's keys leaves now; null without a limit. */
  limitLeft: NanoUsd | null;
  wasResolvedBefore: boolean;
}

export interface NewEntry {
  kind: EntryKind;
  ref: string;
  debit: string;
  credit: string;
  amount: NanoUsd;
  requestId?: string;
  model?: string;
}

export interface WriteTx {
  readonly db: Kysely<Tables>;
  /** Ledger time: never earlier than any entry before it. */
  readonly nowMs: number;
  /** Appends one entry and moves the customer's posted balance; answers that balance (0 between system accounts). */
  post(entry: NewEntry): Promise<NanoUsd>;
  /** As Ledger.reserve, together with whatever else this operation writes. */
  reserve(request: ReserveRequest): Promise<Hold>;
  /** As Ledger.capture, together with whatever else this operation writes. Throws where the hold was resolved before. */
  capture(hold: Hold, cost: NanoUsd, usage: string | null): Promise<Resolution>;
  /** As Ledger.void, in the same way. */
  void(hold: Hold): Promise<Resolution>;
  /** The account of a wallet, opened when it has none. */
  walletAccount(wallet: Wallet): Promise<string>;
}

/** One entry on its way into a batch, in the order of the table's columns. */
export type EntryTuple = [
  seq: number,
  at: number,
  kind: EntryKind,
  ref: string,
  debit: string,
  credit: string,
  amount: number,
  balanceAfter: number | null,
  requestId: string | null,
  model: string | null,
];

export const ENTRY_COLUMNS = [
  'seq',
  'at',
  'kind',
  'ref',
  'debit_account',
  'credit_account',
  'amount',
  'balance_after',
  'request_id',
  'model',
] as const;

interface Settle<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

export interface ReserveOp extends Settle<Hold> {
  type: 'reserve';
  request: ReserveRequest;
}

export interface ResolveOp extends Settle<Resolution> {
  type: 'resolve';
  hold: Hold;
  state: Exclude<HoldRow['state'], 'open'>;
  cost: NanoUsd;
  usage: string | null;
}

export interface NonceOp extends Settle<boolean> {
  type: 'nonce';
  id: string;
  expiresAtMs: number;
}

export interface WriteOp extends Settle<unknown> {
  type: 'write';
  run(tx: WriteTx): Promise<unknown>;
}

export type FastOp = ReserveOp | ResolveOp | NonceOp;
export type Op = FastOp | WriteOp;
