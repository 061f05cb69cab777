/** Writes what became of a payment: handed on, credited, failed, not known yet, taken back. Each is one write operation. */
import type { Evidence } from '../chains/chain.ts';
import type { PaymentsConfig } from '../config/config.ts';
import type { PaymentRow } from '../db/tables.ts';
import { type Ledger, SYSTEM, type WriteTx } from '../ledger/ledger.ts';
import { fromUsdcUnits, nanoUsd, type NanoUsd, ZERO_USD } from '../money.ts';
import type { SecretBox } from '../secrets.ts';
import { exposedUnits, familyOf, paymentById, sealedTransaction, validUntil } from './rows.ts';

const FIRST_CHECK_MS = 2_000;
const LONGEST_CHECK_MS = 60_000;
/** Unknown for that long past its validity, a payment is the operator's to look at, and is asked about less often. */
const LATE_MARGIN_MS = 600_000;
const LATE_CHECK_MS = 300_000;
/** A credited payment becomes final within seconds (Solana) or some twenty minutes (Base): a few looks are enough. */
const FIRST_FINALITY_CHECK_MS = 15_000;
const LONGEST_FINALITY_CHECK_MS = 300_000;
/** Longer than a rail's own bound on settling: until then the reconciler leaves the payment to whoever handed it on. */
const SETTLE_LEASE_MS = 120_000;

export type Settled = Extract<Evidence, { state: 'settled' }>;
export type Unknown = Extract<Evidence, { state: 'unknown' }>;

/** Taken back when they are looked for so often in vain, one look after another. */
export const MISSES_TO_REVERSE = 5;

function nextCheck({ tx, row, attempts }: { tx: WriteTx; row: PaymentRow; attempts: number }) {
  if (row.state === 'settled') {
    return tx.nowMs + backOff(FIRST_FINALITY_CHECK_MS, attempts, LONGEST_FINALITY_CHECK_MS);
  }
  if (isLate(row, tx.nowMs)) return tx.nowMs + LATE_CHECK_MS;
  return tx.nowMs + backOff(FIRST_CHECK_MS, attempts, LONGEST_CHECK_MS);
}

function backOff(firstMs: number, attempts: number, longestMs: number): number {
  return Math.min(firstMs * 2 ** Math.min(attempts, 20), longestMs);
}

/** Whether a payment is still unknown although it should have ended by itself. */
export function isLate(row: PaymentRow, nowMs: number): boolean {
  return validUntil(row.valid_before, row.submitted_at ?? row.created_at) + LATE_MARGIN_MS < nowMs;
}

/**
 * Marks a payment as handed on, before it is; the answer says whether it may be handed on, and whether it was before. A payment
 * that ended meanwhile stays as it is.
 */
export function beginSubmission(
  ledger: Ledger,
  id: string,
): Promise<{ row: PaymentRow; mayHandOn: boolean; hasEarlierAttempt: boolean }> {
  return ledger.write(async (tx) => {
    const row = await required(tx, id);
    const mayHandOn = ['received', 'submitted', 'failed'].includes(row.state);
    if (!mayHandOn) return { row, mayHandOn, hasEarlierAttempt: true };
    const submitted = await update(tx, id, {
      state: 'submitted',
      submitted_at: row.submitted_at ?? tx.nowMs,
      reason: null,
      next_check_at: tx.nowMs + SETTLE_LEASE_MS,
    });
    return { row: submitted, mayHandOn, hasEarlierAttempt: row.submitted_at !== null };
  });
}

/** Stores what is about to be broadcast. Throws when the payment has ended meanwhile: then it must not be. */
export async function storeBroadcast(
  ledger: Ledger,
  box: SecretBox,
  id: string,
  transaction: string,
  rawTransaction: string,
): Promise<void> {
  await ledger.write(async (tx) => {
    const row = await required(tx, id);
    if (row.state !== 'submitted') throw new Error(`payment ${id} is ${row.state}`);
    const raw_transaction = sealedTransaction(id, rawTransaction, box);
    await update(tx, id, { transaction_id: transaction, raw_transaction });
  });
}

