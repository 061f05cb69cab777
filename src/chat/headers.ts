/** What a paid answer says of money (contract: headers out). */
import type { Balance, Resolution } from '../ledger/ledger.ts';
import { formatUsd, formatUsdSix, subtractUsd } from '../money.ts';

export type Headers = Record<string, string>;

export function balanceHeaders(headers: Headers, balance: Balance): void {
  headers['x-balance-remaining'] = formatUsdSix(subtractUsd(balance.posted, balance.held));
  headers['x-balance-held'] = formatUsdSix(balance.held);
}

/** The line before the end of a stream: SSE readers skip comments. */
export function finalComment({ charged, balance }: Resolution): Buffer {
  const figures = {
    cost: formatUsd(charged),
    balance_remaining: formatUsdSix(subtractUsd(balance.posted, balance.held)),
    balance_held: formatUsdSix(balance.held),
  };
  return Buffer.from(`: farebox ${JSON.stringify(figures)}\n\n`);
}
