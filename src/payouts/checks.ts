/** What must hold before a payout goes on, and how it is said when it does not. */
import bs58 from 'bs58';
import type { Wallet } from '../auth/principal.ts';
import type { Rail } from '../chains/chain.ts';
import type { PayoutRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { WriteTx } from '../ledger/ledger.ts';

export type Method = 'embedded' | 'manual';

const EVM_HASH = /^0x[0-9a-f]{64}$/;
const MAX_SIGNATURE = 90;

/** The network named, or the first of the wallet's family; a contract wallet is itself on its own chain only. */
export function railFor(
  rails: readonly Rail[],
  { family, chain, address }: Wallet,
  network: string | undefined,
): Rail {
  const fitting = rails.filter(
    (rail) => rail.family === family && (chain === '' || rail.network === chain),
  );
  const rail = network === undefined ? fitting[0] : fitting.find((at) => at.network === network);
  if (!rail) {
    const right = fitting.map((at) => at.network).join(' or ') || 'a network of this wallet';
    const code = fitting.length ? 'invalid_request' : 'not_configured';
    throw new AppError(code, `network: must be ${right}, and set up here.`);
  }
  if (address !== rail.payTo && address !== rail.treasury) return rail;
  throw new AppError('invalid_request', 'The wallet is the one that pays.');
}

export async function requireActive({ db }: WriteTx, accountId: string): Promise<void> {
  const account = await db
    .selectFrom('accounts')
    .select('state')
    .where('id', '=', accountId)
    .executeTakeFirst();
  if (account?.state !== 'frozen') return;
  throw new AppError('account_frozen', 'This account is frozen. Write to the operator.');
}

export function requireMethod(rail: Rail, method: Method): void {
  if (method === 'manual' || rail.treasury !== null) return;
  throw new AppError(
    'invalid_request',
    `method: must be manual; ${rail.network} has no treasury_key to pay from.`,
  );
}

export function transactionId({ family }: Rail, text: string): string {
  if (family === 'eip155') {
    const hash = text.toLowerCase();
    if (EVM_HASH.test(hash)) return hash;
  } else if (text.length <= MAX_SIGNATURE && bs58.decodeUnsafe(text)?.length === 64) return text;
  throw wrongTransaction('form', 'it must be a transaction id of that network');
}

export function wrongTransaction(reason: string, why: string): AppError {
  const message = `transaction: ${why}.`;
  const details = { _errors: [], transaction: { _errors: [message] }, reason };
  return new AppError('invalid_request', message, { details });
}

export function conflict({ state, method }: PayoutRow): AppError {
  const how = method === null ? '' : ` (${method})`;
  return new AppError('state_conflict', `The payout is ${state}${how}.`, { details: { state } });
}
