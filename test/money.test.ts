import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addUsd,
  formatUsd,
  formatUsdSix,
  fromUsdcUnits,
  nanoUsd,
  parseUsd,
  toUsdcUnits,
} from '../src/money.ts';

describe('money', () => {
  it.each([
    ['0', 0],
    ['1', 1_000_000_000],
    ['0.1', 100_000_000],
    ['0.000000001', 1],
    ['10000', 10_000_000_000_000],
    ['4.23', 4_230_000_000],
  ])('reads %s exactly (L-11)', (text, nano) => {
    expect(parseUsd(text)).toBe(nano);
  });

  it.each([
    '',
    ' 5 ',
    '1e3',
    '0x10',
    '-1',
    '+1',
    '1.',
    '.5',
    '01',
    '1,5',
    '١',
    '0.0000000001',
    '1_000',
    'NaN',
    'Infinity',
    '12345678',
    '1.5 ',
  ])('refuses %j (L-11)', (text) => {
    expect(() => parseUsd(text)).toThrow(RangeError);
  });

  it('agrees with integer arithmetic on every decimal it takes', () => {
    fc.assert(
      fc.property(fc.nat(9_000_000), fc.nat(999_999_999), (whole, fraction) => {
        const text = `${whole}.${String(fraction).padStart(9, '0')}`;
        const nano = BigInt(whole) * 1_000_000_000n + BigInt(fraction);
        expect(BigInt(parseUsd(text))).toBe(nano);
        expect(parseUsd(formatUsd(nanoUsd(nano)))).toBe(Number(nano));
      }),
    );
  });

  it('adds 0.1 and 0.2 to 0.3', () => {
    expect(addUsd(parseUsd('0.1'), parseUsd('0.2'))).toBe(parseUsd('0.3'));
  });

  it('shows a balance with six decimals, rounded down', () => {
    expect(formatUsdSix(parseUsd('4.23'))).toBe('4.230000');
    expect(formatUsdSix(parseUsd('0.000001999'))).toBe('0.000001');
    expect(formatUsdSix(nanoUsd(-1))).toBe('-0.000001');
    expect(formatUsdSix(nanoUsd(0))).toBe('0.000000');
  });

  it('shows exact amounts with cents at least', () => {
    expect(formatUsd(parseUsd('10'))).toBe('10.00');
    expect(formatUsd(nanoUsd(125))).toBe('0.000000125');
    expect(formatUsd(nanoUsd(-1_500_000_000))).toBe('-1.50');
  });

  it('turns USDC units into nano and back, rounding what must be paid up', () => {
    expect(fromUsdcUnits(10_000_000n)).toBe(10_000_000_000);
    expect(toUsdcUnits(nanoUsd(1_001))).toBe(2n);
    expect(toUsdcUnits(nanoUsd(1_000))).toBe(1n);
    expect(() => fromUsdcUnits(2n ** 53n)).toThrow(RangeError);
  });

  it('refuses what is not a safe integer', () => {
    for (const value of [0.5, Number.NaN, 2 ** 53, Infinity]) {
      expect(() => nanoUsd(value)).toThrow(RangeError);
    }
    expect(() => addUsd(nanoUsd(Number.MAX_SAFE_INTEGER), nanoUsd(1))).toThrow(RangeError);
  });
});
