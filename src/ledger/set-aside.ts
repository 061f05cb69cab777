/**
 * Money set aside inside a write operation of something larger, of no key and for as long as that takes. Requests take their holds
 * through Ledger.reserve.
 */
import { utcDay, utcMonth } from '../clock.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';
import { type NanoUsd, nanoUsd } from '../money.ts';
import type { WriteTx } from './operations.ts';

/** It ends with what it is for; no sweeper gives it back. */
const NEVER_MS = 100 * 365 * 86_400_000;
/** No process takes it for its own, and voids it at its start. */
const NO_INSTANCE = '';

/** What an account has that is not set aside; never its credit line. Throws not_found. */
export async function unspent({ db }: WriteTx, accountId: string): Promise<NanoUsd> {
  const row = await db
    .selectFrom('accounts')
    .select(['posted', 'held'])
    .where('id', '=', accountId)
    .executeTakeFirst();
  if (!row) throw new AppError('not_found', 'There is no such account.');
  return nanoUsd(Math.max(0, row.posted - row.held));
}

/** Answers the id of the hold. Throws insufficient_balance. */
export async function setAside(
  tx: WriteTx,
  { accountId, amount, purpose }: { accountId: string; amount: NanoUsd; purpose: string },
): Promise<string> {
  const { db, nowMs } = tx;
  const row = await db
    .updateTable('accounts')
    .set((eb) => ({ held: eb('held', '+', amount) }))
    .where('id', '=', accountId)
    .where((eb) => eb(eb('posted', '-', eb.ref('held')), '>=', amount))
    .returning('id')
    .executeTakeFirst();
  if (!row) throw new AppError('insufficient_balance', 'The account has less than that.');
  const id = newId('hold');
  const [day, month] = [utcDay(nowMs), utcMonth(nowMs)];
  await db
    .insertInto('holds')
    .values({
      id,
      account_id: accountId,
      key_id: null,
      amount,
      captured: 0,
      shortfall: 0,
      state: 'open',
      day,
      month,
      instance: NO_INSTANCE,
      purpose,
      model: null,
      request_id: null,
      price_version: null,
      usage: null,
      limit_left: null,
      created_at: nowMs,
      expires_at: nowMs + NEVER_MS,
      resolved_at: null,
    })
    .execute();
  return id;
}

/** Gives it back. Throws where it was given back before: whoever calls has decided by another row that it was not. */
export async function giveBack({ db, nowMs }: WriteTx, holdId: string): Promise<void> {
  const hold = await db
    .updateTable('holds')
    .set({ state: 'voided', resolved_at: nowMs })
    .where('id', '=', holdId)
    .where('state', '=', 'open')
    .returning(['account_id', 'amount'])
    .executeTakeFirst();
  if (!hold) throw new AppError('internal', `hold ${holdId} is not open`);
  await db
    .updateTable('accounts')
    .set((eb) => ({ held: eb('held', '-', hold.amount) }))
    .where('id', '=', hold.account_id)
    .execute();
}
