/** POST of something that is to be made: answered at once with the task, or, with `Prefer: wait`, at its end in OpenAI's shape. */
import type { Accounts } from '../../accounts.ts';
import { balanceHeaders, type Headers } from '../../chat/headers.ts';
import { AppError } from '../../errors.ts';
import type { StoredAnswer } from '../../idempotency/stored-answer.ts';
import type { MediaStore } from '../../media/store.ts';
import { formatUsd, type NanoUsd } from '../../money.ts';
import type { CreatedTask, Task } from '../../tasks/task.ts';
import { errorOfTask } from '../../tasks/task-error.ts';
import { taskObject } from '../../tasks/task-object.ts';
import { type Context, goneSignal } from '../request.ts';
import type { StepOptions } from '../steps.ts';
import { fieldsOfBody } from './fields.ts';
import { newTask, type Shop } from './selling.ts';

export interface MakingOptions extends StepOptions {
  accounts: Accounts;
  media: Pick<MediaStore, 'ofTasks' | 'open'>;
  creditUsd: NanoUsd;
}

/** The longest that an answer waits for a task. */
const MAX_WAIT_SECONDS = 300;
/** Of results that are put into the answer itself. */
const MAX_INLINE_BYTES = 64 * 1024 * 1024;
const PREFER_WAIT = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})"?/i;

export function makeTask(shop: Shop, options: MakingOptions) {
  return async (ctx: Context): Promise<void> => {
    const call = newTask(ctx, options, shop);
    const { creditUsd } = options;
    const answer = (created: CreatedTask) => takenAnswer(created, creditUsd);
    const created = await shop.tasks.create({ ...call, answer });
    send(ctx, takenAnswer(created, creditUsd));
  };
}

/** The same, for callers who would rather wait. */
export function makeAndWait(shop: Shop, options: MakingOptions) {
  const make = makeTask(shop, options);
  return async (ctx: Context): Promise<void> => {
    const [, seconds] = PREFER_WAIT.exec(headerOf(ctx, 'prefer')) ?? [];
    if (seconds === undefined) return make(ctx);
    const { keep } = ctx.state;
    const { task } = await shop.tasks.create(newTask(ctx, options, shop));
    // With an Idempotency-Key the answer is kept for a caller who comes again.
    const signal = keep ? NEVER : goneSignal(ctx.res);
    const waitMs = Math.min(Number(seconds), MAX_WAIT_SECONDS) * 1_000;
    const ended = await shop.tasks.ended(task.id, waitMs, signal);
    const error = errorOfTask(ended);
    if (error) throw error;
    const answer =
      ended.endedAt === null
        ? { ...taskAnswer(ended, options.creditUsd), status: 202 }
        : await madeAnswer(ctx, ended, options);
    answer.headers['preference-applied'] = `wait=${Number(seconds)}`;
    await keep?.made(answer);
    if (!ctx.res.destroyed) send(ctx, answer);
  };
}

export const NEVER = new AbortController().signal;

function takenAnswer({ task, hold }: CreatedTask, creditUsd: NanoUsd): StoredAnswer {
  const answer = taskAnswer(task, creditUsd);
  balanceHeaders(answer.headers, hold);
  return answer;
}

function taskAnswer(task: Task, creditUsd: NanoUsd): StoredAnswer {
  const headers = { location: `/v1/tasks/${task.id}`, ...ownKeyHeader(task) };
  return json(taskObject(task, creditUsd), headers);
}

function ownKeyHeader({ isOwnKey }: Task): Headers {
  return isOwnKey ? { 'x-byok': 'used' } : {};
}

/** OpenAI's ImagesResponse. */
async function madeAnswer(
  ctx: Context,
  task: Task,
  { accounts, media }: MakingOptions,
): Promise<StoredAnswer> {
  const isInline = fieldsOfBody(ctx)['response_format'] === 'b64_json';
  const data = isInline ? await inline(task, media) : task.assets.map(({ url }) => ({ url }));
  const created = Math.floor((task.endedAt ?? task.createdAt) / 1_000);
  const answer = json({ created, data }, { 'x-task-id': task.id, ...ownKeyHeader(task) });
  const balance = await accounts.balance(task.accountId);
  balanceHeaders(answer.headers, { balance, limitLeft: null });
  answer.headers['x-request-cost'] = formatUsd(task.charged);
  return answer;
}

/** Errors: invalid_request where they are too large. */
export async function inline(
  task: Task,
  media: MakingOptions['media'],
): Promise<{ b64_json: string }[]> {
  const rows = await media.ofTasks([task.id]);
  const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
  if (bytes > MAX_INLINE_BYTES) {
    throw new AppError(
      'invalid_request',
      `response_format: the result has ${bytes} bytes, too many for the answer itself: GET /v1/tasks/${task.id} has its links.`,
      { details: { field: 'response_format', task_id: task.id } },
    );
  }
  const found: { b64_json: string }[] = [];
  for (const row of rows) {
    const chunks: Buffer[] = [];
    for await (const chunk of await media.open(row)) chunks.push(chunk);
    found.push({ b64_json: Buffer.concat(chunks).toString('base64') });
  }
  return found;
}

export function json(body: unknown, headers: Headers): StoredAnswer {
  const bytes = Buffer.from(JSON.stringify(body));
  return {
    status: 200,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: bytes,
  };
}

export function send({ res, state }: Context, { status, headers, body }: StoredAnswer): void {
  Object.assign(state.headers, headers, { 'content-length': String(body.length) });
  res.writeHead(status, state.headers);
  res.end(body);
}

function headerOf({ req }: Context, name: string): string {
  const value = req.headers[name];
  return typeof value === 'string' ? value : '';
}
