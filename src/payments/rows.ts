/** The rows of payments: written inside the ledger's write operations, one row a signed payment, unique by what was signed. */
import type { Kysely } from 'kysely';
import type { SignedPayment } from '../chains/chain.ts';
import type { PaymentRow, Tables } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';

/** How long a payment-identifier keeps naming the payment it came with. */
const IDENTIFIER_KEPT_MS = 86_400_000;

export function findPayment(
  db: Kysely<Tables>,
  by: { network: string; asset: string; payer: string; identity: string },
): Promise<PaymentRow | undefined> {
  return db
    .selectFrom('payments')
    .selectAll()
    .where('network', '=', by.network)
    .where('asset', '=', by.asset)
    .where('payer', '=', by.payer)
    .where('identity', '=', by.identity)
    .executeTakeFirst();
}

export function paymentById(db: Kysely<Tables>, id: string): Promise<PaymentRow | undefined> {
  return db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirst();
}

/** The row of a payment, made when it is seen for the first time. */
export async function insertOrGet(
  db: Kysely<Tables>,
  payment: SignedPayment,
  came: { dialect: string; claim: string | null },
  nowMs: number,
): Promise<PaymentRow> {
  const found = await findPayment(db, payment);
  if (found) return found;
  const row: PaymentRow = {
    id: newId('pay'),
    network: payment.network,
    asset: payment.asset,
    identity: payment.identity,
    payer: payment.payer,
    pay_to: payment.payTo,
    units: String(payment.amount),
    state: 'received',
    payment: storePayment(payment),
    dialect: came.dialect,
    claim: came.claim,
    transaction_id: null,
    raw_transaction: null,
    block: null,
    is_final: 0,
    account_id: null,
    reason: null,
    valid_before: payment.validBeforeSeconds,
    attempts: 0,
    created_at: nowMs,
    submitted_at: null,
    settled_at: null,
    next_check_at: null,
    is_exposed: 0,
  };
  await db.insertInto('payments').values(row).execute();
  return row;
}

/**
 * Ties a client's payment-identifier to its payment. The same identifier with another payment is a conflict: a client that lost
 * its memory signs again, and must not pay twice.
 */
export async function claimIdentifier(
  db: Kysely<Tables>,
  payment: SignedPayment,
  identifier: string,
  row: PaymentRow,
  nowMs: number,
): Promise<void> {
  const old = await db
    .selectFrom('payment_identifiers')
    .selectAll()
    .where('payer', '=', payment.payer)
    .where('identifier', '=', identifier)
    .executeTakeFirst();
  if (old && old.payment_id === row.id) return;
  if (old && old.created_at > nowMs - IDENTIFIER_KEPT_MS) {
    throw new AppError(
      'payment_conflict',
      'payment-identifier: another payment was made with it; ask about that one, or use a fresh identifier.',
      { details: { paymentId: old.payment_id } },
    );
  }
  const values = {
    payer: payment.payer,
    identifier,
    payment_id: row.id,
    created_at: nowMs,
  };
  await db
    .insertInto('payment_identifiers')
    .values(values)
    .onConflict((conflict) => conflict.columns(['payer', 'identifier']).doUpdateSet(values))
    .execute();
}

function storePayment(payment: SignedPayment): string {
  return JSON.stringify({ ...payment, amount: String(payment.amount) });
}

/** The payment as it was signed and checked when it came. */
export function storedPayment(row: PaymentRow): SignedPayment {
  const value = JSON.parse(row.payment) as Omit<SignedPayment, 'amount'> & { amount: string };
  return { ...value, amount: BigInt(value.amount) };
}
