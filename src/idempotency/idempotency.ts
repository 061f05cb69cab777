/**
 * Idempotency-Key: the same request is done, and paid for, once (docs/money.md, "Idempotency"). Per principal, for 24 hours.
 *
 * Why no order of crashes bills twice:
 * 1. The key's row is durable before anything is reserved or made. It names, beforehand, the hold that the request will take; the id
 *    of a hold is unique, so one claim of a key never takes two.
 * 2. The answer is stored in the transaction that captures that hold. Where that fails (no room on the disk) the capture is made alone.
 * 3. So a row that is left running, by a process that was killed or a storage that failed, is decided by its hold, in the transaction
 *    in which the next request asks for the key. Captured: the caller is told which request that was and what it cost. Given back (a
 *    start voids what its last process left open) or never taken: the key is free. Still open: the caller comes again.
 * 4. A request that makes something takes no hold, and nothing tells how far it got: its row stays, and it is not done again.
 *
 * Whatever was not charged for frees the key before its caller is told. Between requests of one process the map of slots decides, from
 * one process to the next the rows do.
 */
import { createHmac } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import { formatUsd } from '../money.ts';
import { claimRow, type Earlier, type NewRow } from './rows.ts';
import { Run } from './run.ts';
import { inProgress, JOIN_MS, Slot } from './slot.ts';
import { openAnswer, placeOf, type StoredAnswer } from './stored-answer.ts';
import { Sweeper } from './sweeper.ts';

const KEPT_MS = 24 * 60 * 60_000;

export interface IdempotencyOptions {
  ledger: Ledger;
  clock: Clock;
  log: Log;
  /** What answers are sealed with, 32 bytes, and what fingerprints are made with. */
  secrets: { answers: Buffer; fingerprints: Buffer };
}

export interface Asked {
  /** Whose key it is; null where the request itself is the credential, and is then a namespace of its own. */
  principal: string | null;
  key: string;
  method: string;
  /** With its query. */
  path: string;
  body: Buffer;
  requestId: string;
  /** Whether it takes a hold; else it makes something. */
  isPaid: boolean;
  /** Asked when its answer is stored, and kept with it. */
  headers: () => Record<string, string>;
  /** Aborted when the caller is gone. */
  signal: AbortSignal;
}

export class Idempotency {
  readonly #options: IdempotencyOptions;
  readonly #instance = newId('run');
  /** What runs in this process, by principal and key; there are no more of them than connections. */
  readonly #slots = new Map<string, Slot>();
  readonly #sweeper: Sweeper;

  constructor(options: IdempotencyOptions) {
    this.#options = options;
    this.#sweeper = new Sweeper(options);
  }

  /**
   * The caller's to do, or the answer that was given before. One that still runs is joined: its end is this one's end. Errors:
   * idempotency_mismatch, idempotency_in_progress, idempotency_answer_gone, whatever a joined request ended in.
   */
  async begin(asked: Asked): Promise<Run | StoredAnswer> {
    const row = this.#rowFor(asked);
    const name = `${row.principal} ${row.key}`;
    const until = performance.now() + JOIN_MS;
    for (;;) {
      const slot = this.#slots.get(name);
      if (!slot) return this.#start(name, row, asked.headers);
      if (slot.fingerprint !== row.fingerprint) throw mismatch();
      const end = await slot.join(until - performance.now(), asked.signal);
      if (end instanceof AppError) throw end;
      if (end !== 'again') return end;
    }
  }

  /** Forgets keys whose time is over, and the oldest answers where they take too much room; a small step. */
  sweep(): Promise<void> {
    return this.#sweeper.sweep();
  }

  #rowFor({ principal, key, method, path, body, requestId, isPaid }: Asked): NewRow {
    const { fingerprints } = this.#options.secrets;
    const fingerprint = createHmac('sha256', fingerprints)
      .update(`${method}\n${path}\n`)
      .update(body)
      .digest('hex');
    return {
      principal: principal ?? `request:${fingerprint}`,
      key,
      fingerprint,
      requestId,
      holdId: isPaid ? newId('hold') : null,
      instance: this.#instance,
    };
  }

  async #start(name: string, row: NewRow, headers: Asked['headers']): Promise<Run | StoredAnswer> {
    const { ledger, log, secrets } = this.#options;
    const slot = new Slot(row.fingerprint);
    // Before anything is awaited: whoever comes now joins.
    this.#slots.set(name, slot);
    const end: Slot['end'] = (how) => {
      this.#slots.delete(name);
      slot.end(how);
    };
    try {
      const earlier = await ledger.write((tx) => claimRow(tx, row, KEPT_MS));
      if (!earlier) {
        const kept = (bytes: number) => this.#sweeper.add(bytes);
        return new Run(row, { ledger, log, headers, sealWith: secrets.answers, kept, end });
      }
      const answer = this.#answerOf(row, earlier);
      end(answer);
      return answer;
    } catch (error) {
      end(error instanceof AppError ? error : 'again');
      throw error;
    }
  }

  #answerOf(row: NewRow, earlier: Earlier): StoredAnswer {
    switch (earlier.kind) {
      case 'answered':
        return openAnswer(
          this.#options.secrets.answers,
          placeOf({ ...row, requestId: earlier.requestId }),
          earlier.sealed,
        );
      case 'gone':
        throw gone(earlier);
      case 'running':
        throw inProgress();
      case 'mismatch':
        throw mismatch();
    }
  }
}

function mismatch(): AppError {
  return new AppError(
    'idempotency_mismatch',
    'Idempotency-Key: was sent with another request before. Take a new key for a new request.',
  );
}

function gone({ requestId, cost }: Extract<Earlier, { kind: 'gone' }>): AppError {
  if (cost === null) {
    return new AppError(
      'idempotency_answer_gone',
      'The request that had this Idempotency-Key may have been done; its answer was not kept. Look whether it was, and take a new key where it was not.',
      { details: { requestId } },
    );
  }
  const costUsd = formatUsd(cost);
  return new AppError(
    'idempotency_answer_gone',
    `The request that had this Idempotency-Key was answered and cost ${costUsd} USD; its answer was too large to be kept, or was lost. Nothing was charged again.`,
    { details: { requestId, costUsd } },
  );
}
