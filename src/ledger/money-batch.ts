/**
 * The set-based half of a batch: holds, resolutions and nonces that arrived together. Every counter they touch is read once,
 * each is decided in arrival order in memory (a refusal consumes nothing), and the outcome is written by one statement
 * over JSON arrays that still carries the guards. A guard that does not hold throws GuardMiss: the writer rolls back and applies
 * the operations one by one.
 */
import { GuardMiss } from '../db/errors.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';
import { nanoUsd, ZERO_USD } from '../money.ts';
import {
  type Balance,
  type EntryTuple,
  type FastOp,
  type Hold,
  type ReserveOp,
  type ReserveRequest,
  type ResolveOp,
  SYSTEM,
} from './operations.ts';
import { countWindows, keyIds, limitLeft, refuseKeys, spendable } from './key-windows.ts';
import type { AccountState, KeyState, Statements, Writes } from './statements.ts';

export interface BatchContext {
  statements: Statements;
  nowMs: number;
  /** The UTC day and month of nowMs. */
  day: string;
  month: string;
  instance: string;
  /** Adds an entry to the batch; its seq is assigned in order. */
  addEntry(entry: Omit2<EntryTuple>): void;
  /** Windows known to have a row already. */
  windows: Set<string>;
}

type Omit2<T extends unknown[]> = T extends [unknown, unknown, ...infer Rest] ? Rest : never;

type Outcome = () => void;

/** `cap`: the limit in force in this window; null without one. */
export type WindowMove = [
  key: string,
  period: string,
  start: string,
  captured: number,
  held: number,
  cap: number | null,
];

export interface Plan {
  accounts: Map<string, AccountState>;
  keys: Map<string, KeyState>;
  moves: Map<string, [posted: number, held: number]>;
  windows: Map<string, WindowMove>;
  holds: unknown[][];
  resolutions: unknown[][];
  /** Captured holds that cost nothing. */
  free: unknown[][];
  seen: Set<string>;
  outcomes: Outcome[];
}

export interface Decided {
  /** What to write, beside the entries. */
  writes: Writes;
  /** What to tell each caller once the batch is durable. */
  outcomes: Outcome[];
}

/** Decides the operations, in their order; writes nothing but nonces. */
export async function decide(ops: readonly FastOp[], batch: BatchContext): Promise<Decided> {
  const { statements, day, month } = batch;
  const plan: Plan = {
    ...(await statements.state(
      accountIds(ops).map((id) => [id]),
      keyIds(ops).map((id) => [id, day, month]),
    )),
    moves: new Map(),
    windows: new Map(),
    holds: [],
    resolutions: [],
    free: [],
    seen: new Set(),
    outcomes: [],
  };
  const nonces = ops.filter((op) => op.type === 'nonce');
  const fresh = nonces.length
    ? await statements.insertNonces(nonces.map((op) => [op.id, op.expiresAtMs]))
    : null;
  for (const op of ops) {
    if (op.type === 'reserve') decideReserve(op, plan, batch);
    else if (op.type === 'resolve') decideResolve(op, plan, batch);
    else {
      // Two uses of one nonce in a batch: the first in arrival order has it.
      const isFirst = fresh!.delete(op.id);
      plan.outcomes.push(() => op.resolve(isFirst));
    }
  }
  // Only once the batch is durable may later batches rely on the rows.
  plan.outcomes.push(() => rememberWindows(batch.windows, plan.windows.keys()));
  return { writes: writesOf(plan, batch), outcomes: plan.outcomes };
}

function accountIds(ops: readonly FastOp[]): string[] {
  const ids = new Set<string>();
  for (const op of ops) {
    if (op.type === 'reserve') ids.add(op.request.accountId);
    else if (op.type === 'resolve') ids.add(op.hold.accountId);
  }
  return [...ids];
}

