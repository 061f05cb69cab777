/** What a key may spend, as callers say it and as the ledger counts it. */
import { NANO_PER_USD, nanoUsd, type NanoUsd } from '../money.ts';

/** As Venice has them. Only `usd` is enforced; `diem` and `vcu` are kept and told again. */
export interface SpendLimits {
  usd: number | null;
  diem: number | null;
  vcu: number | null;
}

export const NO_LIMITS: SpendLimits = { usd: null, diem: null, vcu: null };
/** No window can count further than that, and no account holds a tenth of it. */
const MOST_NANO = 9_000_000 * NANO_PER_USD;

/** The limit in nano-USD; fractions of a nano-dollar are cut off, so that a limit is never looser than it was said. */
export function limitNano({ usd }: SpendLimits): NanoUsd | null {
  if (usd === null) return null;
  if (usd * NANO_PER_USD >= MOST_NANO) return nanoUsd(MOST_NANO);
  // Ten decimals are more than a nano-dollar has, and what toFixed rounds beyond them is no part of any limit.
  const [whole = '0', fraction = ''] = usd.toFixed(10).split('.');
  return nanoUsd(BigInt(whole) * 1_000_000_000n + BigInt(fraction.slice(0, 9)));
}

export function readLimits(json: string): SpendLimits {
  return { ...NO_LIMITS, ...(JSON.parse(json) as Partial<SpendLimits>) };
}
