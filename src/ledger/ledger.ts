/**
 * Where money moves: reserve sets a ceiling aside, capture charges part or all of it and gives the rest back, void gives all
 * back. A hold resolves once; whoever resolves it again is told what the first resolution did. See docs/money.md.
 */
import type { Kysely } from 'kysely';
import { GuardMiss } from '../db/errors.ts';
import type { HoldRow, Tables } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { type NanoUsd, nanoUsd, ZERO_USD } from '../money.ts';
import type { Hold, ReserveRequest, Resolution, ResolveOp, WriteTx } from './operations.ts';
import type { WriterCounters } from './counters.ts';
import type { BatchWriter } from './writer.ts';

export {
  SYSTEM,
  type Balance,
  type Hold,
  type NewEntry,
  type ReserveRequest,
  type Resolution,
  type WriteTx,
} from './operations.ts';

export class Ledger {
  readonly #writer: BatchWriter;
  /** A read-only connection of its own; what it says may be old by the time a decision is made. */
  readonly read: Kysely<Tables>;

  constructor(writer: BatchWriter, read: Kysely<Tables>) {
    this.#writer = writer;
    this.read = read;
  }

  get counters(): WriterCounters {
    return this.#writer.counters;
  }

  /** Operations that wait for a batch. */
  get queued(): number {
    return this.#writer.queued;
  }

  /** Sets money aside. Errors: insufficient_balance (nothing was set aside), account_frozen, unavailable. */
  reserve(request: ReserveRequest): Promise<Hold> {
    return new Promise((resolve, reject) =>
      this.#writer.submit({ type: 'reserve', request, resolve, reject }),
    );
  }

  /**
   * Charges `cost` out of the hold and gives the rest back. A cost above the hold charges the hold; the rest is the operator's
   * loss, booked to the shortfall account. `usage` is JSON of what was measured.
   */
  capture(hold: Hold, cost: NanoUsd, usage: string | null): Promise<Resolution> {
    if (!(cost >= 0)) throw new AppError('internal', `a charge of ${cost} nano-USD`);
    return this.#resolve(hold, 'captured', cost, usage);
  }

  /**
   * As capture, with `also` in the same transaction: both are durable, or, when this throws, neither. Where the hold was resolved
   * before, nothing is written and its first resolution is answered.
   */
  async captureWith(
    hold: Hold,
    cost: NanoUsd,
    usage: string | null,
    also: (tx: WriteTx, resolution: Resolution) => Promise<void>,
  ): Promise<Resolution> {
    if (!(cost >= 0)) throw new AppError('internal', `a charge of ${cost} nano-USD`);
    try {
      return await this.write(async (tx) => {
        const resolution = await tx.capture(hold, cost, usage);
        await also(tx, resolution);
        return resolution;
      });
    } catch (error) {
      if (error instanceof GuardMiss) return this.#firstResolution(hold);
      throw error;
    }
  }

  /** Gives all of the hold back. */
  void(hold: Hold): Promise<Resolution> {
    return this.#resolve(hold, 'voided', ZERO_USD, null);
  }

  /** As void, for a hold whose time is over. */
  expire(hold: Hold): Promise<Resolution> {
    return this.#resolve(hold, 'expired', ZERO_USD, null);
  }

  /** Takes a sign-in nonce: true for the first use, false for any later one. */
  useNonce(id: string, expiresAtMs: number): Promise<boolean> {
    return new Promise((resolve, reject) =>
      this.#writer.submit({ type: 'nonce', id, expiresAtMs, resolve, reject }),
    );
  }

  /**
   * Any other write, alone in its place of the arrival order. Either all of it is durable when this resolves, or, when it throws,
   * nothing of it happened. Nothing but the transaction may be awaited inside: every other caller waits.
   */
  write<T>(operation: (tx: WriteTx) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) =>
      this.#writer.submit({
        type: 'write',
        run: operation,
        resolve: resolve as (value: unknown) => void,
        reject,
      }),
    );
  }

  async #resolve(
    hold: Hold,
    state: ResolveOp['state'],
    cost: NanoUsd,
    usage: string | null,
  ): Promise<Resolution> {
    try {
      return await new Promise<Resolution>((resolve, reject) =>
        this.#writer.submit({ type: 'resolve', hold, state, cost, usage, resolve, reject }),
      );
    } catch (error) {
      if (error instanceof GuardMiss) return this.#firstResolution(hold);
      throw error;
    }
  }

  async #firstResolution(hold: Hold): Promise<Resolution> {
    const row = await this.read
      .selectFrom('holds')
      .innerJoin('accounts', 'accounts.id', 'holds.account_id')
      .select([
        'holds.state',
        'holds.captured',
        'holds.shortfall',
        'accounts.posted',
        'accounts.held',
      ])
      .where('holds.id', '=', hold.id)
      .executeTakeFirst();
    if (!row || row.state === 'open')
      throw new AppError('internal', `hold ${hold.id} is not there`);
    return {
      charged: nanoUsd(row.captured),
      shortfall: nanoUsd(row.shortfall),
      balance: { posted: nanoUsd(row.posted), held: nanoUsd(row.held) },
      limitLeft: null,
      wasResolvedBefore: true,
    };
  }
}

/** A hold as its row has it, with the ancestors of its key, to resolve one that this process did not take. */
export function holdOf(row: HoldRow, ancestors: readonly string[]): Hold {
  return {
    id: row.id,
    accountId: row.account_id,
    keyId: row.key_id,
    ancestors,
    amount: nanoUsd(row.amount),
    day: row.day,
    month: row.month,
    requestId: row.request_id,
    model: row.model,
    balance: { posted: ZERO_USD, held: ZERO_USD },
    limitLeft: null,
  };
}
