/** GET /admin/api/accounts/{id}/usage: what one account used in UTC days, by model, the dearest first. */
import { z } from 'zod';
import { formatBigUsd } from '../../money.ts';
import { operation } from '../operation.ts';
import type { AdminOptions } from './options.ts';
import { shownSpan, spanFields, spanOf, spanView } from './spans.ts';

const query = z.strictObject(spanFields);

const used = z.strictObject({
  /** Null for all models beyond the most that are listed. */
  model: z.string().nullable(),
  requests: z.int(),
  inputTokens: z.int(),
  outputTokens: z.int(),
  cachedInputTokens: z.int(),
  /** Requests whose counts were estimated. */
  estimated: z.int(),
  /** Charged less refunded. */
  costUsd: z.string(),
});

export function accountUsage({ operator, usage, clock }: AdminOptions) {
  return operation<undefined, z.infer<typeof query>>({
    summary: 'What an account used in UTC days, by model',
    right: 'admin',
    query,
    answer: z.strictObject({ accountId: z.string(), span: spanView, data: z.array(used) }),
    run: async ({ principal, params, query: dates }) => {
      const { id } = await operator.lists.account(principal, params['id'] ?? '');
      const span = spanOf(dates, clock.nowMs());
      const models = await usage.byModel({ accountId: id, under: null }, span);
      const data = models.map(({ cost, ...counts }) => ({
        ...counts,
        costUsd: formatBigUsd(cost),
      }));
      return { accountId: id, span: shownSpan(span), data };
    },
  });
}
