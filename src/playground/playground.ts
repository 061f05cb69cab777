/**
 * Tries out what is sold as a paying agent would: in a child process with the operator's models and prices, play money and the demo
 * upstream. One child at a time; it starts with the first run and ends when nobody has run anything for a while.
 */
import { join } from 'node:path';
import type { Catalogue } from '../catalogue.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';
import type { Log } from '../log.ts';
import { Child, type ChildEvents } from './child.ts';
import { type Result, RESULTS, RUN_MS, type Wanted } from './protocol.ts';
import { end, isOver, type Run, take } from './run.ts';
import type { SpawnSelf } from './spawn.ts';
import { specOf } from './spec.ts';

export interface PlaygroundOptions {
  config: Config;
  catalogue: Catalogue;
  clock: Clock;
  log: Log;
  /** Null where this process cannot start another one. */
  spawn: SpawnSelf | null;
  /** How long the child waits for another run; ten minutes by default. */
  idleMs?: number | undefined;
}

const IDLE_MS = 600_000;
/** Beyond what the child takes for itself. */
const GRACE_MS = 20_000;
const MAX_AT_ONCE = 3;
const MAX_A_MINUTE = 20;
const MAX_KEPT = 40;
/** Then its directory has grown, and a new one begins. */
const MAX_RUNS_OF_CHILD = 200;

interface Current {
  revision: number;
  runs: number;
  started: Promise<Child>;
  /** Ends it while it starts. */
  ending: AbortController;
}

