import type { Kysely } from 'kysely';
import type { Wallet } from '../auth/principal.ts';
import type { Tables } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';
import { type NanoUsd, nanoUsd, ZERO_USD } from '../money.ts';
import { isSystemAccount, type NewEntry, type WriteTx } from './operations.ts';
import type { EntryRest } from './writer.ts';

/** A new deposit that would bring an account above this is refused: integers stay far below 2^53. */
const MAX_POSTED = nanoUsd(1_000_000_000_000_000);

/** What a write operation works with, inside the batch's transaction. */
export function createWriteTx(
  db: Kysely<Tables>,
  nowMs: number,
  addEntry: (entry: EntryRest) => Promise<void>,
  money: Pick<WriteTx, 'reserve' | 'capture' | 'void'>,
): WriteTx {
  return {
    db,
    nowMs,
    post: async (entry) => {
      const balance = await moveCustomer(db, entry);
      const { kind, ref, debit, credit, amount, requestId, model } = entry;
      await addEntry([kind, ref, debit, credit, amount, balance, requestId ?? null, model ?? null]);
      return balance ?? ZERO_USD;
    },
    ...money,
    walletAccount: (wallet) => walletAccount(db, wallet, nowMs),
  };
}

async function moveCustomer(db: Kysely<Tables>, entry: NewEntry): Promise<NanoUsd | null> {
  if (!(entry.amount > 0)) throw new AppError('internal', `an entry of ${entry.amount} nano-USD`);
  const customers = [entry.debit, entry.credit].filter((account) => !isSystemAccount(account));
  if (customers.length > 1) throw new AppError('internal', 'an entry has one customer at most');
  const [id] = customers;
  if (id === undefined) return null;
  const change = id === entry.credit ? entry.amount : -entry.amount;
  const row = await db
    .updateTable('accounts')
    .set((eb) => ({ posted: eb('posted', '+', change) }))
    .where('id', '=', id)
    .returning('posted')
    .executeTakeFirst();
  if (!row) throw new AppError('internal', `no account ${id}`);
  if (row.posted > MAX_POSTED) {
    throw new AppError(
      'invalid_request',
      'This would bring the account above its largest balance.',
    );
  }
  return nanoUsd(row.posted);
}

async function walletAccount(db: Kysely<Tables>, wallet: Wallet, nowMs: number): Promise<string> {
  const { family, chain, address } = wallet;
  const row = await db
    .selectFrom('wallets')
    .select('account_id')
    .where('family', '=', family)
    .where('chain', '=', chain)
    .where('address', '=', address)
    .executeTakeFirst();
  if (row) return row.account_id;
  const id = newId('acc');
  await db
    .insertInto('accounts')
    .values({
      id,
      kind: 'wallet',
      label: address,
      posted: 0,
      held: 0,
      credit_line: 0,
      state: 'active',
      created_at: nowMs,
    })
    .execute();
  await db
    .insertInto('wallets')
    .values({ family, chain, address, account_id: id, created_at: nowMs })
    .execute();
  return id;
}
