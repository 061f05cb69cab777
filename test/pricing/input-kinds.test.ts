import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Rule } from '../../src/pricing/rules.ts';
import { ceilingOf, compilePrice, priceOf, type TokenUnit } from '../../src/pricing/tokens.ts';
import type { Usage } from '../../src/providers/provider.ts';

const rule = (unit: TokenUnit, usd: string): Rule => ({ unit, per: 1_000_000, usd });
const usage = (inputTokens: number, outputTokens: number, more: Partial<Usage> = {}): Usage => ({
  inputTokens,
  outputTokens,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  ...more,
});
const base = [rule('input_token', '1'), rule('output_token', '4')];
const price = (...rules: Rule[]) => compilePrice({ rules: [...base, ...rules], version: 'v' });

describe('tokens that are cached for an hour', () => {
  const written = { cacheWriteTokens: 60, longCacheWriteTokens: 40 };

  it('cost their own price, and the others written cost theirs (U-15)', () => {
    const both = price(rule('cache_write_token', '1.25'), rule('cache_write_1h_token', '2'));
    expect(priceOf(both, usage(100, 0, written))).toBe(40 * 1_000 + 20 * 1_250 + 40 * 2_000);
  });

  it('cost what others written cost where they have no price', () => {
    const one = price(rule('cache_write_token', '1.25'));
    expect(priceOf(one, usage(100, 0, written))).toBe(40 * 1_000 + 60 * 1_250);
  });

  it('raise the ceiling of a request that asks for them, and of no other', () => {
    const both = price(rule('cache_write_token', '1.25'), rule('cache_write_1h_token', '2'));
    expect(ceilingOf(both, 100, 0)).toBe(125_000);
    expect(ceilingOf(both, 100, 0, { audioTokens: 0, mayCacheLong: true })).toBe(200_000);
  });
});

describe('tokens of sound', () => {
  it('cost their own price, as part of the input (U-15)', () => {
    const hearing = price(rule('input_audio_token', '32'));
    expect(hearing.hears).toBe(true);
    expect(price().hears).toBe(false);
    expect(priceOf(hearing, usage(100, 0, { inputAudioTokens: 30 }))).toBe(
      70 * 1_000 + 30 * 32_000,
    );
    expect(ceilingOf(hearing, 100, 0, { audioTokens: 30, mayCacheLong: false })).toBe(
      70 * 1_000 + 30 * 32_000,
    );
  });

  it('are never more than the input', () => {
    const hearing = price(rule('input_audio_token', '2'));
    expect(priceOf(hearing, usage(10, 0, { inputAudioTokens: 99 }))).toBe(20_000);
    expect(priceOf(hearing, usage(10, 0, { inputAudioTokens: 99, cachedInputTokens: 4 }))).toBe(
      4 * 1_000 + 6 * 2_000,
    );
  });
});

it('no mixture of what a request asked for costs more than its ceiling', () => {
  const usd = fc.constantFrom('0', '0.1', '1', '1.25', '2', '7');
  const part = fc.nat({ max: 1_000 });
  fc.assert(
    fc.property(
      fc.array(usd, { minLength: 6, maxLength: 6 }),
      fc.record({
        input: part,
        output: part,
        cached: part,
        written: part,
        long: part,
        heard: part,
      }),
      fc.boolean(),
      (rates, counts, mayCacheLong) => {
        const units: TokenUnit[] = [
          'input_token',
          'output_token',
          'cached_input_token',
          'cache_write_token',
          'cache_write_1h_token',
          'input_audio_token',
        ];
        const rules = units.map((unit, index) => rule(unit, rates[index]!));
        const compiled = compilePrice({ rules, version: 'v' });
        const used = usage(counts.input, counts.output, {
          cachedInputTokens: counts.cached,
          cacheWriteTokens: counts.written,
          longCacheWriteTokens: mayCacheLong ? counts.long : 0,
          inputAudioTokens: counts.heard,
        });
        const kinds = { audioTokens: counts.heard, mayCacheLong };
        expect(priceOf(compiled, used)).toBeLessThanOrEqual(
          ceilingOf(compiled, counts.input, counts.output, kinds),
        );
      },
    ),
    { numRuns: 2_000 },
  );
});
