/** A payment's row in words: for those who ask about it, and for those whose payment is not settled. */
import type { PaymentRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { formatUsd, fromUsdcUnits } from '../money.ts';

export interface PaymentStatus {
  id: string;
  status: 'pending' | 'settled' | 'failed' | 'expired' | 'reversed';
  network: string;
  payer: string;
  amountUsd: string;
  transaction: string | null;
  /** Why it failed, or what it waits for; a code. */
  reason: string | null;
  createdAt: string;
  settledAt: string | null;
}

export function statusOf(row: PaymentRow): PaymentStatus {
  return {
    id: row.id,
    status: row.state === 'received' || row.state === 'submitted' ? 'pending' : row.state,
    network: row.network,
    payer: row.payer,
    amountUsd: formatUsd(fromUsdcUnits(BigInt(row.units))),
    transaction: row.transaction_id,
    reason: row.reason,
    createdAt: new Date(row.created_at).toISOString(),
    settledAt: row.settled_at === null ? null : new Date(row.settled_at).toISOString(),
  };
}

const RETRY_AFTER_SECONDS = 5;
const PENDING =
  'The outcome of this payment is not known yet. Send the same payment again, or ask for its status; do not sign a new one.';
const EXPOSED =
  'The facilitator says that this payment was made, but nothing here can confirm it on chain and the limit for unconfirmed payments is reached. It is kept and credited once confirmed; do not sign a new one.';

/** The error that answers a payment which is not settled; `message` is what the rail said of its failure. */
export function notSettled(row: PaymentRow, message: string | null): AppError {
  const { id: paymentId, state, transaction_id: transaction } = row;
  const reason = row.reason ?? 'in_progress';
  switch (state) {
    case 'failed':
    case 'expired':
      return new AppError(
        'payment_verification_failed',
        `The payment failed and moved no money: ${message ?? `it is ${state} (${reason})`}.`,
        { details: { reason, paymentId } },
      );
    case 'reversed':
      return new AppError(
        'payment_verification_failed',
        'The chain took this payment back; the account waits for its operator.',
        { details: { reason, paymentId, transaction } },
      );
    case 'received':
    case 'submitted':
    case 'settled':
      return new AppError('payment_pending', reason === 'exposure' ? EXPOSED : PENDING, {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
        details: { paymentId, transaction, reason },
      });
  }
}
