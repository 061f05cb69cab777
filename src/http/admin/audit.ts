/** /admin/api/audit: the log of changes. */
import { z } from 'zod';
import { operation } from '../operation.ts';
import { iso, listAnswer, listOf, numberedQuery } from './fields.ts';
import type { AdminOptions } from './options.ts';

const changeView = z.strictObject({
  seq: z.int(),
  at: z.string(),
  actor: z.string(),
  action: z.string(),
  target: z.string(),
  reason: z.string(),
  detail: z.record(z.string(), z.unknown()),
});

const listQuery = numberedQuery.extend({
  target: z.string().max(128).optional(),
  actor: z.string().max(128).optional(),
  action: z.string().max(64).optional(),
});

export function listChanges({ operator }: AdminOptions) {
  return operation<undefined, z.infer<typeof listQuery>>({
    summary: 'Who changed what, and why',
    right: 'admin',
    query: listQuery,
    answer: listOf(changeView),
    run: async ({ principal, query: { limit, cursor: before, ...filter } }) => {
      const rows = await operator.lists.changes(principal, { ...filter, limit: limit + 1, before });
      return listAnswer(rows, limit, {
        view: ({ at, detail, ...row }) => ({
          ...row,
          at: iso(at),
          detail: JSON.parse(detail) as Record<string, unknown>,
        }),
        cursor: ({ seq }) => String(seq),
      });
    },
  });
}
