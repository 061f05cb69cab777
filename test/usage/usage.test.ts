import { describe, expect, it } from 'vitest';
import type { UsageDayRow } from '../../src/db/tables.ts';
import { formatBigUsd } from '../../src/money.ts';
import { TOP_NAMES, Usage } from '../../src/usage/usage.ts';
import { testStore } from '../support/store.ts';

const NAMES = 1_005;
const LARGE = 9_000_000_000_000;

function row(at: number): UsageDayRow {
  return {
    account_id: 'acc_1',
    day: 100 + (at % 2),
    key_id: `key_${at}`,
    model: `m${at}`,
    requests: 1,
    input_tokens: at,
    output_tokens: 1,
    cached_input_tokens: 0,
    cache_write_tokens: 0,
    reasoning_tokens: 0,
    estimated: 0,
    cost: LARGE + at,
    shortfall: 0,
    refunded: 0,
  };
}

describe('usage', () => {
  it('lists a thousand names and the rest as one, and loses no nano-dollar of a large turnover', async () => {
    await using store = await testStore();
    const rows = Array.from({ length: NAMES }, (_each, at) => row(at));
    await store.ledger.write(async ({ db }) => {
      for (const each of rows) await db.insertInto('usage_days').values(each).execute();
    });
    const total = rows.reduce((sum, { cost }) => sum + BigInt(cost), 0n);
    expect(total).toBeGreaterThan(BigInt(Number.MAX_SAFE_INTEGER));
    const usage = new Usage(store.reports);
    const span = { fromDay: 100, toDay: 101 };
    const parts = await usage.breakdown('acc_1', span);
    for (const named of [parts.models, parts.keys]) {
      expect(named).toHaveLength(1_001);
      expect(named.filter(({ name }) => name === null)).toEqual([named[1_000]]);
      expect(named[1_000]!.cost).toBe(BigInt(5 * LARGE + 0 + 1 + 2 + 3 + 4));
      expect(named.reduce((sum, { cost }) => sum + cost, 0n)).toBe(total);
    }
    expect(parts.models[0]).toMatchObject({ name: `m${NAMES - 1}`, tokens: NAMES });
    expect(parts.days.map(({ day }) => day)).toEqual([100, 101]);
    expect(parts.days.reduce((sum, { cost }) => sum + cost, 0n)).toBe(total);
    const top = Array.from({ length: TOP_NAMES }, (_each, at) => `key_${NAMES - 1 - at}`);
    expect(new Set(parts.keyDays.map(({ name }) => name))).toEqual(new Set(top));
    const models = await usage.byModel({ accountId: 'acc_1', under: null }, span);
    expect(models).toHaveLength(1_001);
    expect(models.at(-1)).toMatchObject({ model: null, requests: 5 });
    expect(models.reduce((sum, { cost }) => sum + cost, 0n)).toBe(total);
    expect(await usage.byModel({ accountId: 'acc_2', under: null }, span)).toEqual([]);
    const oneDay = await usage.byModel(
      { accountId: 'acc_1', under: null },
      { fromDay: 99, toDay: 100 },
    );
    expect(oneDay).toHaveLength(503);
  });

  it('writes dollars of any size exactly', () => {
    const written: [bigint, string][] = [
      [0n, '0.00'],
      [1n, '0.000000001'],
      [-1n, '-0.000000001'],
      [1_500_000_000n, '1.50'],
      [123_456_789_012_345_678_901n, '123456789012.345678901'],
      [-20_000_000_000n, '-20.00'],
    ];
    for (const [nano, text] of written) expect(formatBigUsd(nano)).toBe(text);
  });
});
