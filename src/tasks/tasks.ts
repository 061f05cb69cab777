/** Media tasks: made, followed, cancelled. The engine that moves them is behind `start`. */
import { audit } from '../audit.ts';
import { type Operator, operatorName } from '../auth/operator.ts';
import type { Principal } from '../auth/principal.ts';
import type { TaskEventRow, TaskRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { NanoUsd } from '../money.ts';
import { Bell, within } from './bell.ts';
import { cancelTask } from './cancelling.ts';
import { createTask, planTask, type Wanted } from './creating.ts';
import { eventsAfter, forgetEvents, lastEvent } from './events.ts';
import { Pump } from './pump.ts';
import { isOpen, keysOf, listTasks, ownTask, placeInQueue, taskById } from './rows.ts';
import { Slots } from './slots.ts';
import type { CreatedTask, NewTask, Task, TaskFilter, TaskPage, TaskService } from './task.ts';
import { taskObject } from './task-object.ts';
import type { TaskTools } from './tools.ts';
import { Typical } from './typical.ts';
import { viewOf } from './view.ts';

/** Tasks that wait or are made, of all accounts together. */
const MAX_OPEN = 250_000;
const RETRY_AFTER_SECONDS = 30;
const FORGET_EVERY_MS = 60_000;
/** Whoever waits looks at the row by himself that often, in case nobody rang. */
const LOOK_EVERY_MS = 5_000;
const MAX_EVENTS = 100;

export type TasksOptions = Omit<TaskTools, 'bell' | 'slots' | 'typical' | 'open'>;

/** One thing that happened, with the task as it was told then. */
export interface TaskEvent {
  seq: number;
  type: string;
  atMs: number;
  taskId: string;
  data: Record<string, unknown>;
}

export class Tasks implements TaskService {
  readonly #tools: TaskTools;
  readonly #pump: Pump;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: TasksOptions) {
    const mine = {
      bell: new Bell(),
      slots: new Slots(),
      typical: new Typical(),
      open: { count: 0 },
    };
    this.#tools = { ...options, ...mine };
    this.#pump = new Pump(this.#tools);
  }

  /** Fires when the server ends: whoever waits for tasks answers now. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Takes up what an earlier process left, and goes on by itself. */
  async start(): Promise<void> {
    await this.recover();
    this.#pump.start();
    this.#timer = setInterval(() => {
      forgetEvents(this.#tools.ledger, this.#tools.clock.nowMs()).catch((error: unknown) =>
        this.#tools.log.error('events_not_forgotten', { error }),
      );
    }, FORGET_EVERY_MS);
    this.#timer.unref();
  }

  /**
   * Whoever worked on a task before is gone, since a data directory has one process: what it was handing on is decided now, and what was
   * handed on counts for its channel again.
   */
  async recover(): Promise<void> {
    const { ledger, slots } = this.#tools;
    await ledger.write(({ db, nowMs }) =>
      db
        .updateTable('tasks')
        .set({ next_at: nowMs })
        .where('next_at', '>', nowMs)
        .where('state', 'in', ['pending', 'processing'])
        // One that waits for its pause to be over goes on waiting, unless somebody was just taking it up.
        .where((eb) => eb.or([eb('submit', '!=', 'unsent'), eb('crashes', '>', 0)]))
        .execute(),
    );
    const out = await ledger.read
      .selectFrom('tasks')
      .select(['id', 'channel_id'])
      .where('next_at', 'is not', null)
      .where('state', 'in', ['pending', 'processing'])
      .execute();
    for (const { id, channel_id } of out) if (channel_id !== null) slots.take(channel_id, id);
    const { queued } = await ledger.read
      .selectFrom('tasks')
      .select((eb) => eb.fn.countAll<number>().as('queued'))
      .where('queue', 'is not', null)
      .executeTakeFirstOrThrow();
    this.#tools.open.count = out.length + queued;
  }

  /** Ends what waits for tasks; those that are being made are looked after by the next start. */
  stopWaiting(): void {
    this.#stopping.abort();
    this.#tools.bell.ringAll();
  }

  async stop(ms: number): Promise<void> {
    this.stopWaiting();
    if (this.#timer) clearInterval(this.#timer);
    await this.#pump.stop(ms);
  }

  /** What one credit is worth from now on. */
  replace({ creditUsd }: Pick<TasksOptions, 'creditUsd'>): void {
    this.#tools.creditUsd = creditUsd;
  }

  /** See Pump.tick. */
  tick(): Promise<number> {
    return this.#pump.tick();
  }

  async create(call: NewTask): Promise<CreatedTask> {
    if (this.#tools.open.count >= MAX_OPEN) {
      throw new AppError('unavailable', 'Too many tasks wait already. Try again shortly.', {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    const created = await createTask(this.#tools, call);
    this.#tools.open.count += 1;
    this.#pump.kick();
    return created;
  }

  check(call: Wanted): void {
    planTask(this.#tools, call, []);
  }

  price({ model, types, fields }: Pick<Wanted, 'model' | 'types' | 'fields'>): {
    ceiling: NanoUsd;
    atLeast: NanoUsd;
  } | null {
    try {
      const { ceiling } = planTask(
        this.#tools,
        { model, types, fields, maxCredits: null, quoteId: null },
        [],
      );
      return { ceiling, atLeast: ceiling };
    } catch {
      return null;
    }
  }

  async find(principal: Principal, id: string): Promise<Task> {
    return this.#seen(await ownTask(this.#tools.ledger.read, principal, id));
  }

  async list(principal: Principal, filter: TaskFilter): Promise<TaskPage> {
    const { ledger, media } = this.#tools;
    const rows = await listTasks(ledger.read, principal, { ...filter, limit: filter.limit + 1 });
    const page = rows.slice(0, filter.limit);
    const done = page.filter(({ state }) => state === 'completed').map(({ id }) => id);
    const found = done.length ? await media.ofTasks(done) : [];
    const tasks = page.map((row) => {
      const own = found.filter(({ task_id }) => task_id === row.id);
      return viewOf(row, this.#tools, { assets: own.map((asset) => media.view(asset)) });
    });
    return { tasks, next: rows.length > page.length ? (page.at(-1)?.id ?? null) : null };
  }

  async cancel(principal: Principal, id: string): Promise<Task> {
    const row = await ownTask(this.#tools.ledger.read, principal, id);
    const { signal } = this.#stopping;
    return this.#seen(await cancelTask(this.#tools, row, { by: 'its owner', signal }));
  }

  /** As `cancel`, by an operator, of anybody. */
  async cancelAny(by: Operator, id: string, reason: string): Promise<Task> {
    const actor = operatorName(by);
    const row = await taskById(this.#tools.ledger.read, id);
    if (!row) throw new AppError('not_found', 'There is no task with this id.');
    const { signal } = this.#stopping;
    const ended = await cancelTask(this.#tools, row, { by: 'the operator', signal });
    await this.#tools.ledger.write((tx) =>
      audit(tx, { actor, action: 'task.cancel', target: id, reason }),
    );
    return this.#seen(ended);
  }

  async ended(id: string, timeoutMs: number, signal: AbortSignal): Promise<Task> {
    const { ledger, bell } = this.#tools;
    const until = performance.now() + timeoutMs;
    const either = AbortSignal.any([signal, this.stopping]);
    for (;;) {
      // Listening begins before the row is read, or the end could fall between the two.
      const rung = Promise.withResolvers<void>();
      const stop = bell.listen(id, rung.resolve);
      try {
        const row = await taskById(ledger.read, id);
        if (!row) throw new AppError('not_found', 'There is no task with this id.');
        const leftMs = until - performance.now();
        if (!isOpen(row) || leftMs <= 0 || either.aborted) return await this.#seen(row);
        await within(rung.promise, Math.min(leftMs, LOOK_EVERY_MS), either);
      } finally {
        stop();
      }
    }
  }

  /** The number after which nothing has happened yet. */
  lastEvent(): Promise<number> {
    return lastEvent(this.#tools.ledger.read);
  }

  /** What happened to the caller's tasks after `seq`, oldest first, a page at most. `taskId`: of one alone, which is the caller's. */
  async eventsAfter(principal: Principal, seq: number, taskId?: string): Promise<TaskEvent[]> {
    const { accountId } = principal;
    if (accountId === null) return [];
    const { ledger } = this.#tools;
    // Below a task of its own nobody sees others.
    const keys = taskId === undefined ? await keysOf(ledger.read, principal) : null;
    const of = { accountId, keys, ...(taskId !== undefined && { taskId }) };
    const rows = await eventsAfter(ledger.read, of, seq, MAX_EVENTS);
    const ids = [...new Set(rows.map(({ task_id }) => task_id))];
    const tasks = new Map<string, Task>();
    for (const id of ids) {
      const row = await taskById(ledger.read, id);
      if (row) tasks.set(id, await this.#seen(row));
    }
    return rows.flatMap((row) => eventOf(row, tasks.get(row.task_id), this.#tools.creditUsd));
  }

  /** Rings at whatever happens to a task, or to any of an account. Answers what takes the listener back. */
  listen(name: string, listener: () => void): () => void {
    return this.#tools.bell.listen(name, listener);
  }

  async #seen(row: TaskRow): Promise<Task> {
    const { media, ledger } = this.#tools;
    const found = row.state === 'completed' ? await media.ofTasks([row.id]) : [];
    return viewOf(row, this.#tools, {
      assets: found.map((asset) => media.view(asset)),
      place: await placeInQueue(ledger.read, row),
    });
  }
}

/** The task as it is now, but for what it was like then. */
function eventOf(row: TaskEventRow, task: Task | undefined, creditUsd: NanoUsd): TaskEvent[] {
  if (!task) return [];
  const then = JSON.parse(row.payload) as Record<string, unknown>;
  const data = { ...taskObject(task, creditUsd), ...then };
  if (then['status'] !== task.state) Object.assign(data, { result: null, error: null });
  return [{ seq: row.seq, type: row.type, atMs: row.at, taskId: row.task_id, data }];
}
