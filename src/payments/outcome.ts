/** Writes what became of a payment: credit, failure, not known yet, reversal. Each is one write operation. */
import type { Evidence } from '../chains/chain.ts';
import type { PaymentsConfig } from '../config/config.ts';
import type { PaymentRow } from '../db/tables.ts';
import { type Ledger, SYSTEM, type WriteTx } from '../ledger/ledger.ts';
import { fromUsdcUnits, nanoUsd, type NanoUsd, ZERO_USD } from '../money.ts';
import { paymentById, storedPayment } from './rows.ts';

const FIRST_CHECK_MS = 2_000;
const LONGEST_CHECK_MS = 60_000;

export type Settled = Extract<Evidence, { state: 'settled' }>;

/** When to ask about a payment again: 2 s, doubling to a minute. */
export function nextCheck(nowMs: number, attempts: number): number {
  return nowMs + Math.min(FIRST_CHECK_MS * 2 ** Math.min(attempts, 10), LONGEST_CHECK_MS);
}

export interface CreditOptions {
  ledger: Ledger;
  config: PaymentsConfig;
  /** Whether nobody but the facilitator says so. */
  isUnconfirmed: boolean;
}

/**
 * Credits a settled payment to its payer, once: the row, the account and the DEPOSIT entry in one transaction. What reached us is
 * what the chain shows. Answers the row; it stays 'submitted' when only a facilitator says so and that would exceed the exposure
 * that the operator takes.
 */
export async function creditPayment(
  id: string,
  evidence: Settled,
  { ledger, config, isUnconfirmed }: CreditOptions,
): Promise<PaymentRow> {
  return ledger.write(async (tx) => {
    const row = await required(tx, id);
    if (row.state === 'settled' || row.state === 'reversed') return row;
    const amount = fromUsdcUnits(evidence.amount);
    if (isUnconfirmed && (await exceedsExposure(tx, row, amount, config))) {
      return update(tx, id, {
        state: 'submitted',
        transaction_id: evidence.transaction,
        reason: 'exposure',
        next_check_at: nextCheck(tx.nowMs, row.attempts),
      });
    }
    const { family, payer } = storedPayment(row);
    const account = await tx.walletAccount({ family, address: payer, chain: '' });
    const debit = SYSTEM.clearing(row.network);
    await tx.post({ kind: 'DEPOSIT', ref: id, debit, credit: account, amount });
    return update(tx, id, {
      state: 'settled',
      units: String(evidence.amount),
      account_id: account,
      transaction_id: evidence.transaction,
      block: evidence.block,
      is_final: evidence.isFinal ? 1 : 0,
      is_exposed: isUnconfirmed ? 1 : 0,
      reason: null,
      settled_at: tx.nowMs,
      next_check_at: evidence.isFinal ? null : nextCheck(tx.nowMs, 0),
      attempts: 0,
    });
  });
}

async function exceedsExposure(
  tx: WriteTx,
  row: PaymentRow,
  amount: NanoUsd,
  config: PaymentsConfig,
): Promise<boolean> {
  const rows = await tx.db
    .selectFrom('payments')
    .select(['payer', 'units'])
    .where('is_exposed', '=', 1)
    .execute();
  const exposed = (of: typeof rows) => of.reduce((sum, it) => sum + BigInt(it.units), 0n) * 1_000n;
  const mine = rows.filter(({ payer }) => payer === row.payer);
  return (
    exposed(rows) + BigInt(amount) > BigInt(config.exposureTotal) ||
    exposed(mine) + BigInt(amount) > BigInt(config.exposurePerPayer)
  );
}

/** Nothing was moved and nothing will be. */
export function failPayment(ledger: Ledger, id: string, reason: string): Promise<PaymentRow> {
  return ledger.write(async (tx) => {
    const row = await required(tx, id);
    if (row.state === 'settled' || row.state === 'reversed') return row;
    return update(tx, id, {
      state: reason === 'expired' ? 'expired' : 'failed',
      reason,
      next_check_at: null,
    });
  });
}

/** Asked again later. */
export function keepAsking(
  ledger: Ledger,
  id: string,
  evidence: Extract<Evidence, { state: 'unknown' }>,
): Promise<PaymentRow> {
  return ledger.write(async (tx) => {
    const row = await required(tx, id);
    if (row.state !== 'submitted' && row.state !== 'settled') return row;
    return update(tx, id, {
      attempts: row.attempts + 1,
      reason: row.state === 'submitted' ? evidence.reason : row.reason,
      transaction_id: row.transaction_id ?? evidence.transaction,
      next_check_at: nextCheck(tx.nowMs, row.attempts + 1),
    });
  });
}

/** A credited transfer was seen again: perhaps final now, perhaps in another block. */
export function seenAgain(ledger: Ledger, id: string, evidence: Settled): Promise<PaymentRow> {
  return ledger.write(async (tx) => {
    const row = await required(tx, id);
    return update(tx, id, {
      block: evidence.block,
      transaction_id: evidence.transaction,
      is_final: evidence.isFinal ? 1 : 0,
      is_exposed: 0,
      attempts: row.attempts + 1,
      next_check_at: evidence.isFinal ? null : nextCheck(tx.nowMs, row.attempts + 1),
    });
  });
}

/**
 * The chain took a credited transfer back. What is still available is taken from the wallet, the rest is our loss; the account is
 * frozen until the operator has looked at it.
 */
export function reversePayment(
  ledger: Ledger,
  id: string,
): Promise<{ row: PaymentRow; taken: NanoUsd; lost: NanoUsd }> {
  return ledger.write(async (tx) => {
    const row = await required(tx, id);
    if (row.state !== 'settled' || row.account_id === null) {
      return { row, taken: ZERO_USD, lost: ZERO_USD };
    }
    const amount = fromUsdcUnits(BigInt(row.units));
    const account = await tx.db
      .selectFrom('accounts')
      .select(['posted', 'held'])
      .where('id', '=', row.account_id)
      .executeTakeFirstOrThrow();
    const taken = nanoUsd(Math.max(0, Math.min(amount, account.posted - account.held)));
    const lost = nanoUsd(amount - taken);
    const credit = SYSTEM.clearing(row.network);
    if (taken > 0) {
      await tx.post({ kind: 'REVERSAL', ref: id, debit: row.account_id, credit, amount: taken });
    }
    if (lost > 0) {
      const ref = `${id}:shortfall`;
      await tx.post({ kind: 'REVERSAL', ref, debit: SYSTEM.shortfall, credit, amount: lost });
    }
    await tx.db
      .updateTable('accounts')
      .set({ state: 'frozen' })
      .where('id', '=', row.account_id)
      .execute();
    const reversed = await update(tx, id, {
      state: 'reversed',
      reason: 'reorg',
      is_exposed: 0,
      next_check_at: null,
    });
    return { row: reversed, taken, lost };
  });
}

async function required(tx: WriteTx, id: string): Promise<PaymentRow> {
  const row = await paymentById(tx.db, id);
  if (!row) throw new Error(`no payment ${id}`);
  return row;
}

export function update(tx: WriteTx, id: string, change: Partial<PaymentRow>): Promise<PaymentRow> {
  return tx.db
    .updateTable('payments')
    .set(change)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
}