export class Playground {
  readonly #options: PlaygroundOptions;
  readonly #runs = new Map<string, Run>();
  /** Of runs that were handed to the child. */
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #starts: number[] = [];
  #current: Current | null = null;
  #idle: NodeJS.Timeout | null = null;
  /** Of children that are on their way out: the next one waits. */
  #ending: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: PlaygroundOptions) {
    this.#options = options;
  }

  /** `owner`: the session. Answers the run's id at once. Errors: state_conflict, rate_limited, unavailable. */
  start(owner: string, wanted: Wanted): string {
    const { spawn, clock } = this.#options;
    if (!spawn) throw new AppError('state_conflict', 'This process cannot start another one.');
    if (this.#isStopped) throw new AppError('unavailable', 'The server is stopping.');
    this.#requireRoom(clock.nowMs());
    const run: Run = {
      id: newId('run'),
      owner,
      wanted,
      startedAt: clock.nowMs(),
      endedAt: null,
      state: 'starting',
      error: null,
      text: '',
      exchanges: [],
      figures: {},
      results: [],
      directory: null,
    };
    this.#keep(run);
    this.#stayAwake();
    void this.#begin(run, spawn);
    return run.id;
  }

  /** Errors: not_found, also for a run of another session. */
  find(owner: string, id: string): Run {
    const run = this.#runs.get(id);
    if (run?.owner !== owner) {
      throw new AppError('not_found', 'There is no such run, or it was forgotten by now.');
    }
    return run;
  }

  /** Of a session, the newest first. */
  list(owner: string): Run[] {
    return [...this.#runs.values()].filter((run) => run.owner === owner).toReversed();
  }

  /** A file that was made. Errors: not_found; gone where the child is. */
  result(owner: string, id: string, place: number): Result & { path: string } {
    const { results, directory } = this.find(owner, id);
    const result = results[place];
    if (!result) throw new AppError('not_found', 'There is no such result.');
    if (directory === null) throw new AppError('gone', 'The sandbox that made this has ended.');
    return { ...result, path: join(directory, RESULTS, result.name) };
  }

  /** Ends the child. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#endChild();
    await this.#ending;
  }

  async #begin(run: Run, spawn: SpawnSelf): Promise<void> {
    const { clock, log } = this.#options;
    try {
      const child = await this.#child(spawn);
      if (isOver(run)) return;
      run.state = 'running';
      run.directory = child.directory;
      child.send({ run: run.id, wallet: run.owner, wanted: run.wanted });
      const timer = setTimeout(() => {
        if (isOver(run)) return;
        // Whatever it hangs at, the next run gets a child that does not.
        end(run, 'It took too long.', clock.nowMs());
        this.#endChild();
      }, RUN_MS + GRACE_MS);
      timer.unref();
      this.#timers.set(run.id, timer);
    } catch (error) {
      if (!(error instanceof AppError)) log.error('playground_failed', { error });
      const why = error instanceof AppError ? error.message : 'The sandbox could not be started.';
      end(run, why, clock.nowMs());
      this.#rest();
    }
  }

  /** With the models as they are now. One that has runs under way goes on with those that it began with. */
  #child(spawn: SpawnSelf): Promise<Child> {
    const { catalogue } = this.#options;
    const { revision } = catalogue;
    const old = this.#current;
    const isStale = old !== null && (old.revision !== revision || old.runs >= MAX_RUNS_OF_CHILD);
    if (isStale && this.#underWay().length <= 1) this.#endChild();
    if (!this.#current) {
      const ending = new AbortController();
      const started = this.#startChild(spawn, ending.signal);
      this.#current = { revision, runs: 0, started, ending };
    }
    this.#current.runs += 1;
    return this.#current.started;
  }

  async #startChild(spawn: SpawnSelf, signal: AbortSignal): Promise<Child> {
    const { config, catalogue, log } = this.#options;
    await this.#ending;
    if (signal.aborted) throw new AppError('unavailable', 'The sandbox was ended.');
    const mine: { child: Child | null } = { child: null };
    const spec = (dataDir: string) => specOf(config, catalogue.models(), dataDir);
    const on: ChildEvents = {
      event: (id, event) => this.#took(id, event),
      gone: (complaint) => {
        if (complaint) log.warn('playground_ended', { complaint });
        this.#gone(mine.child, complaint);
      },
    };
    const child = await Child.start(spawn, spec, on, signal).catch((error: unknown) => {
      if (!signal.aborted) this.#current = null;
      throw error;
    });
    mine.child = child;
    return child;
  }

  #took(id: string, event: Parameters<typeof take>[1]): void {
    const run = this.#runs.get(id);
    if (!run) return;
    take(run, event, this.#options.clock.nowMs());
    if (isOver(run)) this.#rest();
  }

  /** What lay in its directory is gone, too. */
  #gone(child: Child | null, complaint: string): void {
    if (!child) return;
    for (const run of this.#runs.values()) {
      if (run.directory !== child.directory) continue;
      run.directory = null;
      end(run, `The sandbox ended. ${complaint}`.trim(), this.#options.clock.nowMs());
    }
    void this.#current?.started.then(
      (now) => {
        if (now === child) this.#current = null;
      },
      () => {},
    );
    this.#rest();
  }

  #endChild(): void {
    const current = this.#current;
    this.#current = null;
    if (!current) return;
    current.ending.abort();
    const over = current.started.then(
      (child) => child.end(),
      () => {},
    );
    this.#ending = Promise.all([this.#ending, over]).then(() => {});
  }

  #stayAwake(): void {
    if (this.#idle) clearTimeout(this.#idle);
    this.#idle = null;
  }

  /** Nothing is under way any more: the child waits for a while. */
  #rest(): void {
    for (const [id, timer] of this.#timers) {
      const run = this.#runs.get(id);
      if (run && !isOver(run)) continue;
      clearTimeout(timer);
      this.#timers.delete(id);
    }
    if (this.#underWay().length > 0) return;
    this.#stayAwake();
    this.#idle = setTimeout(() => this.#endChild(), this.#options.idleMs ?? IDLE_MS);
    this.#idle.unref();
  }

  #underWay(): Run[] {
    return [...this.#runs.values()].filter((run) => !isOver(run));
  }

  #requireRoom(nowMs: number): void {
    if (this.#underWay().length >= MAX_AT_ONCE) {
      const message = `${MAX_AT_ONCE} runs are under way. Wait until one of them ends.`;
      throw new AppError('rate_limited', message, { retryAfterSeconds: 5 });
    }
    this.#starts = this.#starts.filter((at) => at > nowMs - 60_000);
    if (this.#starts.length >= MAX_A_MINUTE) {
      const message = `At most ${MAX_A_MINUTE} runs a minute. Wait a little.`;
      throw new AppError('rate_limited', message, { retryAfterSeconds: 30 });
    }
    this.#starts.push(nowMs);
  }

  #keep(run: Run): void {
    this.#runs.set(run.id, run);
    for (const [id, old] of this.#runs) {
      if (this.#runs.size <= MAX_KEPT) return;
      if (isOver(old)) this.#runs.delete(id);
    }
  }
}
