import { describe, expect, it } from 'vitest';
import { readCredits, requireWithin } from '../../src/chat/budget.ts';
import { nanoUsd, parseUsd } from '../../src/money.ts';

const CREDIT = parseUsd('0.01');

describe('max_credits', () => {
  it('refuses a ceiling one nano-dollar above what was approved, and takes one at it', () => {
    const approved = readCredits(250, 'max_credits');
    requireWithin(parseUsd('2.5'), [approved, null], CREDIT);
    expect(() => requireWithin(nanoUsd(parseUsd('2.5') + 1), [approved, null], CREDIT)).toThrow(
      expect.objectContaining({ code: 'max_credits_exceeded' }),
    );
  });

  it('holds the smaller of body and header', () => {
    const limits = [readCredits('10', 'max_credits'), readCredits('0.5', 'X-Max-Credits')];
    requireWithin(parseUsd('0.005'), limits, CREDIT);
    expect(() => requireWithin(parseUsd('0.0051'), limits, CREDIT)).toThrow(/0.0051/);
  });

  it('lets a request through that names none', () => {
    requireWithin(parseUsd('1000'), [readCredits(undefined, 'max_credits'), null], CREDIT);
    expect(readCredits(0, 'max_credits')).toBe(0n);
  });

  it.each([-1, Number.NaN, Infinity, '', '1e3', '0x10', ' 5', true, {}, 1e21])(
    'refuses %j',
    (value) => {
      expect(() => readCredits(value, 'max_credits')).toThrow(/max_credits: must be/);
    },
  );
});
