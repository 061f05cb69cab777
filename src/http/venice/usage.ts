/** GET /api/v1/usage, agent-heavy's (seed 002): requests, tokens and cost by model. */
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Principal } from '../../auth/principal.ts';
import { formatBigUsd } from '../../money.ts';
import type { ModelUsage, Usage, UsageScope } from '../../usage/usage.ts';
import { operation } from '../operation.ts';
import { dateOf, dayOf, requireSpan, today, utcDate } from './dates.ts';

export interface UsageOptions {
  usage: Usage;
  clock: Clock;
}

const STANDARD_DAYS = 30;
const MOST_DAYS = 366;

const query = z.strictObject({ from: utcDate.optional(), to: utcDate.optional() });

const sums = {
  requests: z.int(),
  inputTokens: z.int(),
  outputTokens: z.int(),
  /** Part of the input tokens. */
  cachedInputTokens: z.int(),
  totalTokens: z.int(),
  /** Requests whose tokens the provider did not report, so that they were counted from the text. */
  estimatedRequests: z.int(),
  /** US dollars, exact. */
  cost: z.string(),
};

const answer = z.strictObject({
  object: z.literal('usage'),
  /** UTC days, both inclusive. */
  from: z.string(),
  to: z.string(),
  currency: z.literal('USD'),
  total: z.strictObject(sums),
  /** Dearest first. */
  data: z.array(z.strictObject({ model: z.string(), ...sums })),
});

export function getUsage({ usage, clock }: UsageOptions) {
  return operation<undefined, z.infer<typeof query>>({
    summary: 'What was used, by model, in UTC days',
    right: 'usage',
    query,
    answer,
    run: async ({ principal, query: { from, to } }): Promise<z.infer<typeof answer>> => {
      const toDay = to === undefined ? today(clock.nowMs()) : dayOf(to);
      const fromDay = from === undefined ? toDay - STANDARD_DAYS + 1 : dayOf(from);
      const span = requireSpan({ fromDay, toDay }, 'from', MOST_DAYS);
      const scope = scopeOf(principal);
      const models = scope ? await usage.byModel(scope, span) : [];
      return {
        object: 'usage',
        from: dateOf(fromDay),
        to: dateOf(toDay),
        currency: 'USD',
        total: told(total(models)),
        data: models.map((each) => ({ model: each.model ?? 'others', ...told(each) })),
      };
    },
  });
}

/** Null for a wallet that never paid. */
function scopeOf(principal: Principal): UsageScope | null {
  const { accountId } = principal;
  if (accountId === null) return null;
  const isOwn = principal.kind === 'key' && principal.role === 'inference';
  return { accountId, under: isOwn ? principal.keyId : null };
}

type Sums = Omit<ModelUsage, 'model'>;

function total(models: readonly ModelUsage[]): Sums {
  const sum = {
    requests: 0,
    inputTokens: 0,
    outputTokens: 0,
    cachedInputTokens: 0,
    estimated: 0,
    cost: 0n,
  };
  for (const each of models) {
    sum.requests += each.requests;
    sum.inputTokens += each.inputTokens;
    sum.outputTokens += each.outputTokens;
    sum.cachedInputTokens += each.cachedInputTokens;
    sum.estimated += each.estimated;
    sum.cost += each.cost;
  }
  return sum;
}

function told(sum: Sums) {
  return {
    requests: sum.requests,
    inputTokens: sum.inputTokens,
    outputTokens: sum.outputTokens,
    cachedInputTokens: sum.cachedInputTokens,
    totalTokens: sum.inputTokens + sum.outputTokens,
    estimatedRequests: sum.estimated,
    cost: formatBigUsd(sum.cost),
  };
}
