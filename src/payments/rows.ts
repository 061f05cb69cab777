/** The rows of payments: written inside the ledger's write operations, one row a signed payment, unique by what was signed. */
import { type Kysely, sql } from 'kysely';
import type { Family } from '../config/config.ts';
import type { EvmPayload, SignedPayment } from '../chains/chain.ts';
import type { PaymentRow, Tables } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';
import type { SecretBox } from '../secrets.ts';

/** How long a payment-identifier keeps naming the payment it came with. */
const IDENTIFIER_KEPT_MS = 86_400_000;
/** Past its validity a payment that was never handed on is looked up once more and then dropped. */
const DROP_MARGIN_MS = 120_000;
/** A Solana blockhash lives 60 to 90 s. */
const BLOCKHASH_MS = 120_000;

export interface PaymentKey {
  network: string;
  asset: string;
  payer: string;
  identity: string;
}

/** How a payment came: its dialect and header, and what it is to pay for. */
export interface Came {
  dialect: string;
  claim: string | null;
  identifier: string | null;
}

export function findPayment(db: Kysely<Tables>, by: PaymentKey): Promise<PaymentRow | undefined> {
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

/**
 * The row of a payment, made when it is seen for the first time. Throws AppError('payment_conflict') when its nonce was signed for
 * something else before, or when its payment-identifier names another payment.
 */
export async function takeIn(
  db: Kysely<Tables>,
  box: SecretBox,
  payment: SignedPayment,
  came: Came,
  nowMs: number,
): Promise<PaymentRow> {
  const row =
    (await known(db, box, payment, came)) ?? (await insert(db, box, payment, came, nowMs));
  if (came.identifier !== null) await claimIdentifier(db, came.identifier, row, nowMs);
  return row;
}

async function known(
  db: Kysely<Tables>,
  box: SecretBox,
  payment: SignedPayment,
  { claim }: Came,
): Promise<PaymentRow | null> {
  const row = await findPayment(db, payment);
  if (!row) return null;
  if (whatMoves(storedPayment(row, box)) !== whatMoves(payment)) {
    throw new AppError(
      'payment_conflict',
      'nonce: the payer signed it for another payment before; sign with a fresh one.',
      { details: { reason: 'nonce', paymentId: row.id } },
    );
  }
  if (row.state !== 'failed' || row.claim === claim) return row;
  // Nothing of a failed payment is on the chain for others to read, so what it comes for now is what counts.
  await db.updateTable('payments').set({ claim }).where('id', '=', row.id).execute();
  return { ...row, claim };
}

/** What two payments with one identity must share to be one. The signature is not part of it: a wallet may sign twice. */
function whatMoves({ payTo, amount, payload }: SignedPayment): string {
  if (!isEvm(payload)) return `${payTo} ${amount}`;
  const { validAfter, validBefore } = payload.authorization;
  return `${payTo} ${amount} ${validAfter} ${validBefore}`;
}

function isEvm(payload: SignedPayment['payload']): payload is EvmPayload {
  return 'authorization' in payload;
}

async function insert(
  db: Kysely<Tables>,
  box: SecretBox,
  payment: SignedPayment,
  { dialect, claim }: Came,
  nowMs: number,
): Promise<PaymentRow> {
  const id = newId('pay');
  const row: PaymentRow = {
    id,
    network: payment.network,
    asset: payment.asset,
    identity: payment.identity,
    payer: payment.payer,
    pay_to: payment.payTo,
    units: String(payment.amount),
    state: 'received',
    payment: box.seal(placeOf(id), storable(payment)),
    dialect,
    claim,
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
    next_check_at: validUntil(payment.validBeforeSeconds, nowMs) + DROP_MARGIN_MS,
    is_exposed: 0,
  };
  await db.insertInto('payments').values(row).execute();
  return row;
}

/**
 * Ties a client's payment-identifier to its payment. The same identifier with another payment is a conflict: a client that lost
 * its memory signs again, and must not pay twice. A payment that moved nothing gives its identifier up.
 */
async function claimIdentifier(
  db: Kysely<Tables>,
  identifier: string,
  { id, payer }: PaymentRow,
  nowMs: number,
): Promise<void> {
  const old = await db
    .selectFrom('payment_identifiers')
    .innerJoin('payments', 'payments.id', 'payment_identifiers.payment_id')
    .select(['payment_id', 'payment_identifiers.created_at', 'payments.state'])
    .where('payment_identifiers.payer', '=', payer)
    .where('identifier', '=', identifier)
    .executeTakeFirst();
  if (old?.payment_id === id) return;
  const isOver = old?.state === 'failed' || old?.state === 'expired';
  if (old && !isOver && old.created_at > nowMs - IDENTIFIER_KEPT_MS) {
    throw new AppError(
      'payment_conflict',
      'payment-identifier: another payment was made with it; ask about that one, or use a fresh identifier.',
      { details: { reason: 'payment_identifier', paymentId: old.payment_id } },
    );
  }
  const values = { payer, identifier, payment_id: id, created_at: nowMs };
  await db
    .insertInto('payment_identifiers')
    .values(values)
    .onConflict((conflict) => conflict.columns(['payer', 'identifier']).doUpdateSet(values))
    .execute();
}

export async function forgetIdentifiers(db: Kysely<Tables>, nowMs: number): Promise<void> {
  await db
    .deleteFrom('payment_identifiers')
    .where('created_at', '<=', nowMs - IDENTIFIER_KEPT_MS)
    .execute();
}

/** USDC units credited on a facilitator's word alone, of all payers and of one. */
export async function exposedUnits(
  db: Kysely<Tables>,
  payer: string,
): Promise<{ total: bigint; mine: bigint }> {
  const units = sql<number>`cast(units as bigint)`;
  const sums = await db
    .selectFrom('payments')
    .select((eb) => [
      eb.fn.coalesce(eb.fn.sum<number>(units), sql<number>`0`).as('total'),
      sql<number>`coalesce(sum(case when payer = ${payer} then ${units} else 0 end), 0)`.as('mine'),
    ])
    .where('is_exposed', '=', 1)
    .executeTakeFirstOrThrow();
  return { total: BigInt(sums.total), mine: BigInt(sums.mine) };
}

/** Unix ms after which a payment taken in at `sinceMs` can no longer move money. */
export function validUntil(validBeforeSeconds: number | null, sinceMs: number): number {
  return validBeforeSeconds === null ? sinceMs + BLOCKHASH_MS : validBeforeSeconds * 1_000;
}

/** What was signed could be sent by whoever reads it, until it is settled: it is kept sealed. */
function placeOf(id: string): string {
  return `payments/payment/${id}`;
}

/** The kind of chain that a payment is on. */
export function familyOf({ network }: PaymentRow): Family {
  return network.startsWith('solana:') ? 'solana' : 'eip155';
}

function storable(payment: SignedPayment): string {
  return JSON.stringify({ ...payment, amount: String(payment.amount) });
}

/** The payment as it was signed and checked when it came. */
export function storedPayment(row: PaymentRow, box: SecretBox): SignedPayment {
  const value = JSON.parse(box.open(placeOf(row.id), row.payment)) as Omit<
    SignedPayment,
    'amount'
  > & { amount: string };
  return { ...value, amount: BigInt(value.amount) };
}

/** A transaction that is about to be broadcast holds what the payer signed: sealed like that. */
export function sealedTransaction(id: string, raw: string, box: SecretBox): string {
  return box.seal(`payments/raw_transaction/${id}`, raw);
}

export function rawTransactionOf(row: PaymentRow, box: SecretBox): string | null {
  const { id, raw_transaction: sealed } = row;
  return sealed === null ? null : box.open(`payments/raw_transaction/${id}`, sealed);
}
