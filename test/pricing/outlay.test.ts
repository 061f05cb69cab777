import { describe, expect, it } from 'vitest';
import type { CostConfig } from '../../src/config/config.ts';
import { mediaOutlay, outlayFields, tokenOutlay } from '../../src/pricing/outlay.ts';

const USAGE = {
  inputTokens: 1_000,
  outputTokens: 100,
  cachedInputTokens: 400,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
};
const rules = (
  ...list: { unit: string; usd: string; per?: number; when?: { size: string } }[]
): CostConfig => ({
  from: 'rules',
  prices: { rules: list },
});

describe('what a request cost its operator', () => {
  it('is what the rules of its route come to', () => {
    const cost = rules(
      { unit: 'input_token', per: 1_000_000, usd: '2' },
      { unit: 'cached_input_token', per: 1_000_000, usd: '0.5' },
      { unit: 'output_token', per: 1_000_000, usd: '8' },
    );
    const nano = 600 * 2_000 + 400 * 500 + 100 * 8_000;
    expect(tokenOutlay(cost, USAGE, null)).toEqual({ nano, listed: nano, reported: null });
    // The same rules, compiled before.
    expect(tokenOutlay(cost, USAGE, undefined).nano).toBe(nano);
  });

  it('is what the upstream says, where it says something', () => {
    const cost = rules({ unit: 'output_token', per: 1_000_000, usd: '8' });
    expect(tokenOutlay(cost, USAGE, '0.0000025')).toEqual({
      nano: 2_500,
      listed: 800_000,
      reported: 2_500,
    });
    expect(tokenOutlay({ from: 'upstream' }, USAGE, '1.25').nano).toBe(1_250_000_000);
    expect(tokenOutlay(undefined, USAGE, '0.0000000001').nano).toBe(1);
  });

  it('is not known where nobody says, and then not nothing', () => {
    expect(tokenOutlay(undefined, USAGE, null).nano).toBeNull();
    expect(tokenOutlay({ from: 'upstream' }, USAGE, null).nano).toBeNull();
    expect(tokenOutlay(rules({ unit: 'image', usd: '1' }), USAGE, null).nano).toBeNull();
    expect(tokenOutlay(undefined, USAGE, 'a lot').nano).toBeNull();
    expect(outlayFields('c', tokenOutlay(undefined, USAGE, null))).toEqual({ channel: 'c' });
    expect(outlayFields('c', tokenOutlay(undefined, USAGE, '0'))).toEqual({
      channel: 'c',
      upstream_nano: 0,
    });
  });

  it('is counted in units where it is made of them', () => {
    const cost = rules({ unit: 'image', usd: '0.03' });
    const order = { units: { image: 2 }, circumstances: { size: '1024x1024' } };
    expect(mediaOutlay(cost, order, null).nano).toBe(60_000_000);
    const others = { ...order, units: { output_second: 5 } };
    expect(mediaOutlay(cost, others, null).nano).toBeNull();
    const large = rules({ unit: 'image', usd: '0.03', when: { size: '2048x2048' } });
    expect(mediaOutlay(large, order, null).nano).toBeNull();
    expect(mediaOutlay(cost, order, '0.05')).toEqual({
      nano: 50_000_000,
      listed: 60_000_000,
      reported: 50_000_000,
    });
  });
});
