/**
 * Venice's queues of video and audio, over tasks. Its client polls by the queue id alone, ends at the first answer that is not JSON, and
 * gives up at any error: so a result comes as bytes, trouble on the way is still PROCESSING, and a failure says so in an answer.
 */
import { z } from 'zod';
import { balanceHeaders } from '../../chat/headers.ts';
import type { Clock } from '../../clock.ts';
import { AppError } from '../../errors.ts';
import type { MediaStore } from '../../media/store.ts';
import type { CreatedTask, Task, TaskKind, TaskType } from '../../tasks/task.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import type { Step } from '../in-turn.ts';
import { sendBytes } from '../media/file.ts';
import { type Operation, operation } from '../operation.ts';
import { payable } from '../payable.ts';
import type { Context } from '../request.ts';
import { json, type MakingOptions, send } from '../tasks/making.ts';
import { newTask, type Shop, taskOffer } from '../tasks/selling.ts';
import { queueAudioBody, queueVideoBody, requireQueueBody } from './queue-bodies.ts';

export interface QueueOptions extends MakingOptions {
  tasks: Tasks;
  media: MediaStore;
  clock: Clock;
}

interface Queue {
  path: string;
  kind: TaskKind;
  description: string;
  types: TaskType[];
  body: z.ZodType;
  /** What an answer says besides. */
  more: Record<string, string>;
}

const QUEUES: Queue[] = [
  {
    path: '/api/v1/video',
    kind: 'video',
    description: 'A video, queued',
    types: ['video'],
    body: queueVideoBody,
    more: {},
  },
  {
    path: '/api/v1/audio',
    kind: 'music',
    description: 'Music or a sound, queued',
    types: ['music', 'sound'],
    body: queueAudioBody,
    more: { status: 'QUEUED' },
  },
];

/** Where nothing is known of a model. */
const USUAL_MS = 60_000;
/** Results on their way at once; whoever comes then is told to come again, in the words for a request that is not done. */
const MOST_AT_ONCE = 256;

/** What sells: two steps each, who pays and what is made. */
export function queueShops(options: QueueOptions): [path: string, paid: Step, make: Step][] {
  const { tasks } = options;
  return QUEUES.map(({ path, description, types, body, more }) => {
    const shop: Shop = { tasks, description, types, require: requireQueueBody(body) };
    const make: Step = async (ctx) => {
      const answer = ({ task, hold }: CreatedTask) => {
        const queued = json({ model: task.model, queue_id: task.id, ...more }, {});
        balanceHeaders(queued.headers, hold);
        return queued;
      };
      const created = await tasks.create({ ...newTask(ctx, options, shop), answer });
      send(ctx, answer(created));
    };
    return [`${path}/queue`, payable(options, taskOffer(shop)), make];
  });
}

export function queueRoutes(options: QueueOptions): ['post', path: string, Operation][] {
  return QUEUES.flatMap(({ path, kind }) => [
    ['post', `${path}/retrieve`, retrieve(kind, options)],
    ['post', `${path}/complete`, complete(kind, options)],
  ]);
}

const place = {
  /** Nothing is found by it: an id is a task's own. */
  model: z.string().optional(),
  queue_id: z.string('must be the queue_id that the request was answered with').min(1),
};
const retrieveBody = z.strictObject({
  ...place,
  delete_media_on_completion: z.boolean().optional(),
});
const completeBody = z.strictObject(place);

const state = z.strictObject({
  status: z.enum(['PROCESSING', 'failed']),
  /** Milliseconds, of four requests in five. */
  average_execution_time: z.number(),
  execution_duration: z.number(),
  error: z.string().optional(),
});

function retrieve(kind: TaskKind, { tasks, media, clock }: QueueOptions): Operation {
  let running = 0;
  return operation<z.infer<typeof retrieveBody>>({
    summary: 'What became of a queued request: how long it takes yet, or the result itself',
    right: 'tasks',
    body: retrieveBody,
    answer: state,
    run: async ({ principal, body, ctx }) => {
      const task = await ofKind(await tasks.find(principal, body.queue_id), kind);
      const isNotYet = task.state !== 'completed' || running >= MOST_AT_ONCE;
      if (isNotYet) return stateOf(task, clock.nowMs());
      running += 1;
      const isTaken = await sendResult(ctx, task, media).finally(() => {
        running -= 1;
      });
      // Only what arrived is let go: whoever was cut off comes again.
      if (isTaken && body.delete_media_on_completion) {
        await media.deleteOfTask(task.accountId, task.id, 'completed');
      }
      return undefined;
    },
  });
}

function complete(kind: TaskKind, { tasks, media }: QueueOptions): Operation {
  return operation<z.infer<typeof completeBody>>({
    summary: 'Deletes the result of a queued request',
    right: 'tasks',
    body: completeBody,
    answer: z.strictObject({ success: z.boolean() }),
    run: async ({ principal, body }) => {
      const task = await ofKind(await tasks.find(principal, body.queue_id), kind);
      if (task.endedAt === null) return { success: false };
      await media.deleteOfTask(task.accountId, task.id, 'completed');
      return { success: true };
    },
  });
}

function ofKind(task: Task, kind: TaskKind): Promise<Task> {
  if (task.kind === kind) return Promise.resolve(task);
  throw new AppError('not_found', 'There is no task with this id.');
}

/** Content that was refused is a status of its own, as Venice has it. */
function stateOf(task: Task, nowMs: number): z.infer<typeof state> {
  const { error, typicalMs, createdAt, endedAt } = task;
  if (error?.code === 'content_policy') {
    throw new AppError('content_policy', error.message, {
      details: { task_id: task.id, credits_refunded: true },
    });
  }
  const times = {
    average_execution_time: typicalMs ?? USUAL_MS,
    execution_duration: Math.max(0, (endedAt ?? nowMs) - createdAt),
  };
  if (endedAt === null || task.state === 'completed') return { status: 'PROCESSING', ...times };
  const message = error?.message ?? `The request ended as ${task.state}.`;
  return { status: 'failed', ...times, error: message };
}

/** Answers whether the caller took all of it. */
async function sendResult(ctx: Context, task: Task, media: MediaStore): Promise<boolean> {
  const [row] = await media.ofTasks([task.id]);
  if (!row) throw new AppError('not_found', 'This result was deleted, or its time is over.');
  const bytes = await media.open(row);
  const { headers } = ctx.state;
  headers['content-type'] = row.content_type;
  headers['content-length'] = String(row.bytes);
  headers['x-content-type-options'] = 'nosniff';
  ctx.res.writeHead(200, headers);
  return sendBytes(ctx, bytes);
}
