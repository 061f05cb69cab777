import { describe, expect, it } from 'vitest';
import { decimal, times } from '../../src/import/decimal.ts';

describe('a number of a price file', () => {
  it('becomes the decimal that was meant, without exponent and without the noise of a float', () => {
    const said: [unknown, number, string | null][] = [
      [1e-8, 6, '0.01'],
      [1.25e-6, 6, '1.25'],
      ['0.00000100000000000000015', 6, '1'],
      [0.028060000000000005, 0, '0.02806'],
      [1.59263611e-7, 0, '0.000000159264'],
      [0.0002833333333333333, 0, '0.000283333334'],
      [60, 6, '60000000'],
      [0, 6, '0'],
      ['0.25', 0, '0.25'],
      [3, 0, '3'],
    ];
    for (const [value, tens, meant] of said)
      expect([value, decimal(value, tens)]).toEqual([value, meant]);
  });

  it('is never rounded to less', () => {
    expect(decimal(1e-13)).toBe('0.000000000001');
  });

  it('is no price where it is no number, endless or negative', () => {
    for (const value of [undefined, null, '', 'free', -1, '-1', NaN, Infinity, true, {}]) {
      expect([value, decimal(value)]).toEqual([value, null]);
    }
  });

  it('multiplies exactly', () => {
    expect(times('0.1', '0.2')).toBe('0.02');
    expect(times('0.0002833', '60')).toBe('0.016998');
    expect(times('200', '1000')).toBe('200000');
  });
});
