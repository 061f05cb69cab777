/** Writes that histories are made of, as the rest of the program does them: what decides is read inside. */
import type { WriteTx } from '../../../src/ledger/ledger.ts';
import { SYSTEM } from '../../../src/ledger/ledger.ts';
import { nanoUsd, type NanoUsd } from '../../../src/money.ts';

const NETWORK = 'eip155:84532';

export interface Deposit {
  id: string;
  credit: string;
  units: number;
}

/** Answers the balance. */
export async function deposit(tx: WriteTx, { id, credit, units }: Deposit): Promise<NanoUsd> {
  await insertPayment(tx, { id, credit, units });
  const [debit, amount] = [SYSTEM.clearing(NETWORK), nanoUsd(units * 1_000)];
  return tx.post({ kind: 'DEPOSIT', ref: id, debit, credit, amount });
}

/** Takes what is unspent, at most `most`; answers how much that was. */
export async function takeUnspent(
  tx: WriteTx,
  { ref, debit, most }: { ref: string; debit: string; most: number },
): Promise<number> {
  const row = await tx.db
    .selectFrom('accounts')
    .select(['posted', 'held'])
    .where('id', '=', debit)
    .executeTakeFirstOrThrow();
  const amount = nanoUsd(Math.min(most, Math.max(0, row.posted - row.held)));
  const credit = SYSTEM.adjustments;
  if (amount > 0) await tx.post({ kind: 'ADJUST', ref, debit, credit, amount });
  return amount;
}

async function insertPayment(
  { db, nowMs }: WriteTx,
  { id, credit, units }: Deposit,
): Promise<void> {
  const { address } = await db
    .selectFrom('wallets')
    .select('address')
    .where('account_id', '=', credit)
    .executeTakeFirstOrThrow();
  await db
    .insertInto('payments')
    .values({
      id,
      network: NETWORK,
      asset: 'usdc',
      identity: id,
      payer: address,
      pay_to: '0x1',
      units: String(units),
      state: 'settled',
      payment: '{}',
      dialect: 'v2',
      claim: null,
      transaction_id: id,
      raw_transaction: null,
      block: '1',
      is_final: 1,
      account_id: credit,
      reason: null,
      valid_before: null,
      attempts: 0,
      created_at: nowMs,
      submitted_at: nowMs,
      settled_at: nowMs,
      next_check_at: null,
      is_exposed: 0,
    })
    .execute();
}
