/**
 * What happens to tasks, as it happens: server-sent events, resumed after a break by Last-Event-ID. Whoever asks for JSON gets what has
 * happened since, and comes again.
 */
import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import type { Principal } from '../../auth/principal.ts';
import { AppError } from '../../errors.ts';
import type { TaskEvent, Tasks } from '../../tasks/tasks.ts';
import { operation } from '../operation.ts';
import type { OpenNow } from '../open-now.ts';
import { type Context, goneSignal } from '../request.ts';
import type { Streams } from './streams.ts';

const KEEP_ALIVE_MS = 15_000;
/** Then the client comes again, and who it is is asked again. */
const MAX_STREAM_MS = 30 * 60_000;
const NUMBER = /^\d{1,15}$/;
const TERMINAL = new Set(['task.completed', 'task.failed', 'task.cancelled', 'task.expired']);

const eventView = z.strictObject({
  id: z.string(),
  type: z.string(),
  timestamp: z.string(),
  data: z.record(z.string(), z.unknown()),
});

/** Answered to those who ask for JSON; a stream sends the same events. */
const listView = z.strictObject({
  object: z.literal('list'),
  data: z.array(eventView),
  last_event_id: z.string(),
});

const query = z.strictObject({
  after: z.string().regex(NUMBER, 'must be the id of an event').optional(),
});

type Query = z.infer<typeof query>;

export interface FollowOptions {
  tasks: Tasks;
  openNow: Pick<OpenNow, 'streams'>;
}

/** Of all tasks of the caller, from now on where nothing else is said. */
export function followAll({ tasks, openNow: { streams } }: FollowOptions) {
  return operation<undefined, Query>({
    summary: 'What happens to the caller’s tasks: server-sent events, resumed by Last-Event-ID',
    right: 'tasks',
    query,
    answer: listView,
    run: async ({ principal, query: { after }, ctx }) => {
      const from = resumedAt(ctx, after) ?? (await tasks.lastEvent());
      return follow(ctx, { tasks, principal, from, streams });
    },
  });
}

/** Of one task, from its beginning where nothing else is said, to its end. */
export function followOne({ tasks, openNow: { streams } }: FollowOptions) {
  return operation<undefined, Query>({
    summary: 'What happens to one task, from its beginning to its end: server-sent events',
    right: 'tasks',
    query,
    answer: listView,
    run: async ({ principal, params, query: { after }, ctx }) => {
      const { id } = await tasks.find(principal, params['id'] ?? '');
      const from = resumedAt(ctx, after) ?? 0;
      return follow(ctx, { tasks, principal, from, streams, taskId: id });
    },
  });
}

interface Following {
  tasks: Tasks;
  principal: Principal;
  /** The event after which it begins. */
  from: number;
  streams: Streams;
  taskId?: string;
}

async function follow(ctx: Context, following: Following): Promise<unknown> {
  const { tasks, principal, from, taskId, streams } = following;
  if (wantsJson(ctx)) {
    const events = await tasks.eventsAfter(principal, from, taskId);
    const last = events.at(-1)?.seq ?? from;
    return { object: 'list', data: events.map(shown), last_event_id: String(last) };
  }
  await streams.with(principal, () => stream(ctx, following));
  return undefined;
}

async function stream(ctx: Context, { tasks, principal, from, taskId }: Following): Promise<void> {
  const { res, state } = ctx;
  const gone = AbortSignal.any([goneSignal(res), tasks.stopping]);
  const until = performance.now() + MAX_STREAM_MS;
  Object.assign(state.headers, { 'content-type': 'text/event-stream; charset=utf-8' });
  res.writeHead(200, state.headers);
  res.write(': following\n\n');
  let at = from;
  while (!gone.aborted && performance.now() < until) {
    const rung = Promise.withResolvers<void>();
    const stop = tasks.listen(taskId ?? principal.accountId ?? '', rung.resolve);
    try {
      const events = await tasks.eventsAfter(principal, at, taskId);
      for (const event of events) {
        res.write(lineOf(event));
        at = event.seq;
      }
      if (taskId !== undefined && events.some(({ type }) => TERMINAL.has(type))) break;
      await drained(res, gone);
      if (events.length) continue;
      const isNews = await wait(rung.promise, gone);
      if (!isNews && !gone.aborted) res.write(': keep-alive\n\n');
    } finally {
      stop();
    }
  }
  res.end();
}

function lineOf(event: TaskEvent): string {
  return `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(shown(event))}\n\n`;
}

function shown({ seq, type, atMs, data }: TaskEvent): z.infer<typeof eventView> {
  return { id: String(seq), type, timestamp: new Date(atMs).toISOString(), data };
}

/** Whether something happened; false after the time of a keep-alive. */
async function wait(news: Promise<void>, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false;
  const over = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => over.resolve(false), KEEP_ALIVE_MS);
  const onAbort = () => over.resolve(false);
  signal.addEventListener('abort', onAbort, { once: true });
  const isNews = await Promise.race([news.then(() => true), over.promise]);
  clearTimeout(timer);
  signal.removeEventListener('abort', onAbort);
  return isNews;
}

/** A reader that is slow is waited for. */
async function drained(res: ServerResponse, signal: AbortSignal): Promise<void> {
  if (!res.writableNeedDrain || signal.aborted) return;
  const done = Promise.withResolvers<void>();
  const onEnd = () => done.resolve();
  res.once('drain', onEnd);
  signal.addEventListener('abort', onEnd, { once: true });
  await done.promise;
  res.off('drain', onEnd);
  signal.removeEventListener('abort', onEnd);
}

function wantsJson({ req }: Context): boolean {
  return /application\/json/i.test(req.headers.accept ?? '');
}

function resumedAt({ req }: Context, after: string | undefined): number | null {
  const said = req.headers['last-event-id'] ?? after;
  if (said === undefined || said === '') return null;
  if (typeof said === 'string' && NUMBER.test(said)) return Number(said);
  throw new AppError('invalid_request', 'Last-Event-ID: must be the id of an event.');
}
