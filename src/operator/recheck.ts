/** An operator has a payment looked at on the chain now, and not when it would be its turn. */
import { audit } from '../audit.ts';
import { type Operator, operatorName } from '../auth/operator.ts';
import type { PaymentRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';

/**
 * Makes it due: the reconciler takes it up within a second. Errors: not_found; state_conflict where there is nothing to look at: one
 * that was not sent yet is dropped when its time is over, and what has ended stays as it is.
 */
export async function recheckPayment(ledger: Ledger, by: Operator, id: string): Promise<void> {
  const actor = operatorName(by);
  await ledger.write(async (tx) => {
    const row = await tx.db
      .selectFrom('payments')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst();
    if (!row) throw new AppError('not_found', 'There is no such payment.');
    if (!isOpen(row)) {
      throw new AppError('state_conflict', `There is nothing to look at: it is ${row.state}.`);
    }
    await tx.db
      .updateTable('payments')
      .set({ next_check_at: tx.nowMs })
      .where('id', '=', id)
      .execute();
    await audit(tx, { actor, action: 'payment.recheck', target: id, reason: '' });
  });
}

/** Whether the chain may still say something new of it. */
export function isOpen({ state, next_check_at: next }: PaymentRow): boolean {
  return next !== null && (state === 'submitted' || state === 'settled');
}
