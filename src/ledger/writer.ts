/**
 * The batch writer: the only user of the write connection. Operations that arrive while a batch is being committed form the
 * next one (natural group commit); each caller is answered only after its batch is durable.
 */
import type { ControlledTransaction } from 'kysely';
import { type Clock, utcDay, utcMonth } from '../clock.ts';
import type { Database } from '../db/open.ts';
import { storageFault } from '../db/errors.ts';
import type { Tables } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { WriterCounters } from './counters.ts';
import { type BatchContext, decide } from './money-batch.ts';
import { moneyWithin } from './money-within.ts';
import type { EntryTuple, FastOp, Op, WriteOp } from './operations.ts';
import { GENESIS, type Head, newestSeal, sealHash } from './seal.ts';
import { Statements, statementTexts, type StatementTexts, type Writes } from './statements.ts';
import { createWriteTx } from './write-tx.ts';

const MAX_BATCH = 512;
const MAX_GATHER_TURNS = 6;
const MAX_QUEUED = 20_000;
const DAY_MS = 86_400_000;
const SEAL_WRITER = 'main';

export interface WriterOptions {
  database: Database;
  clock: Clock;
  instance: string;
  /** The storage can no longer be trusted: the process must stop. */
  onFatal(error: unknown): void;
  /** The disk is full: make room so that running requests can end. */
  onFull(): Promise<void>;
}

interface Draft {
  entries: EntryTuple[];
  /** Of them, how many are in the table already. */
  inserted: number;
  /** What was decided and is not written yet. */
  writes: Writes | null;
  nowMs: number;
  answers: (() => void)[];
}

export class BatchWriter {
  readonly #options: WriterOptions;
  #texts: StatementTexts | null = null;
  readonly #windows = new Set<string>();
  #queue: Op[] = [];
  #running: Promise<void> | null = null;
  #stopped: AppError | null = null;
  #head: Head = GENESIS;
  #lastEntry = 0;
  #lastAt = 0;
  #dayNumber = -1;
  #day = { day: '', month: '' };
  readonly counters = new WriterCounters();

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Where the chain of seals stands, as last committed. */
  get head(): Head {
    return this.#head;
  }

  /** Reads where the last process stopped. */
  async open(): Promise<void> {
    const { db } = this.#options.database;
    this.#texts = await statementTexts(this.#options.database);
    this.#head = await newestSeal(db);
    const entry = await db
      .selectFrom('entries')
      .select(['seq', 'at'])
      .orderBy('seq', 'desc')
      .limit(1)
      .executeTakeFirst();
    this.#lastEntry = entry?.seq ?? 0;
    this.#lastAt = entry?.at ?? 0;
  }

  /** Operations that wait for a batch. */
  get queued(): number {
    return this.#queue.length;
  }

