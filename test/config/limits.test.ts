import { describe, expect, it } from 'vitest';
import { load } from '../support/config.ts';

const MODEL = (tier: string) => `
channels: [{ id: main, provider: openai, base_url: "https://api.example.com/v1" }]
models:
  - id: m
    ${tier}
    context: 1000
    max_output: 100
    routes: [{ channel: main }]
    price: { rules: [{ unit: input_token, usd: "0.1" }, { unit: output_token, usd: "0.1" }] }
`;

describe('limits.rates', () => {
  it('are those of Venice by size and by type, and wide for text of no size', () => {
    const { rates, failedRequests } = load('limits: {}').limits;
    expect(rates['s']).toEqual({
      requestsPerMinute: 75,
      requestsPerDay: 54_000,
      tokensPerMinute: 750_000,
      tokensPerDay: 0,
    });
    expect(rates['image']).toMatchObject({ requestsPerMinute: 20, tokensPerMinute: 0 });
    expect(rates['text']?.requestsPerMinute).toBe(600_000);
    expect(failedRequests).toEqual({ count: 20, seconds: 30 });
  });

  it('are changed one by one, and new tiers have no limit but those that they name', () => {
    const { limits, models } = load(
      `limits: { rates: { xs: { requests_per_minute: 7 }, vip: { tokens_per_day: 9 } } }${MODEL('tier: vip')}`,
    );
    expect(limits.rates['xs']).toMatchObject({ requestsPerMinute: 7, requestsPerDay: 288_000 });
    expect(limits.rates['vip']).toEqual({
      requestsPerMinute: 0,
      requestsPerDay: 0,
      tokensPerMinute: 0,
      tokensPerDay: 9,
    });
    expect(models[0]?.tier).toBe('vip');
    expect(load(MODEL('type: text')).models[0]).not.toHaveProperty('tier');
  });

  it('name what is wrong', () => {
    expect(() => load(MODEL('tier: imagee'))).toThrow(
      'models[0].tier: must be the name of a tier in limits.rates; did you mean image?',
    );
    expect(() => load('limits: { rates: { xs: { requests_per_hour: 1 } } }')).toThrow(
      'requests_per_hour',
    );
    expect(() => load('limits: { rates: { mine: { requests_per_minute: -1 } } }')).toThrow(
      'limits.rates.mine.requests_per_minute: must be a whole number',
    );
    expect(() => load('limits: { failed_requests: { seconds: 0 } }')).toThrow('seconds');
  });
});
