import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Catalogue } from '../../src/catalogue.ts';
import { nanoUsd } from '../../src/money.ts';
import { Prices, type Rule } from '../../src/pricing/rules.ts';
import {
  affordableOutput,
  ceilingOf,
  compilePrice as compile,
  priceOf,
  type TokenPrices,
  type TokenUnit,
} from '../../src/pricing/tokens.ts';
import type { Usage } from '../../src/providers/provider.ts';

const compilePrice = (rules: Rule[], version: string, unpriced: TokenUnit[] = []) =>
  compile({ rules, version }, unpriced);
const rule = (unit: TokenUnit, usd: string, per = 1_000_000): Rule => ({
  unit,
  per,
  usd,
});
const usage = (inputTokens: number, outputTokens: number, more: Partial<Usage> = {}): Usage => ({
  inputTokens,
  outputTokens,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  ...more,
});
const simple = compilePrice([rule('input_token', '0.25'), rule('output_token', '2')], 'v');

describe('a price', () => {
  it('is exact at typical rates', () => {
    expect(priceOf(simple, usage(1_000, 100))).toBe(1_000 * 250 + 100 * 2_000);
  });

  it('rounds up once per request, not once per part (L-11)', () => {
    const price = compilePrice(
      [rule('input_token', '0.0001'), rule('output_token', '0.0001')],
      'v',
    );
    expect(priceOf(price, usage(1, 0))).toBe(1);
    expect(priceOf(price, usage(5, 5))).toBe(1);
    expect(priceOf(price, usage(5, 6))).toBe(2);
  });

  it('takes a tenth of a millionth of a dollar a token exactly, where floats do not (L-11)', () => {
    const price = compilePrice(
      [rule('input_token', '0.0000001', 1), rule('output_token', '0.3', 3)],
      'v',
    );
    expect(priceOf(price, usage(3, 0))).toBe(300);
    expect(priceOf(price, usage(0, 1))).toBe(100_000_000);
  });

  it('prices cached, written and reasoning tokens once, by their own rule or as what they are part of (U-15)', () => {
    const parts = { cachedInputTokens: 40, cacheWriteTokens: 10, reasoningTokens: 30 };
    expect(priceOf(simple, usage(100, 50, parts))).toBe(100 * 250 + 50 * 2_000);
    const detailed = compilePrice(
      [
        rule('input_token', '1'),
        rule('cached_input_token', '0.1'),
        rule('cache_write_token', '1.25'),
        rule('output_token', '4'),
        rule('reasoning_token', '8'),
        rule('request', '0.000001', 1),
      ],
      'v',
    );
    expect(priceOf(detailed, usage(100, 50, parts))).toBe(
      50 * 1_000 + 40 * 100 + 10 * 1_250 + 20 * 4_000 + 30 * 8_000 + 1_000,
    );
  });

  it('never counts more parts than there are tokens', () => {
    const price = compilePrice(
      [rule('input_token', '1'), rule('cached_input_token', '0'), rule('output_token', '1')],
      'v',
    );
    const odd = usage(10, 10, {
      cachedInputTokens: 1_000,
      cacheWriteTokens: 1_000,
      reasoningTokens: 99,
    });
    expect(priceOf(price, odd)).toBe(10_000);
  });

  it('takes the first rule of a unit', () => {
    const price = compilePrice(
      [rule('input_token', '1'), rule('input_token', '9'), rule('output_token', '1')],
      'v',
    );
    expect(priceOf(price, usage(1, 0))).toBe(1_000);
  });

  it('of zero is zero, and only when somebody wrote it (L-13)', () => {
    const free = compilePrice([rule('input_token', '0'), rule('output_token', '0.0')], 'v');
    expect(priceOf(free, usage(1e9, 1e9))).toBe(0);
    expect(() => compilePrice([rule('input_token', '1')], 'v')).toThrow(/output_token/);
    expect(() => compilePrice([rule('output_token', '1')], 'v')).toThrow(/input_token/);
  });

  it.each([
    '-1',
    '1e3',
    '0x10',
    '',
    ' 5 ',
    '.5',
    '5.',
    '01',
    '1,5',
    '٣',
    '0.0000000000000001',
    'NaN',
    '12345678',
  ])('refuses %j as a rate (L-11, L-13)', (usd) => {
    expect(() => compilePrice([rule('input_token', usd), rule('output_token', '1')], 'v')).toThrow(
      RangeError,
    );
  });

  it.each([0, -1, 1.5, NaN, 2 ** 53])('refuses a price for %s units', (per) => {
    expect(() =>
      compilePrice([rule('input_token', '1', per), rule('output_token', '1')], 'v'),
    ).toThrow(/per/);
  });

  it('beyond any balance stays a safe integer', () => {
    const price = compilePrice([rule('input_token', '9999999', 1), rule('output_token', '1')], 'v');
    expect(priceOf(price, usage(1e9, 0))).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('agrees with a fraction worked out by hand, for any rules and counts (L-11)', () => {
    const decimals = fc.bigInt(0n, 10n ** 15n).map((pico) => {
      const text = pico.toString().padStart(13, '0');
      return { pico, usd: `${text.slice(0, -12)}.${text.slice(-12)}` };
    });
    const per = fc.constantFrom(1, 3, 7, 1_000, 1_000_000, 999_983);
    const count = fc.nat(5_000_000);
    fc.assert(
      fc.property(decimals, decimals, per, per, count, count, (a, b, perA, perB, input, output) => {
        const price = compilePrice(
          [rule('input_token', a.usd, perA), rule('output_token', b.usd, perB)],
          'v',
        );
        const over = a.pico * BigInt(input) * BigInt(perB) + b.pico * BigInt(output) * BigInt(perA);
        const under = 1_000n * BigInt(perA) * BigInt(perB);
        const expected = (over + under - 1n) / under;
        const capped = expected > 2n ** 53n - 1n ? 2n ** 53n - 1n : expected;
        expect(BigInt(priceOf(price, usage(input, output)))).toBe(capped);
      }),
    );
  });
});

describe('a ceiling', () => {
  const dear = compilePrice(
    [
      rule('input_token', '1'),
      rule('cached_input_token', '0.1'),
      rule('cache_write_token', '1.25'),
      rule('output_token', '4'),
      rule('reasoning_token', '8'),
    ],
    'v',
  );

  it('covers every way in which the upstream may split the same counts', () => {
    const ceiling = ceilingOf(dear, 100, 50);
    fc.assert(
      fc.property(
        fc.nat(100),
        fc.nat(100),
        fc.nat(50),
        (cachedInputTokens, cacheWriteTokens, reasoningTokens) => {
          const split = usage(100, 50, { cachedInputTokens, cacheWriteTokens, reasoningTokens });
          expect(priceOf(dear, split)).toBeLessThanOrEqual(ceiling);
        },
      ),
    );
  });

  it('and what a budget affords are each other’s inverse', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.nat(10_000), (input, output) => {
        for (const price of [simple, dear]) {
          const budget = ceilingOf(price, input, output);
          expect(affordableOutput(price, input, budget)).toBe(output);
          const less = affordableOutput(price, input, nanoUsd(Math.max(0, budget - 1)));
          expect(less).toBe(Math.max(0, output - 1));
        }
      }),
    );
  });

  it('affords any output where output is free', () => {
    const free = compilePrice([rule('input_token', '1'), rule('output_token', '0')], 'v');
    expect(affordableOutput(free, 10, nanoUsd(10_000))).toBe(Infinity);
    expect(affordableOutput(free, 10, nanoUsd(9_999))).toBe(0);
  });
});