  submit(op: Op): void {
    if (this.#stopped) return op.reject(this.#stopped);
    if (this.#queue.length >= MAX_QUEUED) {
      return op.reject(
        new AppError('unavailable', 'The server is overloaded.', { retryAfterSeconds: 1 }),
      );
    }
    this.#queue.push(op);
    this.#running ??= this.#drain();
  }

  /** Commits what is queued, then refuses further work. */
  async close(): Promise<void> {
    this.#stopped ??= new AppError('unavailable', 'The server is stopping.', {
      retryAfterSeconds: 5,
    });
    await this.#running;
  }

  async #drain(): Promise<void> {
    while (this.#queue.length) {
      await this.#gather();
      const batch = this.#queue.splice(0, MAX_BATCH);
      await this.#commitOrSplit(batch);
    }
    this.#running = null;
  }

  /**
   * Lets other requests join the batch: turns of the event loop pass for as long as each brings more, a few at most. A batch costs
   * as much as ten operations, so under load fewer and larger ones save more time than the turns take; alone, one turn is nothing.
   */
  async #gather(): Promise<void> {
    for (let turn = 0; turn < MAX_GATHER_TURNS; turn += 1) {
      const before = this.#queue.length;
      await new Promise((resolve) => setImmediate(resolve));
      if (turn > 0 && this.#queue.length === before) return;
    }
  }

  async #commitOrSplit(batch: Op[]): Promise<void> {
    try {
      await this.#commit(batch);
    } catch (error) {
      const fault = storageFault(error);
      if (fault === 'fatal') this.#die(error, batch);
      else if (fault === 'full') await this.#withoutRoom(batch, error);
      else if (batch.length > 1) for (const op of batch) await this.#commitOrSplit([op]);
      else batch[0]?.reject(error);
    }
  }

  /** After a failed fsync nothing on disk can be relied on: stop at once and let a restart check. */
  #die(error: unknown, batch: Op[]): void {
    this.#stopped = new AppError('unavailable', 'The storage failed.', { cause: error });
    this.#options.onFatal(error);
    for (const op of [...batch, ...this.#queue.splice(0)]) op.reject(this.#stopped);
  }

  /** Disk full: running requests end from the reserve, nothing new starts. */
  async #withoutRoom(batch: Op[], error: unknown): Promise<void> {
    await this.#options.onFull();
    for (const op of batch) {
      if (op.type === 'resolve') {
        await this.#commit([op]).catch((again: unknown) => {
          if (storageFault(again) === 'fatal') this.#die(again, [op]);
          else op.reject(full(again));
        });
      } else op.reject(full(error));
    }
  }

  async #commit(batch: Op[]): Promise<void> {
    const tx = await this.#options.database.db.startTransaction().execute();
    const nowMs = Math.max(this.#lastAt, this.#options.clock.nowMs());
    const draft: Draft = { entries: [], inserted: 0, writes: null, nowMs, answers: [] };
    let head = this.#head;
    try {
      await this.#apply(batch, tx, draft);
      head = await this.#seal(tx, draft);
      await tx.commit().execute();
    } catch (error) {
      if (!tx.isCommitted && !tx.isRolledBack) await rollback(tx);
      throw error;
    }
    this.#head = head;
    const last = draft.entries.at(-1);
    if (last) [this.#lastEntry, this.#lastAt] = last;
    this.counters.add(batch.length, draft.entries);
    for (const answer of draft.answers) answer();
  }

  /** Runs of fast operations are applied as sets; any other operation runs alone between them, in arrival order. */
  async #apply(batch: Op[], tx: ControlledTransaction<Tables>, draft: Draft): Promise<void> {
    let run: FastOp[] = [];
    for (const op of batch) {
      if (op.type !== 'write') {
        run.push(op);
        continue;
      }
      await this.#applyRun(run, tx, draft);
      await this.#flush(tx, draft);
      run = [];
      await this.#applyWrite(op, tx, draft);
    }
    await this.#applyRun(run, tx, draft);
  }

  async #applyRun(run: FastOp[], tx: ControlledTransaction<Tables>, draft: Draft): Promise<void> {
    if (!run.length) return;
    const { writes, outcomes } = await decide(run, this.#context(tx, draft));
    draft.writes = writes;
    draft.answers.push(...outcomes);
  }

  /** Writes what was decided; the last time of a batch with the seal, so that most batches are one statement. */
  async #flush(
    tx: ControlledTransaction<Tables>,
    draft: Draft,
    seals: unknown[][] = [],
  ): Promise<void> {
    const { writes } = draft;
    const entries = draft.entries.slice(draft.inserted);
    if (!writes && !entries.length && !seals.length) return;
    draft.writes = null;
    await this.#statements(tx).write({ ...writes, entries, seals });
    draft.inserted = draft.entries.length;
  }

  #statements(tx: ControlledTransaction<Tables>): Statements {
    if (!this.#texts) throw new AppError('internal', 'the ledger is not open');
    return new Statements(this.#texts, tx);
  }

  #context(tx: ControlledTransaction<Tables>, draft: Draft): BatchContext {
    return {
      statements: this.#statements(tx),
      nowMs: draft.nowMs,
      ...this.#windowsAt(draft.nowMs),
      instance: this.#options.instance,
      windows: this.#windows,
      addEntry: (entry) => draft.entries.push([this.#nextSeq(draft), draft.nowMs, ...entry]),
    };
  }

  async #applyWithin(op: FastOp, tx: ControlledTransaction<Tables>, draft: Draft): Promise<void> {
    const { writes, outcomes } = await decide([op], this.#context(tx, draft));
    draft.writes = writes;
    await this.#flush(tx, draft);
    outcomes[0]?.();
  }

  async #applyWrite(op: WriteOp, tx: ControlledTransaction<Tables>, draft: Draft): Promise<void> {
    const entriesBefore = draft.entries.length;
    const savepoint = await tx.savepoint('operation').execute();
    try {
      const addEntry = async (entry: EntryRest) => {
        draft.entries.push([this.#nextSeq(draft), draft.nowMs, ...entry]);
        await this.#flush(tx, draft);
      };
      const money = moneyWithin((within) => this.#applyWithin(within, tx, draft));
      const result = await op.run(createWriteTx(tx, draft.nowMs, addEntry, money));
      await savepoint.releaseSavepoint('operation').execute();
      draft.answers.push(() => op.resolve(result));
    } catch (error) {
      const fault = storageFault(error);
      if (fault === 'fatal' || fault === 'full') throw error;
      await savepoint.rollbackToSavepoint('operation').execute();
      draft.entries.length = entriesBefore;
      draft.inserted = entriesBefore;
      draft.writes = null;
      // Told only with the batch: one that is rolled back and split runs this operation again.
      draft.answers.push(() => op.reject(error));
    }
  }

  /** Day and month of an instant, worked out again only when the day changes. */
  #windowsAt(nowMs: number): { day: string; month: string } {
    const dayNumber = Math.floor(nowMs / DAY_MS);
    if (dayNumber !== this.#dayNumber) {
      this.#dayNumber = dayNumber;
      this.#day = { day: utcDay(nowMs), month: utcMonth(nowMs) };
    }
    return this.#day;
  }

  #nextSeq(draft: Draft): number {
    return (draft.entries.at(-1)?.[0] ?? this.#lastEntry) + 1;
  }

  async #seal(tx: ControlledTransaction<Tables>, draft: Draft): Promise<Head> {
    const [first, last] = [draft.entries[0], draft.entries.at(-1)];
    if (!first || !last) {
      await this.#flush(tx, draft);
      return this.#head;
    }
    const { seq: before, hash: previous } = this.#head;
    const head = { seq: before + 1, hash: sealHash(previous, draft.entries) };
    const range = [first[0], last[0]];
    const seal = [head.seq, SEAL_WRITER, ...range, previous, head.hash, draft.nowMs];
    await this.#flush(tx, draft, [seal]);
    return head;
  }
}

/** The entry's columns after seq and at, as a write operation hands them over. */
export type EntryRest = EntryTuple extends [unknown, unknown, ...infer Rest] ? Rest : never;

async function rollback(tx: ControlledTransaction<Tables>): Promise<void> {
  // SQLite ends a transaction by itself on some errors; there is then nothing to roll back.
  await tx
    .rollback()
    .execute()
    .catch(() => {});
}

function full(cause: unknown): AppError {
  return new AppError('unavailable', 'The storage is full.', { cause, retryAfterSeconds: 30 });
}
