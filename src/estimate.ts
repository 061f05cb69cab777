/**
 * What a request would cost, asked before it is made: with the very functions that price its hold and its charge. Nothing is held and
 * nothing is sent.
 */
import { type Catalogue, type CatalogueEntry, type TokenEntry } from './catalogue.ts';
import { readCredits } from './chat/budget.ts';
import { requestIn } from './chat/bodies.ts';
import { requirePriced } from './chat/media.ts';
import { planRequest } from './chat/plan.ts';
import { invalidField, parseRequest } from './chat/request.ts';
import type { ModelConfig } from './config/config.ts';
import { type NanoUsd, nanoUsd, ZERO_USD } from './money.ts';
import { estimateOrder, largestLength, largestNumber, quotedOrder } from './orders/estimate.ts';
import type { Scalar } from './pricing/rules.ts';
import { affordableOutput, ceilingOf, type InputKinds, priceOf, TEXT } from './pricing/tokens.ts';
import type { Quoted } from './quotes.ts';

/** For an estimate without a prompt. */
const USUAL_INPUT_TOKENS = 1_000;
const MAX_INPUT_TOKENS = 100_000_000;
const MAX_CHOICES = 16;
const LIMITS = ['max_tokens', 'max_completion_tokens', 'max_output_tokens'] as const;
const NANO = 1_000_000_000n;
/** What people call them, beside their types. */
const MODALITIES: Record<string, readonly ModelConfig['type'][] | undefined> = {
  chat: ['text'],
  image: ['image', 'image_edit', 'upscale', 'background_remove'],
  audio: ['tts', 'stt', 'music', 'sound'],
  speech: ['tts'],
  transcription: ['stt'],
  music: ['music', 'sound'],
};

export type EstimateFields = Readonly<Record<string, unknown>>;

export interface Estimate {
  entry: CatalogueEntry;
  /** The least that an answer costs: of a chat the input, read from a cache where that is cheaper, and one token out. */
  min: NanoUsd;
  /** With as much output as such requests usually have. */
  expected: NanoUsd;
  /** The ceiling: what the request would hold. */
  max: NanoUsd;
  units: Record<string, number>;
  /** Those of the model's price; of media those that were used, with quantities. */
  rules: readonly object[];
  /** What the request did not say, and what it was taken for. */
  assumed: Record<string, Scalar>;
  /** Whether `max_credits` covers the ceiling; null where none were given. */
  isWithinMaxCredits: boolean | null;
  quoted: Quoted;
  /** The most of it that this much money covers; null where it covers none. */
  largest(available: NanoUsd): Largest;
}

export interface Largest {
  max_tokens?: number | null;
  max_n?: number | null;
  max_seconds?: number | null;
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
  const entry = catalogue.entry(model);
  requireModality(fields['modality'] ?? null, entry.model.type);
  const credits = readCredits(fields['max_credits'], 'max_credits');
  const found = entry.kind === 'media' ? media(fields, entry) : tokens(fields, entry);
  const isWithin = credits !== null && BigInt(found.max) * NANO <= credits * BigInt(creditUsd);
  return { ...found, isWithinMaxCredits: credits === null ? null : isWithin };
}

function requireModality(said: unknown, type: ModelConfig['type']): void {
  if (said === null || said === type) return;
  if (typeof said === 'string' && MODALITIES[said]?.includes(type)) return;
  throw invalidField('modality', `must be ${type}, as this model is, or be left out`);
}

type Found = Omit<Estimate, 'isWithinMaxCredits'>;

function media(fields: EstimateFields, entry: Extract<CatalogueEntry, { kind: 'media' }>): Found {
  const found = estimateOrder(fields, entry);
  const { min, expected, max, lines, assumed } = found;
  const hasLength = entry.model.params.duration !== null || entry.model.params.durations.length > 0;
  return {
    entry,
    min,
    expected,
    max,
    units: Object.fromEntries(lines.map(({ unit, quantity }) => [unit, quantity])),
    rules: lines,
    assumed,
    quoted: quotedOrder(found),
    largest: (available) => ({
      max_n: largestNumber(found, available),
      ...(hasLength && { max_seconds: largestLength(found, available) }),
    }),
  };
}

function tokens(fields: EstimateFields, entry: TokenEntry): Found {
  const { model, price } = entry;
  const assumed: Record<string, number | string> = {};
  const counted = inputOf(fields, entry, assumed);
  const { input, kinds } = counted;
  const choices = whole(fields, 'n', MAX_CHOICES) ?? 1;
  const limit = outputLimitOf(fields, entry, assumed);
  const usual = Math.min(limit, model.defaultOutput) * choices;
  const max = ceilingOf(price, input, limit * choices, kinds);
  // What the upstream's word prices is at most the ceiling, and nobody knows more.
  const rates = price.upstream ? price.upstream.rules : price;
  const cost = (outputTokens: number, cachedInputTokens: number, unknown: NanoUsd) => {
    const inTokens = { inputTokens: input, cachedInputTokens, cacheWriteTokens: 0 };
    if (!rates) return unknown;
    const listed = priceOf(rates, { ...inTokens, outputTokens, reasoningTokens: 0 });
    return nanoUsd(Math.min(listed, max));
  };
  const least = Math.min(1, limit);
  const counts = { inputTokens: input, outputTokens: limit * choices };
  return {
    entry,
    min: nanoUsd(Math.min(cost(least, input, ZERO_USD), cost(least, 0, ZERO_USD))),
    expected: cost(Math.ceil(usual / 2), 0, max),
    max,
    units: { input_tokens: counts.inputTokens, output_tokens: counts.outputTokens },
    rules: model.price.rules,
    assumed,
    quoted: { kind: 'tokens', model: model.id, priceVersion: price.version, max, ...counts },
    largest: (available) => ({
      max_tokens: largestOutput(entry, { ...counted, choices }, available),
    }),
  };
}

/** The largest output limit that this much money covers for every choice; null where not even the input is covered. */
function largestOutput(
  { model, price }: TokenEntry,
  { input, kinds, choices }: Input & { choices: number },
  available: NanoUsd,
): number | null {
  if (ceilingOf(price, input, 0, kinds) > available) return null;
  const most = affordableOutput(price, input, available, kinds);
  return Math.min(model.maxOutput, Math.floor(most / choices));
}

interface Input {
  /** Tokens. */
  input: number;
  kinds: InputKinds;
}

function inputOf(
  fields: EstimateFields,
  entry: TokenEntry,
  assumed: Record<string, number | string>,
): Input {
  const said = whole(fields, 'input_tokens', MAX_INPUT_TOKENS);
  if (said !== null) return { input: said, kinds: TEXT };
  const request = requestIn(fields, entry.model.type);
  if (request) {
    requirePriced(request.media, entry);
    const { inputTokens: input, kinds } = planRequest(request, entry);
    return { input, kinds };
  }
  const prompt = fields['prompt'] ?? fields['input'];
  if (prompt !== undefined) {
    const text = { model: 'x', messages: [{ role: 'user', content: JSON.stringify(prompt) }] };
    const { inputTokens } = planRequest(parseRequest(Buffer.from(JSON.stringify(text))), entry);
    return { input: inputTokens, kinds: TEXT };
  }
  assumed['input_tokens'] = USUAL_INPUT_TOKENS;
  return { input: USUAL_INPUT_TOKENS, kinds: TEXT };
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