describe('prices by length, markups and least charges', () => {
  const long = { input_tokens: { gt: 272_000 } };
  const tiered: TokenPrices = {
    version: 'v',
    rules: [
      { ...rule('input_token', '10'), when: long },
      { ...rule('output_token', '45'), when: long },
      rule('input_token', '5'),
      rule('cached_input_token', '0.5'),
      rule('output_token', '30'),
    ],
  };

  it('change at the very token', () => {
    const price = compile(tiered);
    expect(priceOf(price, usage(272_000, 10))).toBe(272_000 * 5_000 + 10 * 30_000);
    expect(priceOf(price, usage(272_001, 10))).toBe(272_001 * 10_000 + 10 * 45_000);
    expect(ceilingOf(price, 272_001, 10)).toBe(priceOf(price, usage(272_001, 10)));
  });

  it('hold the dearest that the upstream could count the input as', () => {
    const odd = compile({
      version: 'v',
      rules: [
        { ...rule('output_token', '1'), when: { input_tokens: { gte: 100 } } },
        rule('input_token', '1'),
        rule('output_token', '9'),
      ],
    });
    expect(ceilingOf(odd, 200, 50)).toBe(200 * 1_000 + 50 * 9_000);
    expect(affordableOutput(odd, 200, ceilingOf(odd, 200, 50))).toBe(50);
  });

  it('multiply and bound below, with one rounding at the end', () => {
    const rules = [rule('input_token', '0.0001'), rule('output_token', '0.0001')];
    const marked = compile({ version: 'v', rules, markup: '1.25', minCharge: '0.000001' });
    expect(priceOf(marked, usage(4, 0))).toBe(1_000);
    expect(priceOf(marked, usage(100_000, 1))).toBe(12_501);
    expect(affordableOutput(marked, 0, nanoUsd(999))).toBe(0);
    expect(affordableOutput(marked, 0, nanoUsd(1_000))).toBe(8_000);
  });

  it('say the same as the general rules, whatever the list (U-14)', () => {
    const amount = fc
      .tuple(fc.nat(99), fc.nat(999_999))
      .map(([a, b]) => `${a}.${String(b).padStart(6, '0')}`);
    const bounds = fc.option(fc.record({ gt: fc.nat(2_000) }), { nil: undefined });
    const unit = fc.constantFrom<TokenUnit>(
      'input_token',
      'output_token',
      'request',
      'cached_input_token',
      'reasoning_token',
    );
    const rules = fc.array(fc.tuple(unit, amount, bounds, fc.constantFrom(1, 1_000, 1_000_000)), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(
        rules,
        fc.nat(3_000),
        fc.nat(3_000),
        fc.nat(100),
        fc.nat(100),
        (list, input, output, cached, thought) => {
          const all: Rule[] = [
            ...list.map(([each, usd, when, per]): Rule => ({
              unit: each,
              usd,
              per,
              ...(when && { when: { input_tokens: when } }),
            })),
            rule('input_token', '1'),
            rule('output_token', '2'),
          ];
          const cachedInputTokens = Math.min(cached, input);
          const reasoningTokens = Math.min(thought, output);
          const circumstances = { input_tokens: input };
          const general = new Prices({ rules: all, markup: '1.2' });
          const isPriced = (name: string) =>
            all.some(
              (each) =>
                each.unit === name &&
                (!each.when || input > (each.when['input_tokens'] as { gt: number }).gt),
            );
          const units: Record<string, number> = { input_token: input, output_token: output };
          if (isPriced('request')) units['request'] = 1;
          if (isPriced('cached_input_token')) {
            units['input_token'] = input - cachedInputTokens;
            units['cached_input_token'] = cachedInputTokens;
          }
          if (isPriced('reasoning_token')) {
            units['output_token'] = output - reasoningTokens;
            units['reasoning_token'] = reasoningTokens;
          }
          const fast = priceOf(
            compile({ rules: all, version: 'v', markup: '1.2' }),
            usage(input, output, { cachedInputTokens, reasoningTokens }),
          );
          expect(fast).toBe(general.price(units, circumstances).amount);
        },
      ),
    );
  });

  it('refuse what tokens are not sold by', () => {
    const wrong = (more: Partial<Rule>) => () =>
      compile({
        version: 'v',
        rules: [
          { ...rule('input_token', '1'), ...more },
          rule('input_token', '1'),
          rule('output_token', '1'),
        ],
      });
    expect(wrong({ unit: 'image' })).toThrow(/image/);
    expect(wrong({ when: { quality: 'high' } })).toThrow(/quality/);
    expect(wrong({ when: { input_tokens: 5 } })).toThrow(/bounds/);
    expect(wrong({ step: 2 })).toThrow(/step/);
    const gap = {
      version: 'v',
      rules: [
        { ...rule('input_token', '1'), when: { input_tokens: { lt: 9 } } },
        rule('output_token', '1'),
      ],
    };
    expect(() => compile(gap)).toThrow(/from 9 input tokens/);
  });
});

