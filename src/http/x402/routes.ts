/** Top-up, balance, transactions and payments of a wallet: Venice's wire shapes, mounted under three prefixes. */
import type { EntryRow } from '../../db/tables.ts';
import type { Principal, Wallet } from '../../auth/principal.ts';
import { AppError } from '../../errors.ts';
import type { Balance } from '../../ledger/ledger.ts';
import {
  formatUsd,
  formatUsdSix,
  nanoUsd,
  type NanoUsd,
  parseUsd,
  subtractUsd,
} from '../../money.ts';
import { readPaymentHeader } from '../../payments/header.ts';
import { readCredentials } from '../credentials.ts';
import { type Context, readBody } from '../request.ts';
import { identify, paymentHeaders, type StepOptions } from '../steps.ts';
import { topUpRequired } from './required.ts';

const MAX_BODY_BYTES = 4_096;
const ADDRESS = /^(0x[a-fA-F0-9]{40}|[1-9A-HJ-NP-Za-km-z]{32,44})$/;

/** POST /x402/top-up: without a payment the requirements (402), with one the credit. Needs no sign-in: the payer is the account. */
export function topUp(options: StepOptions) {
  return async (ctx: Context): Promise<void> => {
    const { payments } = readCredentials(ctx.req);
    if (!payments.length) {
      throw topUpRequired(
        options,
        await amountAsked(ctx, options),
        `${ctx.state.origin}${ctx.path}`,
      );
    }
    const deposited = await options.payments.deposit(readPaymentHeader(payments));
    paymentHeaders(ctx, deposited);
    const { balance } = deposited;
    ctx.body = {
      success: true,
      data: {
        walletAddress: deposited.payer,
        amountCredited: dollars(deposited.credited),
        newBalance: dollars(subtractUsd(balance.posted, balance.held)),
        paymentId: deposited.paymentId,
      },
    };
  };
}

/** `?amount_usd=` or a JSON body with amount_usd or amountUsd; the minimum top-up by default. */
async function amountAsked(ctx: Context, { config }: StepOptions): Promise<NanoUsd> {
  const query = ctx.query['amount_usd'] ?? ctx.query['amount'];
  const asked = query ?? (await amountInBody(ctx));
  if (asked === undefined) return config.minimumTopUp;
  const range = `between ${formatUsd(config.minimumTopUp)} and ${formatUsd(config.maximumTopUp)} US dollars`;
  let amount: NanoUsd;
  try {
    amount = parseUsd(String(asked));
  } catch {
    throw new AppError('invalid_request', `amount_usd: must be a decimal ${range}.`);
  }
  if (amount < config.minimumTopUp || amount > config.maximumTopUp) {
    throw new AppError('invalid_request', `amount_usd: must be ${range}.`);
  }
  return amount;
}

async function amountInBody(ctx: Context): Promise<unknown> {
  const body = await readBody(ctx.req, MAX_BODY_BYTES);
  if (body.length === 0) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString());
  } catch {
    throw new AppError('invalid_json', 'The body must be JSON, such as {"amount_usd":"10"}.');
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { amount_usd: snake, amountUsd: camel } = parsed as Record<string, unknown>;
  return snake ?? camel;
}

/** GET /x402/balance/{wallet} */
export function balance(options: StepOptions) {
  return async (ctx: Context): Promise<void> => {
    const { address, accountId } = await ownWallet(ctx, options);
    const now = await options.accounts.balance(accountId);
    const available = subtractUsd(now.posted, now.held);
    const { config } = options;
    ctx.body = {
      success: true,
      data: {
        walletAddress: address,
        balanceUsd: dollars(available),
        canConsume: available >= config.minimumBalance,
        minimumTopUpUsd: dollars(config.minimumTopUp),
        suggestedTopUpUsd: dollars(config.suggestedTopUp),
      },
    };
    balanceHeader(ctx, now);
  };
}

/** GET /x402/transactions/{wallet}?limit=&offset= */
export function transactions(options: StepOptions) {
  return async (ctx: Context): Promise<void> => {
    const { address, accountId } = await ownWallet(ctx, options);
    const limit = whole(ctx, 'limit', 50, 1, 100);
    const offset = whole(ctx, 'offset', 0, 0, 1_000_000);
    const rows = await options.accounts.entries(accountId, { limit: limit + 1, offset });
    const now = await options.accounts.balance(accountId);
    ctx.body = {
      success: true,
      data: {
        walletAddress: address,
        currentBalance: dollars(subtractUsd(now.posted, now.held)),
        transactions: rows.slice(0, limit).map((row) => transaction(row, accountId)),
        pagination: { limit, offset, hasMore: rows.length > limit },
      },
    };
    balanceHeader(ctx, now);
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
    reference: row.ref,
  };
}

/** GET /x402/payments/{id}: signed in as its payer, or with a key of the payer's account. */
export function payment(options: StepOptions) {
  return async (ctx: Context): Promise<void> => {
    const principal = await signedIn(ctx, options);
    const id = String(ctx['params']['id']);
    if (principal.kind === 'wallet') {
      ctx.body = { success: true, data: await options.payments.status(id, principal.wallet) };
      return;
    }
    if (principal.keyType !== 'ADMIN') {
      throw new AppError('not_found', 'There is no such payment.');
    }
    ctx.body = { success: true, data: await options.payments.status(id) };
  };
}

async function signedIn(ctx: Context, options: StepOptions): Promise<Principal> {
  const principal = await identify(options, readCredentials(ctx.req));
  if (principal) return principal;
  throw new AppError('invalid_sign_in', 'Sign in with the wallet: send SIGN-IN-WITH-X.', {
    details: {
      reason: 'missing',
      challenge: options.siwx.challenge(`${ctx.state.origin}${ctx.path}`),
    },
  });
}

async function ownWallet(
  ctx: Context,
  options: StepOptions,
): Promise<{ address: string; accountId: string | null }> {
  const asked = String(ctx['params']['wallet']);
  if (!ADDRESS.test(asked)) {
    throw new AppError('invalid_request', 'wallet: must be an EVM or Solana address.');
  }
  const principal = await signedIn(ctx, options);
  const address = asked.startsWith('0x') ? asked.toLowerCase() : asked;
  if (principal.kind === 'wallet') {
    if (principal.wallet.address !== address) throw mismatch();
    return { address, accountId: principal.accountId };
  }
  const wallet: Wallet = {
    family: asked.startsWith('0x') ? 'eip155' : 'solana',
    chain: '',
    address,
  };
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
  const number = /^\d{1,9}$/.test(String(text)) ? Number(text) : -1;
  if (number >= least && number <= most) return number;
  throw new AppError(
    'invalid_request',
    `${name}: must be a whole number from ${least} to ${most}.`,
  );
}

export function balanceHeader(ctx: Context, { posted, held }: Balance): void {
  ctx.set('x-balance-remaining', formatUsdSix(subtractUsd(posted, held)));
  ctx.set('x-balance-held', formatUsdSix(held));
}

/** Venice's bodies have JSON numbers: exact, because nine decimals of up to a million dollars fit a double. */
function dollars(amount: NanoUsd): number {
  return Number(formatUsd(amount));
}
