/**
 * Money is integer nano-USD (10^-9 USD), held in a branded safe integer. No float ever holds money.
 * One USDC base unit (10^-6 USD) is 1,000 nano-USD. The largest value is 2^53-1 nano, about $9.0 million.
 */

declare const nanoBrand: unique symbol;

/** An integer number of 10^-9 US dollars, possibly negative (a balance may owe), always a safe integer. */
export type NanoUsd = number & { readonly [nanoBrand]: true };

export const NANO_PER_USD = 1_000_000_000;
export const NANO_PER_USDC_UNIT = 1_000;
export const ZERO_USD = 0 as NanoUsd;

/** Brands an integer; throws RangeError on anything that is not a safe integer. */
export function nanoUsd(value: number | bigint): NanoUsd {
  const number = Number(value);
  if (!Number.isSafeInteger(number))
    throw new RangeError(`not a safe integer of nano-USD: ${value}`);
  return number as NanoUsd;
}

export function addUsd(a: NanoUsd, b: NanoUsd): NanoUsd {
  return nanoUsd(a + b);
}

export function subtractUsd(a: NanoUsd, b: NanoUsd): NanoUsd {
  return nanoUsd(a - b);
}

const DECIMAL = /^(0|[1-9][0-9]{0,6})(?:\.([0-9]{1,9}))?$/;

/**
 * Reads a decimal string of US dollars with at most nine decimals ("0.25", "10", "0.000000001").
 * Refuses signs, exponents, hex, blanks and digits of other scripts with RangeError.
 */
export function parseUsd(text: string): NanoUsd {
  const match = DECIMAL.exec(text);
  if (!match)
    throw new RangeError(
      `not a decimal amount of US dollars: ${JSON.stringify(text.slice(0, 40))}`,
    );
  return nanoUsd(BigInt(match[1]!) * 1_000_000_000n + BigInt((match[2] ?? '').padEnd(9, '0')));
}

/** Exact decimal dollars without trailing zeros beyond the cents: "4.23", "0.000000125". */
export function formatUsd(amount: NanoUsd): string {
  const [whole, fraction] = split(amount);
  return `${whole}.${fraction.replace(/0{1,7}$/, '')}`;
}

/** As formatUsd, for sums over many accounts or years, which may be beyond NanoUsd. */
export function formatBigUsd(nano: bigint): string {
  const digits = String(nano < 0n ? -nano : nano).padStart(10, '0');
  const fraction = digits.slice(-9).replace(/0{1,7}$/, '');
  return `${nano < 0n ? '-' : ''}${digits.slice(0, -9)}.${fraction}`;
}

/** Dollars with six decimals, rounded down (towards minus infinity): "4.230000". The form of X-Balance-Remaining. */
export function formatUsdSix(amount: NanoUsd): string {
  const micro = Math.floor(amount / 1_000);
  const [whole, fraction] = split(nanoUsd(micro * 1_000));
  return `${whole}.${fraction.slice(0, 6)}`;
}

function split(amount: NanoUsd): [whole: string, nineDigits: string] {
  const magnitude = Math.abs(amount);
  const whole = Math.floor(magnitude / NANO_PER_USD);
  return [`${amount < 0 ? '-' : ''}${whole}`, String(magnitude % NANO_PER_USD).padStart(9, '0')];
}

/** USDC base units (6 decimals) to nano-USD. */
export function fromUsdcUnits(units: bigint): NanoUsd {
  return nanoUsd(units * 1_000n);
}

/** Nano-USD to USDC base units, rounded up: what must be paid so that the amount is covered. */
export function toUsdcUnits(amount: NanoUsd): bigint {
  return (BigInt(amount) + 999n) / 1_000n;
}