describe('the catalogue', () => {
  const model = {
    id: 'm',
    type: 'text' as const,
    name: null,
    description: null,
    aliases: [],
    capabilities: [],
    traits: [],
    context: 1,
    maxOutput: 1,
    defaultOutput: 1,
    routes: [],
    price: { version: 'v', rules: [rule('input_token', '1'), rule('output_token', '1')] },
  };

  it('knows what is for sale and says where to look for the rest', () => {
    const catalogue = new Catalogue([model]);
    expect(catalogue.find('m')).toBe(model);
    expect(catalogue.models()).toEqual([model]);
    expect(() => catalogue.find('__proto__')).toThrow(
      expect.objectContaining({ code: 'model_not_found' }),
    );
  });

  it('keeps its old prices when new ones cannot be read, and names the model', () => {
    const catalogue = new Catalogue([model]);
    const broken = { ...model, price: { version: 'w', rules: [] } };
    expect(() => catalogue.replace([broken])).toThrow(/model m /);
    expect(catalogue.entry('m').price.version).toBe('v');
  });

  it('sells embeddings, which have no output, without a price for it', () => {
    const embedding = {
      ...model,
      type: 'embedding' as const,
      price: { version: 'v', rules: [rule('input_token', '1')] },
    };
    expect(() => new Catalogue([embedding])).not.toThrow();
  });
});
