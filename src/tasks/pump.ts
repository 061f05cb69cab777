/**
 * Moves tasks on: hands queued ones to channels that have room, and looks after those whose time has come. It holds no list of tasks: what
 * is to be done is asked of the rows a page at a time, so a hundred thousand queued tasks cost what ten do.
 */
import PQueue from 'p-queue';
import type { TaskRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { Route } from '../routing/routing.ts';
import { failTask } from './ending.ts';
import { triedOf } from './elsewhere.ts';
import { handOn, takeQueued } from './handing.ts';
import { endUnstarted, look } from './looking.ts';
import { dueTasks, nextInLane, overdueTasks, queuedLanes } from './rows.ts';
import type { TaskTools } from './tools.ts';
import { waysOf } from './ways.ts';
import { traced } from '../traces/trace.ts';

/** Tasks that are being handed on at once: some upstreams answer only when they are done. */
const MAX_STARTS = 256;
/** Looks at once. */
const MAX_LOOKS = 64;
const MAX_OVERDUE = 50;
const BEAT_MS = 500;
/** Rounds of one test's tick; a bug of ours would else never end. */
const MAX_ROUNDS = 10_000;

export class Pump {
  readonly #tools: TaskTools;
  readonly #starts = new PQueue({ concurrency: MAX_STARTS });
  readonly #looks = new PQueue({ concurrency: MAX_LOOKS });
  /** What this process works on. */
  readonly #active = new Set<string>();
  /**
   * One of those whose looks did not come to an end some times: whichever of them took the process with it, they are looked at one by one,
   * so that the others are not counted with it.
   */
  #suspect: string | null = null;
  /** By lane, the account that was served last. */
  readonly #served = new Map<string, string>();
  readonly #stopped = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  #last: Promise<number> = Promise.resolve(0);
  #isKicked = false;
  #begun = 0;
  #isStopping = false;

  constructor(tools: TaskTools) {
    this.#tools = tools;
  }

  start(): void {
    this.#timer = setInterval(() => this.kick(), BEAT_MS);
    this.#timer.unref();
    this.kick();
  }

  /** Soon, and once for all that ask meanwhile. */
  kick(): void {
    if (this.#stopped.signal.aborted || this.#timer === null) return;
    if (this.#isKicked) return;
    this.#isKicked = true;
    void this.#inTurn(() => {
      this.#isKicked = false;
      return this.#pass();
    }).catch((error: unknown) => this.#tools.log.error('tasks_not_moved', { error }));
  }

  /** Does all that can be done now and waits for what comes of it; answers how much that was. For tests, whose clock stands still. */
  async tick(): Promise<number> {
    let all = 0;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const begun = await this.#inTurn(() => this.#pass());
      await this.#idle();
      if (begun === 0) return all;
      all += begun;
    }
    throw new Error('tasks never come to rest');
  }

  /**
   * Takes up nothing more, and waits for what is being handed on, because nobody could tell afterwards whether the upstream has it; what
   * still runs after `ms` is broken off, and the next start decides about it.
   */
  async stop(ms: number): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    this.#isStopping = true;
    await this.#last;
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(timeout.resolve, ms);
    await Promise.race([this.#starts.onIdle(), timeout.promise]);
    clearTimeout(timer);
    this.#stopped.abort();
    await this.#idle();
  }

  async #idle(): Promise<void> {
    await this.#starts.onIdle();
    await this.#looks.onIdle();
  }

  /** One pass after another. */
  #inTurn(pass: () => Promise<number>): Promise<number> {
    const turn = this.#last.then(pass);
    this.#last = turn.catch(() => 0);
    return turn;
  }

  /** Answers how many tasks it set going. */
  async #pass(): Promise<number> {
    if (this.#isStopping) return 0;
    this.#begun = 0;
    await this.#endOverdue();
    await this.#lookAtDue();
    await this.#feed();
    return this.#begun;
  }

  async #endOverdue(): Promise<void> {
    const { ledger, clock } = this.#tools;
    for (const row of await overdueTasks(ledger.read, clock.nowMs(), MAX_OVERDUE)) {
      await endUnstarted(this.#tools, row);
      this.#begun += 1;
    }
  }

  async #lookAtDue(): Promise<void> {
    const room = MAX_LOOKS - this.#looks.size - this.#looks.pending;
    if (room <= 0) return;
    for (const row of await this.#due(room, false)) this.#look(row);
    if (this.#suspect !== null) return;
    const [suspect] = await this.#due(1, true);
    if (!suspect) return;
    this.#suspect = suspect.id;
    this.#look(suspect);
  }

  /** What is worked on may be due as well, when it takes long: not by another of ours. */
  async #due(most: number, isSuspect: boolean): Promise<TaskRow[]> {
    const { ledger, clock } = this.#tools;
    const limit = most + this.#active.size;
    const due = await dueTasks(ledger.read, clock.nowMs(), { limit, isSuspect });
    return due.filter(({ id }) => !this.#active.has(id)).slice(0, most);
  }

  #look(row: TaskRow): void {
    this.#work(this.#looks, row, 'look at task', () =>
      look(this.#tools, row, this.#stopped.signal),
    );
  }

  /** One task of each lane in turn, of each account in turn, while channels have room. */
  async #feed(): Promise<void> {
    let lanes = await queuedLanes(this.#tools.ledger.read);
    this.#forgetLanes(lanes);
    while (lanes.length) {
      const alive: string[] = [];
      for (const lane of lanes) {
        if (this.#starts.size + this.#starts.pending >= MAX_STARTS) return;
        if (await this.#feedOne(lane)) alive.push(lane);
      }
      lanes = alive;
    }
  }

  /** Whether there may be more to do in this lane. */
  async #feedOne(lane: string): Promise<boolean> {
    const tools = this.#tools;
    const { routes, refusal } = await this.#routes(lane);
    if (!routes.length && !refusal) return false;
    const row = await nextInLane(tools.ledger.read, lane, this.#served.get(lane) ?? '');
    if (!row) return false;
    this.#served.set(lane, row.account_id);
    if (refusal) {
      await failTask(tools, { id: row.id, isUnsent: true }, 'provider_key_refused', refusal);
      return true;
    }
    const tried = triedOf(row);
    const route = routes.find(({ channel }) => !tried.includes(channel.id)) ?? routes[0]!;
    const taken = await takeQueued(tools, row, route);
    // Cancelled a moment ago.
    if (!taken) return true;
    tools.slots.take(route.channel.id, row.id, route.channel);
    this.#work(this.#starts, taken, 'start task', () =>
      handOn(tools, taken, route, this.#stopped.signal),
    );
    return true;
  }

  /** Channels that are fit and have room; none where its model or all of its channels are out of order. */
  async #routes(lane: string): Promise<{ routes: Route[]; refusal: string | null }> {
    try {
      const routes = await waysOf(this.#tools, lane);
      const free = routes.filter(({ channel }) => this.#tools.slots.isFree(channel));
      return { routes: free, refusal: null };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return { routes: [], refusal: error.message };
    }
  }

  #work(queue: PQueue, row: TaskRow, name: string, work: () => Promise<void>): void {
    const { id } = row;
    this.#begun += 1;
    this.#active.add(id);
    void queue.add(async () => {
      try {
        await inSpan(name, row, work);
      } catch (error) {
        // Its row says what it was at; it is taken up again when its time there is over.
        this.#tools.log.error('task_not_moved', { task: id, error });
      } finally {
        this.#active.delete(id);
        if (this.#suspect === id) this.#suspect = null;
        this.kick();
      }
    });
  }

  #forgetLanes(lanes: readonly string[]): void {
    if (this.#served.size <= 2 * lanes.length + 100) return;
    for (const lane of this.#served.keys()) if (!lanes.includes(lane)) this.#served.delete(lane);
  }
}

/** Of its own: who happened to wake the pump has nothing to do with it. */
function inSpan(name: string, row: TaskRow, work: () => Promise<void>): Promise<void> {
  const spec = () => ({
    name,
    parent: null,
    attributes: {
      'farebox.task': row.id,
      'farebox.request_id': row.request_id,
      'farebox.model': row.model,
      'farebox.channel': row.channel_id,
    },
  });
  return traced(spec, work);
}
