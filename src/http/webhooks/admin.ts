/** /admin/api/webhooks: deliveries of everybody. Of a callback only its origin is shown: the rest of a URL is its owner's. */
import { z } from 'zod';
import { operatorName } from '../../auth/operator.ts';
import type { DeliveryRow } from '../../db/tables.ts';
import type { Webhooks } from '../../webhooks/webhooks.ts';
import { iso, isoOrNull, listAnswer, listOf, page } from '../admin/fields.ts';
import { operation } from '../operation.ts';
import { deliveryState } from './owner.ts';

export interface WebhookAdminOptions {
  webhooks: Webhooks;
}

const view = z.strictObject({
  id: z.string(),
  accountId: z.string(),
  taskId: z.string(),
  event: z.string(),
  origin: z.string(),
  state: deliveryState,
  attempts: z.int(),
  lastStatus: z.int().nullable(),
  lastError: z.string().nullable(),
  createdAt: z.string(),
  deliveredAt: z.string().nullable(),
  nextAttemptAt: z.string().nullable(),
});

const listQuery = z.strictObject({
  ...page,
  state: deliveryState.optional(),
  accountId: z.string().max(64).optional(),
  taskId: z.string().max(64).optional(),
});

export function listAllDeliveries({ webhooks }: WebhookAdminOptions) {
  return operation<undefined, z.infer<typeof listQuery>>({
    summary: 'Webhooks of everybody; state=failed are those that were given up',
    right: 'admin',
    query: listQuery,
    answer: listOf(view),
    run: async ({ query: { limit, cursor: before, ...filter } }) => {
      const rows = await webhooks.list({ ...filter, limit: limit + 1, before });
      return listAnswer(rows, limit, { view: shown, cursor: ({ id }) => id });
    },
  });
}

export function redeliverOne({ webhooks }: WebhookAdminOptions) {
  return operation({
    summary: 'Send one webhook once more, under the same id',
    right: 'admin',
    answer: view,
    run: async ({ params, principal }) => {
      const which = { id: params['id'] ?? '' };
      const [row] = await webhooks.redeliver(null, which, operatorName(principal));
      return shown(row!);
    },
  });
}

function shown(row: DeliveryRow): z.infer<typeof view> {
  return {
    id: row.id,
    accountId: row.account_id,
    taskId: row.task_id,
    event: row.event,
    origin: row.origin,
    state: row.state,
    attempts: row.attempts,
    lastStatus: row.last_status,
    lastError: row.last_error,
    createdAt: iso(row.created_at),
    deliveredAt: isoOrNull(row.delivered_at),
    nextAttemptAt: isoOrNull(row.next_at),
  };
}
