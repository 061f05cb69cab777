/** Works out by hand what a request costs, without the code that charges for it. */
import type { ModelConfig } from '../../src/config/config.ts';
import { type NanoUsd, nanoUsd, parseUsd } from '../../src/money.ts';

export interface OpenAiUsage {
  prompt_tokens: number;
  completion_tokens: number;
}

const MILLION = 1_000_000n;

/** Nano-USD for a million units. */
function rate(model: ModelConfig, unit: string): bigint {
  const rule = model.price.rules.find((each) => each.unit === unit);
  return rule ? (BigInt(parseUsd(rule.usd)) * MILLION) / BigInt(rule.per ?? 1) : 0n;
}

export function costOf(model: ModelConfig, usage: OpenAiUsage): NanoUsd {
  const sum =
    rate(model, 'input_token') * BigInt(usage.prompt_tokens) +
    rate(model, 'output_token') * BigInt(usage.completion_tokens) +
    rate(model, 'request') * MILLION;
  return nanoUsd((sum + MILLION - 1n) / MILLION);
}

export function priceText(model: ModelConfig): string {
  const usd = (unit: string) => Number(rate(model, unit)) / 1e9;
  return `$${usd('input_token')} and $${usd('output_token')} a million`;
}
