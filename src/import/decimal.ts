/** Numbers of other people's price files as decimals: never a float's exponent, never a float's noise, never less than what was meant. */

/** Digits that a double can be trusted with: 0.028060000000000005 was meant as 0.02806. */
const SIGNIFICANT = 15;
/** Decimals that a price may have in the settings file. */
const MOST_DECIMALS = 12;

/** What a JSON number or a decimal text says, times a power of ten; null where it is no price (not finite, or negative). */
export function decimal(value: unknown, tens = 0): string | null {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number) || number < 0) return null;
  const [digits = '', exponent = '0'] = number.toExponential(SIGNIFICANT - 1).split('e');
  return plain(digits.replace('.', ''), Number(exponent) + tens - (SIGNIFICANT - 1));
}

/** `digits` times ten to the `power`, without zeros that say nothing; what is beyond the last decimal rounds up. */
function plain(digits: string, power: number): string {
  let whole = BigInt(digits);
  let decimals = -power;
  if (decimals > MOST_DECIMALS) {
    const beyond = 10n ** BigInt(decimals - MOST_DECIMALS);
    whole = (whole + beyond - 1n) / beyond;
    decimals = MOST_DECIMALS;
  }
  if (decimals <= 0) return String(whole * 10n ** BigInt(-decimals));
  const text = String(whole).padStart(decimals + 1, '0');
  const fraction = text.slice(-decimals).replace(/0+$/, '');
  return text.slice(0, -decimals) + (fraction && `.${fraction}`);
}

export function isZero(text: string): boolean {
  return /^0(\.0*)?$/.test(text);
}

/** The product of two decimals, exactly. */
export function times(left: string, right: string): string {
  const [a, b] = [parts(left), parts(right)];
  return plain(String(a.whole * b.whole), -(a.decimals + b.decimals));
}

function parts(text: string): { whole: bigint; decimals: number } {
  const [whole = '0', fraction = ''] = text.split('.');
  return { whole: BigInt(whole + fraction), decimals: fraction.length };
}
