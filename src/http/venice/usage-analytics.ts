/** GET /api/v1/billing/usage-analytics, Venice's: what an account used by day, by model and by key. */
import { z } from 'zod';
import type { Catalogue } from '../../catalogue.ts';
import type { ModelConfig } from '../../config/config.ts';
import type { Clock } from '../../clock.ts';
import { formatBigUsd } from '../../money.ts';
import {
  type Breakdown,
  type DayPart,
  type NamedPart,
  type Span,
  TOP_NAMES,
  type Usage,
} from '../../usage/usage.ts';
import { operation } from '../operation.ts';
import { dateOf, dayOf, invalidQuery, requireSpan, startOf, today, utcDate } from './dates.ts';

export interface UsageAnalyticsOptions {
  usage: Usage;
  catalogue: Catalogue;
  clock: Clock;
}

const MOST_DAYS = 90;

const query = z.strictObject({
  lookback: z
    .string('must be text')
    .regex(/^[1-9]\d{0,2}d$/, 'must be a number of days such as 7d')
    .refine((text) => Number.parseInt(text, 10) <= MOST_DAYS, `must be at most ${MOST_DAYS}d`)
    .optional(),
  startDate: utcDate.optional(),
  endDate: utcDate.optional(),
});

type Query = z.infer<typeof query>;

const totals = { totalUsd: z.number(), totalDiem: z.literal(0), totalUnits: z.number() };
/** `date`: milliseconds at which the day begins; every other member is the US dollars of a model or key. */
const chart = z.array(z.record(z.string(), z.number()));

const answer = z.strictObject({
  lookback: z.string(),
  byDate: z.array(z.strictObject({ date: z.string(), USD: z.number(), DIEM: z.literal(0) })),
  byModel: z.array(
    z.strictObject({
      modelName: z.string(),
      unitType: z.literal('tokens'),
      modelType: z.string().nullable(),
      ...totals,
    }),
  ),
  byModelDaily: chart,
  topModels: z.array(z.string()),
  byKey: z.array(
    z.strictObject({ apiKeyId: z.string().nullable(), description: z.string(), ...totals }),
  ),
  byKeyDaily: chart,
  topKeyNames: z.array(z.string()),
});

const NOTHING: Breakdown = { days: [], models: [], keys: [], modelDays: [], keyDays: [] };

export function usageAnalytics({ usage, catalogue, clock }: UsageAnalyticsOptions) {
  return operation<undefined, Query>({
    summary: 'What was used by day, by model and by key',
    right: 'billing',
    query,
    answer,
    run: async ({ principal: { accountId }, query: asked }): Promise<z.infer<typeof answer>> => {
      const { lookback, ...span } = spanOf(asked, clock.nowMs());
      const parts = accountId === null ? NOTHING : await usage.breakdown(accountId, span);
      const descriptions = await usage.descriptions(namesOf(parts.keys));
      const modelNames = uniqueNames(parts.models, (id) => id || 'Unknown', 'Other models');
      const keyNames = uniqueNames(parts.keys, (id) => keyName(id, descriptions), 'Other keys');
      const types = new Map(catalogue.models().map(({ id, type }) => [id, MODEL_TYPES[type]]));
      return {
        lookback,
        byDate: datesOf(parts.days, span),
        byModel: parts.models.map((part) => ({
          modelName: modelNames.get(part.name)!,
          unitType: 'tokens',
          modelType: types.get(part.name ?? '') ?? null,
          ...totalsOf(part),
        })),
        byModelDaily: chartOf(parts.models, parts.modelDays, modelNames, span),
        topModels: top(parts.models).map(({ name }) => modelNames.get(name)!),
        byKey: parts.keys.map((part) => ({
          apiKeyId: part.name || null,
          description: keyNames.get(part.name)!,
          ...totalsOf(part),
        })),
        byKeyDaily: chartOf(parts.keys, parts.keyDays, keyNames, span),
        topKeyNames: top(parts.keys).map(({ name }) => keyNames.get(name)!),
      };
    },
  });
}

