/** What a paid answer says of money (contract: headers out). */
import type { Hold, Resolution } from '../ledger/ledger.ts';
import { formatUsd, formatUsdSix, subtractUsd } from '../money.ts';

export type Headers = Record<string, string>;

/** Of a hold just taken, or of its end. */
export type Standing = Pick<Hold, 'balance' | 'limitLeft'>;

export function balanceHeaders(headers: Headers, { balance, limitLeft }: Standing): void {
  headers['x-balance-remaining'] = formatUsdSix(subtractUsd(balance.posted, balance.held));
  headers['x-balance-held'] = formatUsdSix(balance.held);
  if (limitLeft !== null) headers['x-limit-remaining'] = formatUsdSix(limitLeft);
}

/** The line before the end of a stream: SSE readers skip comments. */
export function finalComment({ charged, balance, limitLeft }: Resolution): Buffer {
  const figures = {
    cost: formatUsd(charged),
    balance_remaining: formatUsdSix(subtractUsd(balance.posted, balance.held)),
    balance_held: formatUsdSix(balance.held),
    ...(limitLeft !== null && { limit_remaining: formatUsdSix(limitLeft) }),
  };
  return Buffer.from(`: farebox ${JSON.stringify(figures)}\n\n`);
}