function decideReserve(op: ReserveOp, plan: Plan, batch: BatchContext): void {
  const { request } = op;
  const account = plan.accounts.get(request.accountId);
  const refusal = refuseKeys(request, plan.keys, batch.nowMs) ?? refuse(request, account);
  if (refusal || !account) {
    plan.outcomes.push(() => op.reject(refusal));
    return;
  }
  const room = spendable(request, plan.keys);
  const amount = nanoUsd(Math.min(request.amount, available(account), room));
  move(plan, request.accountId, 0, amount);
  const hold: Hold = {
    id: request.holdId ?? newId('hold'),
    accountId: request.accountId,
    keyId: request.keyId,
    ancestors: request.ancestors ?? [],
    amount,
    day: batch.day,
    month: batch.month,
    requestId: request.requestId,
    model: request.model,
    balance: balanceOf(account),
    limitLeft: null,
  };
  countWindows(plan, hold, 0, amount, batch);
  hold.limitLeft = limitLeft(hold, plan.keys);
  plan.holds.push([
    hold.id,
    hold.accountId,
    hold.keyId,
    amount,
    hold.day,
    hold.month,
    batch.instance,
    request.purpose,
    request.model,
    request.requestId,
    request.priceVersion,
    hold.limitLeft,
    batch.nowMs,
    batch.nowMs + request.ttlMs,
  ]);
  plan.outcomes.push(() => op.resolve(hold));
}

function refuse(request: ReserveRequest, account: AccountState | undefined): AppError | null {
  const { amount, atLeast = amount, minimumAvailable = ZERO_USD } = request;
  if (amount < 0 || atLeast < 0 || atLeast > amount) {
    return new AppError('internal', `a hold of ${atLeast} to ${amount} nano-USD makes no sense`);
  }
  if (!account) return new AppError('internal', 'a hold needs an account that exists');
  if (account.state === 'frozen') {
    return new AppError('account_frozen', 'This account is frozen. Write to the operator.');
  }
  const left = available(account);
  if (left >= atLeast && left >= minimumAvailable) return null;
  const details = { availableNano: left, neededNano: atLeast, ceilingNano: amount };
  return new AppError(
    'insufficient_balance',
    'The balance does not cover what this request may cost.',
    { details },
  );
}

function available(account: AccountState): number {
  return account.posted + account.credit_line - account.held;
}

function decideResolve(op: ResolveOp, plan: Plan, batch: BatchContext): void {
  const { hold } = op;
  const account = plan.accounts.get(hold.accountId);
  // A second resolution of one hold is told what the first one did, from the row: not here.
  if (!account || plan.seen.has(hold.id)) throw new GuardMiss(`hold ${hold.id}`);
  plan.seen.add(hold.id);
  const charged = op.state === 'captured' ? nanoUsd(Math.min(op.cost, hold.amount)) : ZERO_USD;
  const shortfall = op.state === 'captured' ? nanoUsd(op.cost - charged) : ZERO_USD;
  move(plan, hold.accountId, -charged, -hold.amount);
  countWindows(plan, hold, charged, -hold.amount, batch);
  const { requestId, model, id } = hold;
  if (charged > 0) {
    const { posted } = account;
    const { revenue } = SYSTEM;
    batch.addEntry(['CHARGE', id, hold.accountId, revenue, charged, posted, requestId, model]);
  }
  if (shortfall > 0) {
    const { shortfall: from, revenue } = SYSTEM;
    batch.addEntry(['SHORTFALL', id, from, revenue, shortfall, null, requestId, model]);
  }
  if (charged === 0 && op.state === 'captured') plan.free.push([hold.accountId, id]);
  plan.resolutions.push([id, op.state, charged, shortfall, op.usage, batch.nowMs]);
  const balance = balanceOf(account);
  const left = limitLeft(hold, plan.keys);
  plan.outcomes.push(() =>
    op.resolve({ charged, shortfall, balance, limitLeft: left, wasResolvedBefore: false }),
  );
}

function balanceOf(account: AccountState): Balance {
  return { posted: nanoUsd(account.posted), held: nanoUsd(account.held) };
}

function move(plan: Plan, accountId: string, posted: number, held: number): void {
  const account = plan.accounts.get(accountId)!;
  account.posted += posted;
  account.held += held;
  const sum = plan.moves.get(accountId);
  if (sum) {
    sum[0] += posted;
    sum[1] += held;
  } else plan.moves.set(accountId, [posted, held]);
}

function writesOf(plan: Plan, { windows }: BatchContext): Writes {
  const missing = [...plan.windows].filter(([id]) => !windows.has(id));
  return {
    resolutions: plan.resolutions,
    accounts: Array.from(plan.moves, ([id, [posted, held]]) => [id, posted, held]),
    newWindows: missing.map(([, [key, period, start]]) => [key, period, start]),
    windows: [...plan.windows.values()],
    holds: plan.holds,
    free: plan.free,
  };
}

const MAX_KNOWN_WINDOWS = 50_000;

function rememberWindows(known: Set<string>, ids: Iterable<string>): void {
  if (known.size > MAX_KNOWN_WINDOWS) known.clear();
  for (const id of ids) known.add(id);
}
