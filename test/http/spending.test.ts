import { describe, expect, it } from 'vitest';
import { type Answer, startApp } from '../support/app.ts';
import { gated, whole } from '../support/upstream.ts';

const CALLERS = 200;
const SERVED = 10;

describe('one balance, many requests', () => {
  it('for ten serves exactly ten of 200 that come at once, and never goes below zero (L-1)', async () => {
    await using shop = await startApp({
      change: ({ models }) => {
        // The input is free, so the ceiling of 100 tokens is ten cents.
        models[0]!.price.rules = [
          { unit: 'input_token', per: 1, usd: '0' },
          { unit: 'output_token', per: 1, usd: '0.001' },
        ];
      },
    });
    const wallet = await shop.evm('1');
    const gates = Array.from({ length: SERVED }, () => gated(whole()));
    shop.upstream.next(...gates.map(({ behaviour }) => behaviour));
    const signIns = await Promise.all(Array.from({ length: CALLERS }, () => wallet.signIn()));
    const refused: Answer[] = [];
    const enough = Promise.withResolvers<void>();
    const asked = signIns.map(async (signIn) => {
      const headers = { 'sign-in-with-x': signIn, 'x-budget-mode': 'refuse' };
      const answer = await shop.chat(headers, { max_tokens: 100 });
      if (answer.status === 402) refused.push(answer);
      if (refused.length === CALLERS - SERVED) enough.resolve();
      return answer;
    });
    await enough.promise;
    await shop.upstream.arrived(SERVED);
    expect(await shop.balanceOf(wallet)).toBe(0);
    for (const { open } of gates) open();
    const served = (await Promise.all(asked)).filter(({ status }) => status === 200);
    expect(served).toHaveLength(SERVED);
    expect(shop.upstream.requests).toHaveLength(SERVED);
    for (const { json } of refused) {
      expect(json['currentBalanceUsd']).toBeGreaterThanOrEqual(0);
    }
    // Five tokens out, each: what is charged is the usage times its price.
    expect(await shop.balanceOf(wallet)).toBe(1_000_000_000 - SERVED * 5 * 1_000_000);
    await shop.check();
  });

  it('too small for the limit asked for is fitted, and says so', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm('0.03');
    // Four answers of 4,096 tokens may cost 3.3 cents.
    const answer = await shop.chat(
      { 'sign-in-with-x': await wallet.signIn() },
      { max_tokens: 4_096, n: 4 },
    );
    expect(answer.status).toBe(200);
    const applied = Number(answer.headers.get('x-max-tokens-applied'));
    expect(applied).toBeGreaterThanOrEqual(2_048);
    expect(applied).toBeLessThan(4_096);
    expect(shop.upstream.requests[0]!.json['max_tokens']).toBe(applied);
    await shop.check();
  });
});