const MODEL_TYPES: Record<ModelConfig['type'], string> = {
  text: 'LLM',
  embedding: 'EMBEDDING',
  image: 'IMAGE',
  image_edit: 'IMAGE',
  upscale: 'IMAGE',
  background_remove: 'IMAGE',
  tts: 'TTS',
  stt: 'ASR',
  music: 'MUSIC',
  sound: 'MUSIC',
  video: 'VIDEO',
};

function spanOf(asked: Query, nowMs: number): Span & { lookback: string } {
  const { lookback = '7d', startDate, endDate } = asked;
  if (startDate === undefined && endDate === undefined) {
    const toDay = today(nowMs);
    return { lookback, toDay, fromDay: toDay - Number.parseInt(lookback, 10) + 1 };
  }
  if (endDate === undefined) throw invalidQuery('endDate', 'must be given with startDate');
  if (startDate === undefined) throw invalidQuery('startDate', 'must be given with endDate');
  if (asked.lookback !== undefined) {
    throw invalidQuery('lookback', 'must be left out beside startDate and endDate');
  }
  const span = { fromDay: dayOf(startDate), toDay: dayOf(endDate) };
  return { lookback: `${startDate}:${endDate}`, ...requireSpan(span, 'startDate', MOST_DAYS) };
}

function usd(nano: bigint): number {
  return Number(formatBigUsd(nano));
}

function totalsOf({ cost, tokens }: NamedPart) {
  return { totalUsd: usd(cost), totalDiem: 0 as const, totalUnits: tokens };
}

/** Newest first, days without usage too. */
function daysOf({ fromDay, toDay }: Span): number[] {
  return Array.from({ length: toDay - fromDay + 1 }, (_each, at) => toDay - at);
}

function datesOf(days: Breakdown['days'], span: Span) {
  const costs = new Map(days.map(({ day, cost }) => [day, cost]));
  return daysOf(span).map((day) => ({
    date: dateOf(day),
    USD: usd(costs.get(day) ?? 0n),
    DIEM: 0 as const,
  }));
}

/** The sum of all that is not listed by name is nobody's. */
function top(parts: readonly NamedPart[]): NamedPart[] {
  return parts.filter(({ name }) => name !== null).slice(0, TOP_NAMES);
}

function chartOf(
  parts: readonly NamedPart[],
  byDay: readonly DayPart[],
  names: ReadonlyMap<string | null, string>,
  span: Span,
): Record<string, number>[] {
  const costs = new Map(byDay.map(({ day, name, cost }) => [`${day} ${name}`, cost]));
  return daysOf(span).map((day) => {
    const lines = top(parts).map(({ name }): [string, number] => [
      names.get(name)!,
      usd(costs.get(`${day} ${name}`) ?? 0n),
    ]);
    return Object.fromEntries([['date', startOf(day)], ...lines]);
  });
}

function namesOf(parts: readonly NamedPart[]): string[] {
  return parts.flatMap(({ name }) => name || []);
}

/** Requests that the wallet signed itself have no key, as those of Venice's web app. */
function keyName(id: string, descriptions: ReadonlyMap<string, string>): string {
  return id === '' ? 'Wallet' : descriptions.get(id) || id;
}

/** Charts have them as members beside `date`: two keys of one description are told apart by their ids. */
function uniqueNames(
  parts: readonly NamedPart[],
  nameOf: (id: string) => string,
  others: string,
): Map<string | null, string> {
  const taken = new Set(['date']);
  const names = new Map<string | null, string>();
  for (const { name: id } of parts) {
    const name = id === null ? others : nameOf(id);
    const unique = taken.has(name) ? `${name} (${id || 'none'})` : name;
    taken.add(unique);
    names.set(id, unique);
  }
  return names;
}
