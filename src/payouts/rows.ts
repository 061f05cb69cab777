/** The rows of payouts: one transfer of unspent money to the wallet that paid it in, with a hold from its beginning to its end. */
import { type Kysely, sql } from 'kysely';
import type { Wallet } from '../auth/principal.ts';
import type { PayoutRow, PayoutState, Tables } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';
import type { WriteTx } from '../ledger/ledger.ts';
import { setAside, unspent } from '../ledger/set-aside.ts';
import { formatUsd, fromUsdcUnits, NANO_PER_USDC_UNIT, type NanoUsd, nanoUsd } from '../money.ts';

export const PURPOSE = 'payout';
const OPEN: PayoutState[] = ['requested', 'approved', 'sent'];
/** An account has at most that many under way. */
const MAX_OPEN = 5;
/** A transfer costs the operator gas. */
const LEAST = nanoUsd(10_000_000);

export interface NewPayout {
  accountId: string;
  /** Null: all that there is. */
  amount: NanoUsd | null;
  network: string;
  asset: string;
  recipient: string;
  method: PayoutRow['method'];
  askedBy: string;
  /** Whether it is for the wallet itself: then what was given and not paid in stays out. */
  isOfWallet: boolean;
}

export function payoutById(db: Kysely<Tables>, id: string): Promise<PayoutRow | undefined> {
  return db.selectFrom('payouts').selectAll().where('id', '=', id).executeTakeFirst();
}

export interface PayoutFilter {
  limit: number;
  before?: string | undefined;
  state?: PayoutState | undefined;
  accountId?: string | undefined;
}

export function listPayouts(
  db: Kysely<Tables>,
  { limit, before, state, accountId }: PayoutFilter,
): Promise<PayoutRow[]> {
  let query = db.selectFrom('payouts').selectAll();
  if (before !== undefined) query = query.where('id', '<', before);
  if (state !== undefined) query = query.where('state', '=', state);
  if (accountId !== undefined) query = query.where('account_id', '=', accountId);
  return query.orderBy('id', 'desc').limit(limit).execute();
}

/** Throws not_found. */
export async function requirePayout(db: Kysely<Tables>, id: string): Promise<PayoutRow> {
  const row = await payoutById(db, id);
  if (row) return row;
  throw new AppError('not_found', 'There is no such payout.');
}

/** The wallet that owns an account. Throws invalid_request for an account of the house. */
export async function ownerOf(db: Kysely<Tables>, accountId: string): Promise<Wallet> {
  const row = await db
    .selectFrom('wallets')
    .select(['family', 'chain', 'address'])
    .where('account_id', '=', accountId)
    .executeTakeFirst();
  if (row) return row as Wallet;
  const account = await db
    .selectFrom('accounts')
    .select('id')
    .where('id', '=', accountId)
    .executeTakeFirst();
  if (!account) throw new AppError('not_found', 'There is no such account.');
  throw new AppError('invalid_request', 'Only the account of a wallet has money to pay back.');
}

/** Makes the row and sets its money aside. Errors: insufficient_balance, invalid_request, state_conflict. */
export async function insertPayout(tx: WriteTx, payout: NewPayout): Promise<PayoutRow> {
  const { db, nowMs } = tx;
  const { accountId, network, asset, recipient, method, askedBy } = payout;
  await requireRoom(db, accountId);
  const most = await payable(tx, payout);
  const amount = payout.amount ?? most;
  if (amount > most) throw tooMuch(most);
  if (amount < LEAST) throw tooLittle(most);
  if (amount % NANO_PER_USDC_UNIT) throw tooFine(most);
  const holdId = await setAside(tx, { accountId, amount, purpose: PURPOSE });
  const isDecided = method !== null;
  const row: PayoutRow = {
    id: newId('out'),
    account_id: accountId,
    hold_id: holdId,
    network,
    asset,
    recipient,
    units: String(amount / NANO_PER_USDC_UNIT),
    amount,
    state: isDecided ? 'approved' : 'requested',
    method,
    asked_by: askedBy,
    attempt: 1,
    payment: null,
    transaction_id: null,
    raw_transaction: null,
    block: null,
    is_final: 0,
    looks: 0,
    reason: null,
    created_at: nowMs,
    sent_at: null,
    settled_at: null,
    next_check_at: method === 'embedded' ? nowMs : null,
  };
  await db.insertInto('payouts').values(row).execute();
  return row;
}

async function requireRoom(db: Kysely<Tables>, accountId: string): Promise<void> {
  const { open } = await db
    .selectFrom('payouts')
    .select((eb) => eb.fn.countAll<number>().as('open'))
    .where('account_id', '=', accountId)
    .where('state', 'in', OPEN)
    .executeTakeFirstOrThrow();
  if (open < MAX_OPEN) return;
  throw new AppError('state_conflict', `At most ${MAX_OPEN} payouts of an account are under way.`);
}

/** Whole base units of USDC. */
async function payable(tx: WriteTx, { accountId, isOfWallet }: NewPayout): Promise<NanoUsd> {
  const free = await unspent(tx, accountId);
  const most = isOfWallet ? Math.min(free, await paidIn(tx.db, accountId)) : free;
  return nanoUsd(Math.max(0, most - (most % NANO_PER_USDC_UNIT)));
}

/**
 * What a wallet paid in and did not get back: not what was given to it, and not what the chain may still take back or a facilitator
 * alone has said.
 */
async function paidIn(db: Kysely<Tables>, accountId: string): Promise<number> {
  const paid = await db
    .selectFrom('payments')
    .select(sql<number>`coalesce(sum(cast(units as bigint)), 0)`.as('units'))
    .where('account_id', '=', accountId)
    .where('state', '=', 'settled')
    .where('is_final', '=', 1)
    .executeTakeFirstOrThrow();
  const back = await db
    .selectFrom('payouts')
    .select((eb) => eb.fn.coalesce(eb.fn.sum<number>('amount'), sql<number>`0`).as('amount'))
    .where('account_id', '=', accountId)
    .where('state', 'in', [...OPEN, 'settled'])
    .executeTakeFirstOrThrow();
  return Math.max(0, fromUsdcUnits(BigInt(paid.units)) - back.amount);
}

function tooMuch(most: NanoUsd): AppError {
  const message = `amount_usd: at most ${formatUsd(most)} can be paid out.`;
  return new AppError('invalid_request', message, { details: wrongAmount(message, most) });
}

function tooLittle(most: NanoUsd): AppError {
  const message = `amount_usd: must be at least ${formatUsd(LEAST)}; ${formatUsd(most)} can be paid out.`;
  return new AppError('invalid_request', message, { details: wrongAmount(message, most) });
}

function tooFine(most: NanoUsd): AppError {
  const message = 'amount_usd: must have six decimals at most, as USDC has.';
  return new AppError('invalid_request', message, { details: wrongAmount(message, most) });
}

function wrongAmount(message: string, most: NanoUsd): Record<string, unknown> {
  return { _errors: [], amount_usd: { _errors: [message] }, mostUsd: formatUsd(most) };
}
