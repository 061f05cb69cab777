import { describe, expect, it } from 'vitest';
import { costOf, errorStatusOf, headerCost } from '../../src/providers/reported.ts';

describe('what an upstream says that it cost', () => {
  it.each([
    [0.00014, '0.00014'],
    [1.2e-7, '0.00000012'],
    [0, '0'],
    [3, '3'],
    ['0.25', '0.25'],
    [1e-20, '0'],
    [12.5, '12.5'],
    [100, '100'],
    [-1, null],
    [NaN, null],
    [1e9, null],
    ['1e-3', null],
    [{ total: 1 }, null],
    [null, null],
  ])('is a decimal: usage.cost %s', (cost, expected) => {
    expect(costOf({ usage: { cost } }, 'usage.cost')).toBe(expected);
    expect(costOf({ cost: { usd: cost } }, 'cost.usd')).toBe(expected);
  });

  it('is a fee and the vendor\u2019s bill with a key of the operator\u2019s own at OpenRouter', () => {
    const usage = { cost: 0.5, is_byok: true, cost_details: { upstream_inference_cost: 0.25 } };
    expect(costOf({ usage }, 'usage.cost')).toBe('0.75');
    expect(costOf({ usage: { ...usage, is_byok: false } }, 'usage.cost')).toBe('0.5');
  });

  it.each([
    [4_000_000_000, '0.4'],
    [1, '0.0000000001'],
    [25_000_000_000, '2.5'],
    [0, '0'],
    [1.5, null],
    [-4, null],
    ['4', null],
  ])('counts %s ticks', (ticks, expected) => {
    const usage = { cost_in_usd_ticks: ticks };
    expect(costOf({ usage }, 'usage.cost_in_usd_ticks')).toBe(expected);
  });

  it('is read where its channel says, and nowhere else', () => {
    const answer = { usage: { cost: 1, cost_in_usd_ticks: 1e10 }, cost: { usd: 1 } };
    expect(costOf(answer, null)).toBeNull();
    expect(costOf(answer, 'x-litellm-response-cost')).toBeNull();
    expect(costOf({ usage: 'x', cost: 5 }, 'cost.usd')).toBeNull();
    const headers = { 'x-litellm-response-cost': '0.00035' };
    expect(headerCost(headers, 'x-litellm-response-cost')).toBe('0.00035');
    expect(headerCost({}, 'x-litellm-response-cost')).toBeNull();
    expect(headerCost(headers, 'usage.cost')).toBeNull();
  });
});

describe('the status of an error inside an answer', () => {
  it.each([
    [{ code: 429, message: 'slow down' }, 429],
    [{ code: '503' }, 503],
    [{ status: 400 }, 400],
    [{ status_code: 502 }, 502],
    [{ code: 'rate_limit_exceeded' }, 429],
    [{ type: 'rate_limit_error' }, 429],
    [{ code: 200 }, null],
    [{ code: 'server_error' }, null],
    [{}, null],
    ['overloaded', null],
    [null, null],
  ])('of %j is %s', (error, status) => {
    expect(errorStatusOf({ error })).toBe(status);
  });
});
