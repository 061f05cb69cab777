/** What a price file of somebody else comes to: models as the settings file would have them, and what of them it cannot say. */
import type { Rule } from '../pricing/rules.ts';
import { decimal, isZero } from './decimal.ts';

export interface Suggestion {
  id: string;
  type: string;
  name: string | null;
  /** Of token models. */
  context?: number;
  maxOutput?: number;
  capabilities: string[];
  /** Of media models, in the settings file's own names. */
  params?: Record<string, unknown>;
  /** The provider that the source file names. */
  provider: string;
  /** The name that the upstream knows it by. */
  upstreamModel: string;
  rules: Rule[];
  /** What of its prices is left out, one sentence each. */
  notes: string[];
  /** Where the source itself says that it read the price. */
  source: string | null;
}

export interface Skipped {
  id: string;
  why: string;
}

export interface Read {
  models: Suggestion[];
  skipped: Skipped[];
}

export type Fields = Record<string, unknown>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function positive(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : null;
}

export function textOf(value: unknown): string | null {
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : null;
}

/** Why a model is not taken over. */
export class NotForSale extends Error {}

/** Of models that their vendor takes away: `until` is a day such as "2026-10-16". */
export function requireServed(asOf: string, until: unknown): void {
  const day = textOf(until) ?? '';
  if (/^[0-9]{4}-/.test(day) && day <= asOf)
    throw new NotForSale(`it ended on ${day.slice(0, 10)}`);
}

const MILLION = 1_000_000;
/** What input and output cost holds for these where no rule is about them. */
const BASE: Record<string, string | undefined> = {
  cached_input_token: 'input_token',
  cache_write_token: 'input_token',
  cache_write_1h_token: 'cache_write_token',
  input_audio_token: 'input_token',
  reasoning_token: 'output_token',
};

export interface TokenCost {
  unit: string;
  value: unknown;
  /** The value is for so many tokens. */
  per: 1 | 1_000_000;
  /** Of input tokens from which on it holds; everywhere without it. */
  tier?: { gt: number } | { gte: number };
}

/**
 * Rules of tokens, the longest context first. What costs 0 beside parts that cost something is left out, so that it costs what all
 * input does, and so is a cache write that is cheaper than input: such figures are the price of keeping, not of reading in. Throws
 * NotForSale for a price that is no number.
 */
export function tokenRules(costs: readonly TokenCost[], notes: string[]): Rule[] {
  const given = costs.filter(({ value }) => value !== undefined && value !== null);
  const sorted = given.toSorted((a, b) => startOf(b) - startOf(a));
  const rules = sorted.map(({ unit, value, per, tier }): Rule => {
    const usd = decimal(value, per === 1 ? 6 : 0);
    if (usd === null) throw new NotForSale(`${unit} has no fixed price`);
    return { unit, per: MILLION, usd, ...(tier && { when: { input_tokens: tier } }) };
  });
  return rules.filter((rule) => isMeant(rule, rules, notes));
}

function startOf({ tier }: TokenCost): number {
  if (!tier) return -1;
  return 'gt' in tier ? tier.gt + 1 : tier.gte;
}

function isMeant(rule: Rule, rules: readonly Rule[], notes: string[]): boolean {
  const { unit, usd } = rule;
  const base = BASE[unit];
  if (base === undefined) return true;
  const ofTier = (other: Rule) => JSON.stringify(other.when) === JSON.stringify(rule.when);
  const whole = rules.find((other) => other.unit === base && ofTier(other))?.usd;
  if (whole === usd && rule.when === undefined && !rules.some(isTierOf(unit))) return false;
  const isOdd = isZero(usd) || (unit === 'cache_write_token' && Number(usd) < Number(whole));
  if (isOdd) notes.push(`${unit}: ${usd} is taken for no price of it; it costs what ${base} costs`);
  return !isOdd;
}

function isTierOf(unit: string): (rule: Rule) => boolean {
  return (rule) => rule.unit === unit && rule.when !== undefined;
}

/** Throws NotForSale where one of these has no price, or all is free: to give something away should be somebody's decision. */
export function requirePriced(rules: readonly Rule[], ...units: string[]): void {
  for (const unit of units) {
    const isPriced = rules.some((rule) => rule.unit === unit && rule.when === undefined);
    if (!isPriced) throw new NotForSale(`${unit} has no price`);
  }
  if (rules.every(({ usd }) => isZero(usd))) throw new NotForSale('all its prices are 0');
}
