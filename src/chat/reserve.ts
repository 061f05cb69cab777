/** The hold of one request, taken for whoever asks: a wallet, or a key and every key above it. */
import type { Principal } from '../auth/principal.ts';
import { AppError } from '../errors.ts';
import type { Hold, Ledger } from '../ledger/ledger.ts';
import { type NanoUsd, ZERO_USD } from '../money.ts';
import { longestMs, type Route } from '../routing/routing.ts';
import type { ChatCall } from './call.ts';

/** A hold outlives the longest its channel may take; after that the sweeper gives it back. */
const HOLD_MARGIN_MS = 60_000;
const NO_KEYS: readonly string[] = [];

export type Payer = Pick<ChatCall, 'principal' | 'requestId' | 'minimumAvailable' | 'keep'>;

export interface Wanted {
  purpose: string;
  /** The most that the request can cost. */
  amount: NanoUsd;
  /** The smallest hold that still serves. */
  atLeast: NanoUsd;
  model: string;
  priceVersion: string;
  routes: readonly Route[];
}

/** Errors: insufficient_balance for wallets, credit_exhausted for keys, spend_limit_exceeded, account_frozen, unavailable. */
export async function reserveFor(
  ledger: Ledger,
  { principal, requestId, minimumAvailable, keep }: Payer,
  { purpose, amount, atLeast, model, priceVersion, routes }: Wanted,
): Promise<Hold> {
  if (principal.accountId === null) throw emptyWallet(amount, atLeast);
  try {
    return await ledger.reserve({
      holdId: keep?.holdId,
      accountId: principal.accountId,
      keyId: principal.kind === 'key' ? principal.keyId : null,
      ancestors: ancestorsOf(principal),
      amount,
      atLeast,
      // What costs nothing needs no balance.
      minimumAvailable: routes[0]?.own && amount === 0 ? ZERO_USD : minimumAvailable,
      purpose,
      model,
      requestId,
      priceVersion,
      ttlMs: longestMs(routes) + HOLD_MARGIN_MS,
    });
  } catch (error) {
    const isKey = principal.kind === 'key' && error instanceof AppError;
    if (!isKey || error.code !== 'insufficient_balance') throw error;
    throw new AppError('credit_exhausted', error.message, { details: error.details ?? {} });
  }
}

function ancestorsOf(principal: Principal): readonly string[] {
  return principal.kind === 'key' ? principal.ancestors : NO_KEYS;
}

function emptyWallet(ceiling: NanoUsd, atLeast: NanoUsd): AppError {
  return new AppError(
    'insufficient_balance',
    'This wallet has no balance yet: the request needs a top-up first.',
    { details: { availableNano: ZERO_USD, neededNano: atLeast, ceilingNano: ceiling } },
  );
}
