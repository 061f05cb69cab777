/** Writes what becomes of a payout, each step one write operation that reads the state it decides by. */
import type { Evidence, SignedPayment } from '../chains/chain.ts';
import type { PayoutRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { type Ledger, SYSTEM, type WriteTx } from '../ledger/ledger.ts';
import { giveBack } from '../ledger/set-aside.ts';
import { nanoUsd } from '../money.ts';
import { requirePayout } from './rows.ts';

type Settled = Extract<Evidence, { state: 'settled' }>;

const FIRST_LOOK_MS = 2_000;
const LONGEST_LOOK_MS = 60_000;
/** A settled transfer is looked at until it is final. */
const FINALITY_LOOK_MS = 15_000;
const LONGEST_FINALITY_LOOK_MS = 300_000;

function update(tx: WriteTx, id: string, change: Partial<PayoutRow>): Promise<PayoutRow> {
  return tx.db
    .updateTable('payouts')
    .set(change)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/**
 * Stores what is about to be broadcast, before it is. Throws where that must not happen: the payout has ended, is cancelled, or another
 * transfer for it is on its way.
 */
export async function storeSent(
  ledger: Ledger,
  id: string,
  sent: { attempt: number; payment: SignedPayment; transaction: string; raw: string },
): Promise<void> {
  const { attempt, payment, transaction, raw } = sent;
  await ledger.write(async (tx) => {
    const row = await requirePayout(tx.db, id);
    const isFirst = row.state === 'approved' && row.method === 'embedded';
    const isAgain = row.state === 'sent' && identityOf(row) === payment.identity;
    if (row.attempt !== attempt || !(isFirst || isAgain)) {
      throw new AppError('state_conflict', `payout ${id} is ${row.state}`);
    }
    await update(tx, id, {
      state: 'sent',
      payment: storePayment(payment),
      transaction_id: transaction,
      raw_transaction: raw,
      sent_at: row.sent_at ?? tx.nowMs,
      reason: null,
      looks: isFirst ? 0 : row.looks,
      next_check_at: tx.nowMs + FIRST_LOOK_MS,
    });
  });
}

function identityOf(row: PayoutRow): string | null {
  return row.payment === null ? null : storedPayment(row.payment).identity;
}

function storePayment(payment: SignedPayment): string {
  return JSON.stringify({ ...payment, amount: String(payment.amount) });
}

export function storedPayment(json: string): SignedPayment {
  const value = JSON.parse(json) as Omit<SignedPayment, 'amount'> & { amount: string };
  return { ...value, amount: BigInt(value.amount) };
}

/** The transfer is on the chain: the hold ends and the money leaves the account, once, in the transaction that says so. */
export function settlePayout(ledger: Ledger, id: string, evidence: Settled): Promise<PayoutRow> {
  return ledger.write(async (tx) => {
    const row = await requirePayout(tx.db, id);
    // Not sent by this server and there all the same: a backup was restored, and the chain remembers.
    const isOpen = row.state === 'sent' || (row.state === 'approved' && row.method === 'embedded');
    if (!isOpen) return row;
    await giveBack(tx, row.hold_id);
    await tx.post({
      kind: 'WITHDRAWAL',
      ref: id,
      debit: row.account_id,
      credit: SYSTEM.clearing(row.network),
      amount: nanoUsd(row.amount),
    });
    return update(tx, id, {
      state: 'settled',
      transaction_id: await settledBy(tx, row, evidence.transaction),
      block: evidence.block,
      is_final: evidence.isFinal ? 1 : 0,
      looks: 0,
      reason: null,
      settled_at: tx.nowMs,
      next_check_at: evidence.isFinal ? null : tx.nowMs + FINALITY_LOOK_MS,
    });
  });
}

/** Whoever bundles two of our transfers into a transaction of their own must not keep the second from being booked. */
async function settledBy(tx: WriteTx, row: PayoutRow, transaction: string): Promise<string | null> {
  if (transaction === row.transaction_id) return transaction;
  const other = await withTransaction(tx, row.network, transaction);
  return other ? row.transaction_id : transaction;
}

export function withTransaction(
  { db }: WriteTx,
  network: string,
  transaction: string,
): Promise<{ id: string } | undefined> {
  return db
    .selectFrom('payouts')
    .select('id')
    .where('network', '=', network)
    .where('transaction_id', '=', transaction)
    .executeTakeFirst();
}

/** Seen again on the chain, or for the first time as final. */
export function seenAgain(ledger: Ledger, id: string, evidence: Settled): Promise<PayoutRow> {
  return ledger.write(async (tx) => {
    const row = await requirePayout(tx.db, id);
    if (row.state !== 'settled') return row;
    return update(tx, id, {
      block: evidence.block,
      is_final: evidence.isFinal ? 1 : 0,
      looks: row.looks + 1,
      reason: null,
      next_check_at: evidence.isFinal ? null : tx.nowMs + nextLook(row),
    });
  });
}

/** The chain took a transfer back for good: the money is the account's again. */
export function reversePayout(ledger: Ledger, id: string, reason: string): Promise<PayoutRow> {
  return ledger.write(async (tx) => {
    const row = await requirePayout(tx.db, id);
    if (row.state !== 'settled' || row.is_final) return row;
    await tx.post({
      kind: 'REVERSAL',
      ref: id,
      debit: SYSTEM.clearing(row.network),
      credit: row.account_id,
      amount: nanoUsd(row.amount),
    });
    return update(tx, id, { state: 'reversed', reason, next_check_at: null });
  });
}

function nextLook({ state, looks }: PayoutRow): number {
  const [first, longest] =
    state === 'settled'
      ? [FINALITY_LOOK_MS, LONGEST_FINALITY_LOOK_MS]
      : [FIRST_LOOK_MS, LONGEST_LOOK_MS];
  return Math.min(first * 2 ** Math.min(looks, 20), longest);
}

/** Looked at again later. `reason` says what is being waited for. */
export function waitOn(ledger: Ledger, id: string, reason: string): Promise<PayoutRow> {
  return ledger.write(async (tx) => {
    const row = await requirePayout(tx.db, id);
    if (!['approved', 'sent', 'settled'].includes(row.state)) return row;
    return update(tx, id, {
      looks: row.looks + 1,
      reason,
      next_check_at: tx.nowMs + nextLook(row),
    });
  });
}

/** What was signed can no longer land: a fresh transfer may be signed, the next time it is looked at. */
export function sendAgain(ledger: Ledger, seen: PayoutRow, reason: string): Promise<PayoutRow> {
  return ledger.write(async (tx) => {
    const row = await requirePayout(tx.db, seen.id);
    if (row.state !== 'sent' || row.attempt !== seen.attempt) return row;
    const isEmbedded = row.method === 'embedded';
    return update(tx, row.id, {
      state: 'approved',
      attempt: row.attempt + 1,
      payment: null,
      transaction_id: null,
      raw_transaction: null,
      sent_at: null,
      looks: 0,
      reason,
      // By hand it is the operator's turn.
      next_check_at: isEmbedded ? tx.nowMs : null,
    });
  });
}

/** No money moved and none will: the hold is given back. */
export function endPayout(
  tx: WriteTx,
  row: PayoutRow,
  end: { state: 'failed' | 'cancelled'; reason: string },
): Promise<PayoutRow> {
  return giveBack(tx, row.hold_id).then(() => update(tx, row.id, { ...end, next_check_at: null }));
}

export function failPayout(ledger: Ledger, seen: PayoutRow, reason: string): Promise<PayoutRow> {
  return ledger.write(async (tx) => {
    const row = await requirePayout(tx.db, seen.id);
    if (row.state !== seen.state || row.attempt !== seen.attempt) return row;
    return endPayout(tx, row, { state: 'failed', reason });
  });
}

export { update as updatePayout };
