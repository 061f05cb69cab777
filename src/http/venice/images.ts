/** Venice's image routes: asked for and answered in one request. Each is a task that its caller waits for, so there is one money path. */
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { StoredAnswer } from '../../idempotency/stored-answer.ts';
import type { MediaRow } from '../../db/tables.ts';
import { formatUsd } from '../../money.ts';
import { balanceHeaders } from '../../chat/headers.ts';
import { errorOfTask } from '../../tasks/task-error.ts';
import type { Task, TaskType } from '../../tasks/task.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import type { Step } from '../in-turn.ts';
import { type Operation, operation } from '../operation.ts';
import { payable } from '../payable.ts';
import { type Context, goneSignal } from '../request.ts';
import { fieldsOfBody } from '../tasks/fields.ts';
import { inline, json, type MakingOptions, NEVER, send } from '../tasks/making.ts';
import { newTask, type Shop, taskOffer } from '../tasks/selling.ts';
import {
  backgroundBody,
  editBody,
  type Fields,
  generateBody,
  generationsBody,
  multiEditBody,
  requireBody,
  upscaleBody,
} from './image-bodies.ts';
import {
  type Adapting,
  backgroundFields,
  editFields,
  generateFields,
  generationsFields,
  upscaleFields,
} from './image-fields.ts';

export interface VeniceImageOptions extends MakingOptions, Adapting {
  tasks: Tasks;
}

type Answer = (ctx: Context, task: Task, options: VeniceImageOptions) => Promise<StoredAnswer>;

interface Route {
  path: string;
  description: string;
  types: TaskType[];
  body: z.ZodType;
  adapt(fields: Fields, adapting: Adapting): Fields;
  answer: Answer;
}

/** Just below what Venice's client waits for a head. */
const WAIT_MS = 170_000;

const ROUTES: Route[] = [
  {
    path: '/image/generate',
    description: 'Images',
    types: ['image'],
    body: generateBody,
    adapt: generateFields,
    answer: generated,
  },
  {
    path: '/images/generations',
    description: 'One image',
    types: ['image'],
    body: generationsBody,
    adapt: generationsFields,
    answer: openAiShape,
  },
  {
    path: '/image/upscale',
    description: 'A larger image',
    types: ['upscale'],
    body: upscaleBody,
    adapt: upscaleFields,
    answer: firstImage,
  },
  {
    path: '/image/edit',
    description: 'An edited image',
    types: ['image_edit', 'image'],
    body: editBody,
    adapt: editFields,
    answer: firstImage,
  },
  {
    path: '/image/multi-edit',
    description: 'One image made of several',
    types: ['image_edit', 'image'],
    body: multiEditBody,
    adapt: editFields,
    answer: firstImage,
  },
  {
    path: '/image/background-remove',
    description: 'An image without its background',
    types: ['background_remove'],
    body: backgroundBody,
    adapt: backgroundFields,
    answer: firstImage,
  },
];

/** What sells images: two steps each, who pays and what is made. */
export function imageShops(options: VeniceImageOptions): [path: string, paid: Step, make: Step][] {
  return ROUTES.map(({ path, description, types, body, adapt, answer }) => {
    const shop: Shop = {
      tasks: options.tasks,
      description,
      types,
      require: requireBody(body),
      adapt: (fields) => adapt(fields, options),
    };
    return [`/api/v1${path}`, payable(options, taskOffer(shop)), waitFor(shop, answer, options)];
  });
}

/** GET /api/v1/image/styles */
export function imageStyles({ catalogue }: Pick<Adapting, 'catalogue'>): Operation {
  return operation({
    summary: 'The styles that image models know',
    right: null,
    answer: z.strictObject({ object: z.literal('list'), data: z.array(z.string()) }),
    run: () => {
      const styles = catalogue
        .models()
        .flatMap((model) => (model.type === 'image' ? model.params.styles : []));
      return Promise.resolve({ object: 'list', data: [...new Set(styles)] });
    },
  });
}

