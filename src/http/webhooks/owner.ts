/** /v1/webhooks: what an account's callbacks are signed with, and what became of them. */
import { z } from 'zod';
import { type Principal, principalName } from '../../auth/principal.ts';
import type { Clock } from '../../clock.ts';
import type { DeliveryRow } from '../../db/tables.ts';
import { AppError } from '../../errors.ts';
import type { TaskService } from '../../tasks/task.ts';
import type { WebhookSecret } from '../../webhooks/secrets.ts';
import type { Webhooks } from '../../webhooks/webhooks.ts';
import { page } from '../admin/fields.ts';
import { operation } from '../operation.ts';

export interface WebhookRouteOptions {
  webhooks: Webhooks;
  tasks: Pick<TaskService, 'find'>;
  clock: Clock;
}

export const deliveryState = z.enum(['pending', 'delivered', 'failed']);

const secretView = z.strictObject({
  object: z.literal('webhook.secret'),
  /** Standard Webhooks: whsec_ and base64. */
  secret: z.string(),
  created_at: z.int(),
  /** Until then deliveries carry a second signature, by the secret before. */
  previous_until: z.int().nullable(),
});

const deliveryView = z.strictObject({
  /** The webhook-id. */
  id: z.string(),
  object: z.literal('webhook.delivery'),
  task_id: z.string(),
  event: z.string(),
  /** Null where it cannot be opened any more. */
  url: z.string().nullable(),
  status: deliveryState,
  attempts: z.int(),
  last_status: z.int().nullable(),
  last_error: z.string().nullable(),
  created_at: z.int(),
  delivered_at: z.int().nullable(),
  next_attempt_at: z.int().nullable(),
});

const listView = z.strictObject({
  object: z.literal('list'),
  data: z.array(deliveryView),
  next_cursor: z.string().nullable(),
});

export function getWebhookSecret({ webhooks, clock }: WebhookRouteOptions) {
  return operation({
    summary: 'What the account’s webhooks are signed with',
    right: 'webhooks',
    answer: secretView,
    run: async ({ principal }) => {
      const accountId = ownAccount(principal);
      return shownSecret(await webhooks.secrets.read(accountId, clock.nowMs()));
    },
  });
}

export function rotateWebhookSecret({ webhooks }: WebhookRouteOptions) {
  return operation({
    summary: 'Take a new webhook secret into use; for a day deliveries are signed by both',
    right: 'webhooks',
    answer: secretView,
    mints: true,
    run: async ({ principal }) => {
      const accountId = ownAccount(principal);
      return shownSecret(await webhooks.secrets.rotate(accountId, principalName(principal)));
    },
  });
}

const listQuery = z.strictObject({
  ...page,
  status: deliveryState.optional(),
  task_id: z.string().max(64).optional(),
});

export function listDeliveries({ webhooks }: WebhookRouteOptions) {
  return operation<undefined, z.infer<typeof listQuery>>({
    summary: 'Webhooks of the account’s tasks, the newest first',
    right: 'webhooks',
    query: listQuery,
    answer: listView,
    run: async ({ principal: { accountId }, query }) => {
      const { limit, cursor: before, status: state, task_id: taskId } = query;
      if (accountId === null) return { object: 'list', data: [], next_cursor: null };
      const rows = await webhooks.list({ accountId, limit: limit + 1, before, state, taskId });
      return shownList(rows, limit, webhooks);
    },
  });
}

export function redeliver({ webhooks, tasks }: WebhookRouteOptions) {
  return operation({
    summary: 'Send a task’s webhooks once more, under the same ids',
    right: 'tasks',
    answer: listView,
    run: async ({ principal, params }) => {
      const { id: taskId, accountId } = await tasks.find(principal, params['id'] ?? '');
      const rows = await webhooks.redeliver(accountId, { taskId });
      return shownList(rows, rows.length, webhooks);
    },
  });
}

/** Whoever reads the secret can sign for all of the account, so a key that acts for less than it does not. */
function ownAccount(principal: Principal): string {
  if (principal.kind === 'key' && principal.isBound) {
    throw new AppError(
      'forbidden',
      'This API key has limits of its own, and the secret is for the whole account: use its wallet, or an ADMIN key without limits.',
    );
  }
  if (principal.accountId !== null) return principal.accountId;
  throw new AppError('not_found', 'This wallet has no account yet: it gets one when it pays.');
}

function shownSecret({ secret, createdAt, previousUntil }: WebhookSecret) {
  return {
    object: 'webhook.secret',
    secret,
    created_at: seconds(createdAt),
    previous_until: previousUntil === null ? null : seconds(previousUntil),
  };
}

function shownList(rows: DeliveryRow[], limit: number, webhooks: Webhooks) {
  const shown = rows.slice(0, limit);
  return {
    object: 'list',
    data: shown.map((row) => shownDelivery(row, webhooks)),
    next_cursor: rows.length > limit ? (shown.at(-1)?.id ?? null) : null,
  };
}

function shownDelivery(row: DeliveryRow, webhooks: Webhooks): z.infer<typeof deliveryView> {
  return {
    id: row.id,
    object: 'webhook.delivery',
    task_id: row.task_id,
    event: row.event,
    url: webhooks.urlOf(row),
    status: row.state,
    attempts: row.attempts,
    last_status: row.last_status,
    last_error: row.last_error,
    created_at: seconds(row.created_at),
    delivered_at: row.delivered_at === null ? null : seconds(row.delivered_at),
    next_attempt_at: row.next_at === null ? null : seconds(row.next_at),
  };
}

/** As tasks say it. */
function seconds(ms: number): number {
  return Math.floor(ms / 1_000);
}
