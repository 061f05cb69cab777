/** A payout's row in words. */
import type { PayoutRow, PayoutState } from '../db/tables.ts';
import { formatUsd, nanoUsd } from '../money.ts';

export interface PayoutStatus {
  id: string;
  status: PayoutState;
  network: string;
  recipient: string;
  amountUsd: string;
  method: 'embedded' | 'manual' | null;
  transaction: string | null;
  /** Why it failed, or what it waits for; a code. */
  reason: string | null;
  createdAt: string;
  sentAt: string | null;
  settledAt: string | null;
}

export function payoutStatus(row: PayoutRow): PayoutStatus {
  return {
    id: row.id,
    status: row.state,
    network: row.network,
    recipient: row.recipient,
    amountUsd: formatUsd(nanoUsd(row.amount)),
    method: row.method,
    transaction: row.transaction_id,
    reason: row.reason,
    createdAt: iso(row.created_at),
    sentAt: row.sent_at === null ? null : iso(row.sent_at),
    settledAt: row.settled_at === null ? null : iso(row.settled_at),
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
