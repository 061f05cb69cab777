/**
 * What a request would cost, asked before it is made: with the very functions that price its hold and its charge. Nothing is held and
 * nothing is sent.
 */
import { type Catalogue, requireTokens, type TokenEntry } from './catalogue.ts';
import { readCredits } from './chat/budget.ts';
import { canonicalBody, planRequest } from './chat/plan.ts';
import { invalidField, parseRequest } from './chat/request.ts';
import type { NanoUsd } from './money.ts';
import { affordableOutput, ceilingOf, priceOf } from './pricing/tokens.ts';

/** For an estimate without a prompt. */
const USUAL_INPUT_TOKENS = 1_000;
const MAX_INPUT_TOKENS = 100_000_000;
const MAX_CHOICES = 16;
const LIMITS = ['max_tokens', 'max_completion_tokens', 'max_output_tokens'] as const;
const NANO = 1_000_000_000n;

export type EstimateFields = Readonly<Record<string, unknown>>;

export interface Estimate {
  entry: TokenEntry;
  /** The least that an answer costs: the input, read from a cache, and one token out. */
  min: NanoUsd;
  /** With as much output as such requests usually have. */
  expected: NanoUsd;
  /** The ceiling: what the request would hold. */
  max: NanoUsd;
  units: { input_tokens: number; output_tokens: number };
  /** What the request did not say, and what it was taken for. */
  assumed: Record<string, number | string>;
  /** Whether `max_credits` covers the ceiling; null where none were given. */
  isWithinMaxCredits: boolean | null;
}

/** Errors: model_not_found, invalid_request with the field. `creditUsd`: what one credit is worth. */
export function estimate(
  fields: EstimateFields,
  catalogue: Catalogue,
  creditUsd: NanoUsd,
): Estimate {
  const model = fields['model'];
  if (typeof model !== 'string' || model === '') {
    throw invalidField('model', 'must be the name of a model, such as those of GET /v1/models');
  }
  const entry = requireTokens(catalogue.entry(model));
  const modality = fields['modality'] ?? entry.model.type;
  if (modality !== entry.model.type && !(modality === 'chat' && entry.model.type === 'text')) {
    throw invalidField('modality', `must be ${entry.model.type}, as this model is, or be left out`);
  }
  const assumed: Record<string, number | string> = {};
  const input = inputTokensOf(fields, entry, assumed);
  const choices = whole(fields, 'n', MAX_CHOICES) ?? 1;
  const limit = outputLimitOf(fields, entry, assumed);
  const { price } = entry;
  const usual = Math.min(limit, entry.model.defaultOutput) * choices;
  const max = ceilingOf(price, input, limit * choices);
  const counts = { cacheWriteTokens: 0, reasoningTokens: 0 };
  const least = Math.min(1, limit);
  const credits = readCredits(fields['max_credits'], 'max_credits');
  return {
    entry,
    min: priceOf(price, {
      ...counts,
      inputTokens: input,
      outputTokens: least,
      cachedInputTokens: input,
    }),
    expected: priceOf(price, {
      ...counts,
      inputTokens: input,
      outputTokens: Math.ceil(usual / 2),
      cachedInputTokens: 0,
    }),
    max,
    units: { input_tokens: input, output_tokens: limit * choices },
    assumed,
    isWithinMaxCredits: credits === null ? null : BigInt(max) * NANO <= credits * BigInt(creditUsd),
  };
}

/** The largest output limit that this much money covers for every choice; null where not even the input is covered. */
export function largestOutput(
  { entry, units }: Estimate,
  choices: number,
  available: NanoUsd,
): number | null {
  const tokens = affordableOutput(entry.price, units.input_tokens, available);
  if (ceilingOf(entry.price, units.input_tokens, 0) > available) return null;
  return Math.min(entry.model.maxOutput, Math.floor(tokens / choices));
}

function inputTokensOf(
  fields: EstimateFields,
  entry: TokenEntry,
  assumed: Record<string, number | string>,
): number {
  const said = whole(fields, 'input_tokens', MAX_INPUT_TOKENS);
  if (said !== null) return said;
  if (fields['messages'] !== undefined) {
    // A chat request as it would be sent.
    const body = canonicalBody(Buffer.from(JSON.stringify(fields)));
    return planRequest(parseRequest(body), entry).inputTokens;
  }
  const prompt = fields['prompt'] ?? fields['input'];
  if (prompt !== undefined) {
    const request = { model: 'x', messages: [{ role: 'user', content: JSON.stringify(prompt) }] };
    return planRequest(parseRequest(Buffer.from(JSON.stringify(request))), entry).inputTokens;
  }
  assumed['input_tokens'] = USUAL_INPUT_TOKENS;
  return USUAL_INPUT_TOKENS;
}

function outputLimitOf(
  fields: EstimateFields,
  { model }: TokenEntry,
  assumed: Record<string, number | string>,
): number {
  if (model.type === 'embedding') return 0;
  const said = LIMITS.flatMap((name) => whole(fields, name, Number.MAX_SAFE_INTEGER) ?? []);
  if (said.length) return Math.min(...said, model.maxOutput);
  assumed['max_tokens'] = model.defaultOutput;
  return model.defaultOutput;
}

function whole(fields: EstimateFields, name: string, most: number): number | null {
  const value = fields[name] ?? null;
  if (value === null) return null;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= most) {
    return value;
  }
  throw invalidField(name, `must be a whole number from 1 to ${most}`);
}

/** Credits as a decimal number: nano-dollars over what a credit is worth, exact to nine decimals, rounded up. */
export function inCredits(amount: NanoUsd, creditUsd: NanoUsd): number {
  if (creditUsd <= 0) return 0;
  const billionths = (BigInt(amount) * NANO + BigInt(creditUsd) - 1n) / BigInt(creditUsd);
  return Number(`${billionths / NANO}.${String(billionths % NANO).padStart(9, '0')}`);
}
