import { describe, expect, it } from 'vitest';
import { nanoUsd, ZERO_USD } from '../../src/money.ts';
import { feePrice } from '../../src/pricing/byok.ts';
import {
  affordableOutput,
  ceilingOf,
  compilePrice,
  priceOf,
  priceOfAnswer,
} from '../../src/pricing/tokens.ts';

const PRICE = compilePrice({
  version: 'v',
  markup: '1.1',
  minCharge: '0.00001',
  rules: [
    { unit: 'input_token', per: 1_000_000, usd: '2.5', when: { input_tokens: { gt: 1_000 } } },
    { unit: 'input_token', per: 1_000_000, usd: '1.25' },
    { unit: 'cached_input_token', per: 1_000_000, usd: '0.3' },
    { unit: 'output_token', per: 1_000_000, usd: '10' },
    { unit: 'request', usd: '0.000007' },
  ],
});
const usage = (inputTokens: number, outputTokens: number) => ({
  inputTokens,
  outputTokens,
  cachedInputTokens: Math.floor(inputTokens / 3),
  cacheWriteTokens: 0,
  reasoningTokens: 0,
});
const COUNTS = [0, 1, 7, 999, 1_000, 1_001, 123_457];

describe('the fee for own keys', () => {
  it('is a share of the price, its least charge among it, and a sum for each request', () => {
    const all = feePrice(PRICE, { percent: '100', perRequest: ZERO_USD });
    const half = feePrice(PRICE, { percent: '50', perRequest: nanoUsd(3) });
    for (const input of COUNTS) {
      for (const output of COUNTS) {
        const price = priceOf(PRICE, usage(input, output));
        expect(priceOf(all, usage(input, output))).toBe(price);
        const fee = priceOf(half, usage(input, output)) - 3;
        // One rounding, up, of half of what was rounded up to the price.
        expect([Math.ceil(price / 2), Math.ceil((price - 1) / 2)]).toContain(fee);
        expect(ceilingOf(half, input, output)).toBeGreaterThanOrEqual(fee + 3);
      }
    }
  });

  it('is a share of what the upstream says, where that is the price', () => {
    const upstream = { markup: '1.2', maxUsd: '0.5' };
    const reported = compilePrice({ version: 'v', rules: [], upstream });
    const fee = feePrice(reported, { percent: '12.5', perRequest: nanoUsd(7) });
    const answer = (upstreamCostUsd: string | null) =>
      priceOfAnswer(fee, { usage: usage(60, 40), upstreamCostUsd, heldTokens: 400 });
    expect(ceilingOf(fee, 1_000, 1_000)).toBe(62_500_007);
    expect(answer('0.02')).toBe(3_000_007);
    expect(answer(null)).toBe(Math.ceil(62_500_007 / 4));
    expect(affordableOutput(fee, 1_000, nanoUsd(62_500_006))).toBe(0);
    expect(affordableOutput(fee, 1_000, nanoUsd(62_500_007))).toBe(Infinity);
  });

  it('is nothing where it is nothing, however large the request', () => {
    const none = feePrice(PRICE, { percent: '0', perRequest: ZERO_USD });
    expect(ceilingOf(none, 1e9, 1e9)).toBe(0);
    expect(affordableOutput(none, 1e9, ZERO_USD)).toBe(Infinity);
  });
});