/**
 * Credits a settled payment to its payer, once: the row, the account and the DEPOSIT entry in one transaction. What reached us is
 * what the chain shows. Answers the row; it stays 'submitted' when only a facilitator says so and that would exceed the exposure
 * that the operator takes.
 */
export function creditPayment(
  id: string,
  evidence: Settled,
  { ledger, config }: { ledger: Ledger; config: PaymentsConfig },
): Promise<PaymentRow> {
  return ledger.write(async (tx) => {
    const row = await required(tx, id);
    return credit(tx, row, evidence, config);
  });
}

/** As above, inside a transaction. */
export async function credit(
  tx: WriteTx,
  row: PaymentRow,
  evidence: Settled,
  config: PaymentsConfig,
): Promise<PaymentRow> {
  const { id } = row;
  const isExposed = evidence.block === null;
  if (row.state === 'settled' || row.state === 'reversed') return row;
  if (isExposed && (await exceedsExposure(tx, row, evidence.amount, config))) {
    const attempts = row.attempts + 1;
    return update(tx, id, {
      state: 'submitted',
      transaction_id: evidence.transaction,
      reason: 'exposure',
      attempts,
      next_check_at: nextCheck({ tx, row, attempts }),
    });
  }
  const payer = { family: familyOf(row), address: row.payer, chain: '' };
  const account = await tx.walletAccount(payer);
  const debit = SYSTEM.clearing(row.network);
  const amount = fromUsdcUnits(evidence.amount);
  await tx.post({ kind: 'DEPOSIT', ref: id, debit, credit: account, amount });
  const settled: PaymentRow = { ...row, state: 'settled' };
  // Without a chain to ask there is nothing to come back for; a start that has one takes such payments up.
  const nextLook = isExposed ? null : nextCheck({ tx, row: settled, attempts: 0 });
  return update(tx, id, {
    state: 'settled',
    units: String(evidence.amount),
    account_id: account,
    ...place(evidence),
    is_exposed: isExposed ? 1 : 0,
    reason: null,
    settled_at: tx.nowMs,
    next_check_at: evidence.isFinal ? null : nextLook,
    attempts: 0,
  });
}

function place({ transaction, block, isFinal }: Settled): Partial<PaymentRow> {
  return { transaction_id: transaction, block, is_final: isFinal ? 1 : 0 };
}

async function exceedsExposure(
  tx: WriteTx,
  row: PaymentRow,
  units: bigint,
  { exposureTotal, exposurePerPayer }: PaymentsConfig,
): Promise<boolean> {
  const { total, mine } = await exposedUnits(tx.db, row.payer);
  const reaches = (sum: bigint, cap: NanoUsd) => (sum + units) * 1_000n > BigInt(cap);
  return reaches(total, exposureTotal) || reaches(mine, exposurePerPayer);
}

/**
 * Nothing was moved and nothing will be. `submitted_at` is cleared: a payment that never left may be handed on again as if for
 * the first time, and is then told plainly why it fails.
 */
export function failPayment(ledger: Ledger, id: string, reason: string): Promise<PaymentRow> {
  return ledger.write(async (tx) => {
    const row = await required(tx, id);
    if (row.state !== 'received' && row.state !== 'submitted') return row;
    const state = reason === 'expired' ? 'expired' : 'failed';
    return update(tx, id, { state, reason, submitted_at: null, next_check_at: null });
  });
}