/** A caller who leaves finds the result among the tasks of its account. */
function waitFor(shop: Shop, answer: Answer, options: VeniceImageOptions): Step {
  return async (ctx) => {
    const { keep, principal } = ctx.state;
    const { tasks } = options;
    const { task } = await tasks.create(newTask(ctx, options, shop));
    // With an Idempotency-Key the answer is kept for a caller who comes again.
    const signal = keep ? NEVER : goneSignal(ctx.res);
    const ended = await tasks.ended(task.id, WAIT_MS, signal);
    const error = errorOfTask(ended);
    if (error) throw error;
    if (ended.endedAt === null) {
      if (signal.aborted) return;
      if (tasks.stopping.aborted) throw stopping(task.id);
      throw await tooLong(tasks.cancel(principal!, task.id), task.id);
    }
    const made = await answer(ctx, ended, options);
    await keep?.made(made);
    if (!ctx.res.destroyed) send(ctx, made);
  };
}

/** The next start goes on with it. */
function stopping(id: string): AppError {
  return new AppError(
    'unavailable',
    `The server is stopping. GET /v1/tasks/${id} will have the result.`,
    { retryAfterSeconds: 5, details: { task_id: id } },
  );
}

async function tooLong(cancelled: Promise<Task>, id: string): Promise<AppError> {
  const isOver = await cancelled.then(
    ({ state }) => state === 'cancelled',
    () => false,
  );
  const rest = isOver
    ? 'It was called off, and nothing was charged.'
    : `It goes on: GET /v1/tasks/${id} will have its result.`;
  return new AppError('upstream_timeout', `This takes longer than an answer can wait. ${rest}`, {
    details: { task_id: id },
  });
}

async function generated(ctx: Context, task: Task, options: VeniceImageOptions) {
  if (fieldsOfBody(ctx)['return_binary'] === true) return firstImage(ctx, task, options);
  const images = (await inline(task, options.media)).map((image) => image.b64_json);
  const { createdAt, startedAt, endedAt } = task;
  const ended = endedAt ?? createdAt;
  const started = startedAt ?? createdAt;
  const timing = {
    inferenceDuration: ended - started,
    inferencePreprocessingTime: 0,
    inferenceQueueTime: started - createdAt,
    total: ended - createdAt,
  };
  // Venice's document says `request` in a way that some read as null alone.
  return paid(json({ id: task.id, images, request: null, timing }, {}), task, options);
}

async function openAiShape(ctx: Context, task: Task, options: VeniceImageOptions) {
  const images = await inline(task, options.media);
  const isLink = fieldsOfBody(ctx)['response_format'] === 'url';
  const data = isLink
    ? images.map((image, n) => ({
        url: `data:${task.assets[n]?.content_type ?? 'image/png'};base64,${image.b64_json}`,
      }))
    : images;
  const created = Math.floor(task.createdAt / 1_000);
  return paid(json({ created, data }, {}), task, options);
}

async function firstImage(
  _ctx: Context,
  task: Task,
  options: VeniceImageOptions,
): Promise<StoredAnswer> {
  const [row] = await options.media.ofTasks([task.id]);
  if (!row) throw new AppError('gone', 'This result was deleted.');
  const body = await bytesOf(row, options);
  const headers = { 'content-type': row.content_type, 'x-content-type-options': 'nosniff' };
  return paid({ status: 200, headers, body }, task, options);
}

async function bytesOf(row: MediaRow, { media }: VeniceImageOptions): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of await media.open(row)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function paid(
  answer: StoredAnswer,
  task: Task,
  { accounts }: VeniceImageOptions,
): Promise<StoredAnswer> {
  const balance = await accounts.balance(task.accountId);
  balanceHeaders(answer.headers, { balance, limitLeft: null });
  answer.headers['x-request-cost'] = formatUsd(task.charged);
  answer.headers['x-task-id'] = task.id;
  return answer;
}
