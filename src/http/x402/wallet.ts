/** What a wallet may ask about itself: balance, transactions, payments. Venice's wire shapes, mounted under three prefixes. */
import type { Principal, Wallet } from '../../auth/principal.ts';
import { requireRight } from '../../auth/rights.ts';
import type { EntryRow } from '../../db/tables.ts';
import { AppError } from '../../errors.ts';
import { HOUSE_ACCOUNT } from '../../keys/keys.ts';
import type { Balance } from '../../ledger/ledger.ts';
import { formatUsdSix, nanoUsd, subtractUsd } from '../../money.ts';
import { type Context, sendJson } from '../request.ts';
import { identify, type StepOptions } from '../steps.ts';
import { dollars, WALLET_ADDRESS } from './shapes.ts';

const PAGE = { standard: 50, most: 100, farthest: 1_000_000 };

/** GET …/x402/balance/{wallet} */
export function balance(options: StepOptions) {
  return async (ctx: Context): Promise<void> => {
    const { address, accountId } = await ownWallet(ctx, options);
    const now = await options.accounts.balance(accountId);
    const available = subtractUsd(now.posted, now.held);
    const { config } = options;
    balanceHeaders(ctx, now);
    sendJson(ctx, 200, {
      success: true,
      data: {
        walletAddress: address,
        balanceUsd: dollars(available),
        canConsume: available >= config.minimumBalance,
        minimumTopUpUsd: dollars(config.minimumTopUp),
        suggestedTopUpUsd: dollars(config.suggestedTopUp),
      },
    });
  };
}

/** GET …/x402/transactions/{wallet}?limit=&offset=, newest first. */
export function transactions(options: StepOptions) {
  return async (ctx: Context): Promise<void> => {
    const limit = whole(ctx, 'limit', PAGE.standard, 1, PAGE.most);
    const offset = whole(ctx, 'offset', 0, 0, PAGE.farthest);
    const { address, accountId } = await ownWallet(ctx, options);
    // One more than asked for tells whether there are more.
    const rows = await options.accounts.entries(accountId, { limit: limit + 1, offset });
    const now = await options.accounts.balance(accountId);
    balanceHeaders(ctx, now);
    sendJson(ctx, 200, {
      success: true,
      data: {
        walletAddress: address,
        currentBalance: dollars(subtractUsd(now.posted, now.held)),
        transactions: rows.slice(0, limit).map((row) => transaction(row, accountId)),
        pagination: { limit, offset, hasMore: rows.length > limit },
      },
    });
  };
}

const TYPES: Partial<Record<EntryRow['kind'], string>> = {
  DEPOSIT: 'TOP_UP',
  GRANT: 'TOP_UP',
  REFUND: 'REFUND',
};

function transaction(row: EntryRow, accountId: string | null): Record<string, unknown> {
  const isCredit = row.credit_account === accountId;
  return {
    id: `entry_${row.seq}`,
    amount: dollars(nanoUsd(isCredit ? row.amount : -row.amount)),
    balanceAfter: dollars(nanoUsd(row.balance_after ?? 0)),
    type: TYPES[row.kind] ?? (isCredit ? 'REFUND' : 'CHARGE'),
    createdAt: new Date(row.at).toISOString(),
    requestId: row.request_id,
    modelId: row.model,
  };
}

/** GET …/x402/payments/{id}: signed in as its payer, or with an operator's key. */
export function payment(options: StepOptions) {
  return async (ctx: Context): Promise<void> => {
    const principal = await signedIn(ctx, options);
    const id = String(ctx['params']['id']);
    const status = await options.payments.status(id, ...reach(principal));
    sendJson(ctx, 200, { success: true, data: status });
  };
}

/** An operator's key sees every payment, a wallet its own, any other key none. */
function reach(principal: Principal): [] | [Wallet] {
  if (principal.kind === 'wallet') return [principal.wallet];
  if (principal.keyType === 'ADMIN' && principal.accountId === HOUSE_ACCOUNT) return [];
  throw new AppError('not_found', 'There is no such payment.');
}

async function signedIn(ctx: Context, options: StepOptions): Promise<Principal> {
  const { origin } = ctx.state;
  const principal = await identify(options, ctx);
  if (principal) return requireRight(principal, 'wallet.read');
  throw new AppError('invalid_sign_in', 'Sign in with the wallet: send SIGN-IN-WITH-X.', {
    details: { reason: 'missing', challenge: options.siwx.challenge(`${origin}${ctx.path}`) },
  });
}

async function ownWallet(
  ctx: Context,
  options: StepOptions,
): Promise<{ address: string; accountId: string | null }> {
  const asked = String(ctx['params']['wallet']);
  if (!WALLET_ADDRESS.test(asked)) {
    throw new AppError('invalid_request', 'wallet: must be an EVM or Solana address.', {
      details: { field: 'wallet' },
    });
  }
  const isEvm = asked.startsWith('0x');
  const address = isEvm ? asked.toLowerCase() : asked;
  const principal = await signedIn(ctx, options);
  if (principal.kind === 'wallet') {
    if (principal.wallet.address !== address) throw mismatch();
    return { address, accountId: principal.accountId };
  }
  const wallet: Wallet = { family: isEvm ? 'eip155' : 'solana', chain: '', address };
  const accountId = await options.accounts.walletAccount(wallet);
  if (accountId === null || accountId !== principal.accountId) throw mismatch();
  return { address, accountId };
}

function mismatch(): AppError {
  return new AppError(
    'wallet_mismatch',
    'You are signed in as another wallet than the path names.',
  );
}

function whole(ctx: Context, name: string, standard: number, least: number, most: number): number {
  const text = ctx.query[name];
  if (text === undefined) return standard;
  const number = typeof text === 'string' && /^\d{1,9}$/.test(text) ? Number(text) : -1;
  if (number >= least && number <= most) return number;
  throw new AppError(
    'invalid_request',
    `${name}: must be a whole number from ${least} to ${most}.`,
    { details: { field: name } },
  );
}

function balanceHeaders({ state }: Context, { posted, held }: Balance): void {
  state.headers['x-balance-remaining'] = formatUsdSix(subtractUsd(posted, held));
  state.headers['x-balance-held'] = formatUsdSix(held);
}
