/** /v1/tasks: how a task is getting on, what there are, and away with one. */
import { z } from 'zod';
import type { NanoUsd } from '../../money.ts';
import { taskObject } from '../../tasks/task-object.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import { page } from '../admin/fields.ts';
import { operation } from '../operation.ts';
import { goneSignal } from '../request.ts';

export interface TaskRouteOptions {
  tasks: Tasks;
  creditUsd: NanoUsd;
}

/** A long poll waits no longer. */
const MAX_WAIT_SECONDS = 60;

const state = z.enum(['pending', 'processing', 'completed', 'failed', 'cancelled', 'expired']);
const seconds = z.int().nullable();

const asset = z.strictObject({
  id: z.string(),
  url: z.string(),
  content_type: z.string(),
  bytes: z.int(),
  sha256: z.string(),
  expires_at: z.string(),
  kept_until: z.string(),
});

export const taskView = z.strictObject({
  task_id: z.string(),
  id: z.string(),
  object: z.enum(['gateway.image.task', 'gateway.video.task', 'gateway.music.task']),
  status: state,
  model: z.string(),
  created_at: z.int(),
  started_at: seconds,
  completed_at: seconds,
  progress: z.int(),
  queue_position: z.int().nullable(),
  estimated_seconds_left: z.int().nullable(),
  credits_held: z.number(),
  credits_charged: z.number(),
  charged_usd: z.string(),
  result: z.strictObject({ url: z.string().nullable(), data: z.array(asset) }).nullable(),
  error: z
    .strictObject({ message: z.string(), type: z.literal('gateway_error'), code: z.string() })
    .nullable(),
  request_id: z.string(),
  callback_url: z.string().optional(),
});

const listView = z.strictObject({
  object: z.literal('list'),
  data: z.array(taskView),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
});

const getQuery = z.strictObject({
  wait: z.coerce
    .number('must be a number of seconds')
    .min(0, 'must be 0 or more')
    .max(MAX_WAIT_SECONDS, `must be at most ${MAX_WAIT_SECONDS}`)
    .default(0),
});

export function getTask({ tasks, creditUsd }: TaskRouteOptions) {
  return operation<undefined, z.infer<typeof getQuery>>({
    summary:
      'How a task is getting on; with wait, as soon as it ends or that many seconds are over',
    right: 'tasks',
    query: getQuery,
    answer: taskView,
    run: async ({ principal, params, query: { wait }, ctx }) => {
      const found = await tasks.find(principal, params['id'] ?? '');
      if (wait === 0 || found.endedAt !== null) return taskObject(found, creditUsd);
      const ended = await tasks.ended(found.id, wait * 1_000, goneSignal(ctx.res));
      return taskObject(ended, creditUsd);
    },
  });
}

const listQuery = z.strictObject({
  ...page,
  status: state.optional(),
  kind: z.enum(['image', 'video', 'music']).optional(),
});

export function listTasks({ tasks, creditUsd }: TaskRouteOptions) {
  return operation<undefined, z.infer<typeof listQuery>>({
    summary: 'The caller’s tasks, the newest first',
    right: 'tasks',
    query: listQuery,
    answer: listView,
    run: async ({ principal, query: { limit, cursor, status, kind } }) => {
      const filter = { limit, after: cursor, state: status, kind };
      const { tasks: found, next } = await tasks.list(principal, filter);
      const data = found.map((task) => taskObject(task, creditUsd));
      return { object: 'list', data, has_more: next !== null, next_cursor: next };
    },
  });
}

export function cancelTask({ tasks, creditUsd }: TaskRouteOptions) {
  return operation({
    summary: 'Cancel a task: at once while it waits, later where its upstream can let go of it',
    right: 'tasks',
    answer: taskView,
    run: async ({ principal, params }) =>
      taskObject(await tasks.cancel(principal, params['id'] ?? ''), creditUsd),
  });
}
