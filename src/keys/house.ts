/** The house account: what the operator's own keys spend on. */
import type { Kysely } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { nanoUsd } from '../money.ts';

export const HOUSE_ACCOUNT = 'acc_house';
/**
 * What the operator's own keys may spend before somebody pays anything in: they buy from the operator, so nobody else is owed. A key's
 * own limits are what bounds it; this only keeps the account within its range.
 */
const HOUSE_CREDIT_LINE = nanoUsd(1_000_000_000_000_000);

/** Throws not_found for an account that is not there; the house is opened when it is first asked for. */
export async function requireAccount(db: Kysely<Tables>, id: string, nowMs: number): Promise<void> {
  const row = await db.selectFrom('accounts').select('id').where('id', '=', id).executeTakeFirst();
  if (row) return;
  if (id !== HOUSE_ACCOUNT) throw new AppError('not_found', 'accountId: there is no such account.');
  await db
    .insertInto('accounts')
    .values({
      id,
      kind: 'house',
      label: 'house',
      posted: 0,
      held: 0,
      credit_line: HOUSE_CREDIT_LINE,
      state: 'active',
      created_at: nowMs,
    })
    .execute();
}