/** Asked again later; a credited payment that is merely not seen for the moment too. */
export function keepAsking(ledger: Ledger, id: string, evidence: Unknown): Promise<PaymentRow> {
  return ledger.write(async (tx) => {
    const row = await required(tx, id);
    const isOpen = row.state === 'received' || row.state === 'submitted';
    if (!isOpen && row.state !== 'settled') return row;
    const attempts = row.attempts + 1;
    return update(tx, id, {
      attempts,
      reason: openReason(row, evidence),
      transaction_id: row.transaction_id ?? evidence.transaction,
      next_check_at: nextCheck({ tx, row, attempts }),
    });
  });
}

/** A credited payment has no reason but that it is missing, which any other answer interrupts. */
function openReason({ state, reason }: PaymentRow, evidence: Unknown): string | null {
  if (state === 'settled') return null;
  return reason === 'exposure' ? reason : evidence.reason;
}

/** A credited transfer was looked for and is not on the chain; answers how many times in a row. */
export function missed(ledger: Ledger, id: string): Promise<number> {
  return ledger.write(async (tx) => {
    const row = await required(tx, id);
    if (row.state !== 'settled') return 0;
    const attempts = row.reason === 'not_found' ? row.attempts + 1 : 1;
    await update(tx, id, {
      attempts,
      reason: 'not_found',
      next_check_at: nextCheck({ tx, row, attempts: 0 }),
    });
    return attempts;
  });
}

/** A credited transfer was seen again: perhaps final now, perhaps in another block. */
export function seenAgain(ledger: Ledger, id: string, evidence: Settled): Promise<PaymentRow> {
  return ledger.write(async (tx) => {
    const row = await required(tx, id);
    if (row.state !== 'settled') return row;
    const attempts = row.reason === null ? row.attempts + 1 : 0;
    return update(tx, id, {
      ...place(evidence),
      is_exposed: 0,
      reason: null,
      attempts,
      next_check_at: evidence.isFinal ? null : nextCheck({ tx, row, attempts }),
    });
  });
}

/**
 * The chain took a credited transfer back, or never had it. What is still available is taken from the wallet, the rest is our
 * loss; the account is frozen until the operator has looked at it. Null when the payment is not a credited one.
 */
export function reversePayment(
  ledger: Ledger,
  id: string,
): Promise<{ row: PaymentRow; taken: NanoUsd; lost: NanoUsd } | null> {
  return ledger.write(async (tx) => {
    const row = await required(tx, id);
    if (row.state !== 'settled' || row.account_id === null) return null;
    const amount = fromUsdcUnits(BigInt(row.units));
    const account = await tx.db
      .selectFrom('accounts')
      .select(['posted', 'held'])
      .where('id', '=', row.account_id)
      .executeTakeFirstOrThrow();
    const taken = nanoUsd(Math.max(0, Math.min(amount, account.posted - account.held)));
    const lost = taken === amount ? ZERO_USD : nanoUsd(amount - taken);
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
      reason: row.is_exposed ? 'not_on_chain' : 'reorg',
      is_exposed: 0,
      next_check_at: null,
    });
    return { row: reversed, taken, lost };
  });
}

/** What an earlier process handed on is nobody's any more, and what was credited on trust may now be seen: due at once. */
export async function takeUp(ledger: Ledger, networksWithChain: string[]): Promise<void> {
  await ledger.write(async ({ db, nowMs }) => {
    await db
      .updateTable('payments')
      .set({ next_check_at: nowMs })
      .where('next_check_at', '>', nowMs)
      .where('state', '=', 'submitted')
      .execute();
    if (!networksWithChain.length) return;
    await db
      .updateTable('payments')
      .set({ next_check_at: nowMs })
      .where('is_exposed', '=', 1)
      .where('network', 'in', networksWithChain)
      .execute();
  });
}

async function required(tx: WriteTx, id: string): Promise<PaymentRow> {
  const row = await paymentById(tx.db, id);
  if (!row) throw new Error(`no payment ${id}`);
  return row;
}

function update(tx: WriteTx, id: string, change: Partial<PaymentRow>): Promise<PaymentRow> {
  return tx.db
    .updateTable('payments')
    .set(change)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
}
