/** Asks the chain about payments whose outcome is not known, and about credited ones until they are final. */
import type { Evidence, Rail } from '../chains/chain.ts';
import type { Clock } from '../clock.ts';
import type { PaymentsConfig } from '../config/config.ts';
import type { PaymentRow } from '../db/tables.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import { formatUsd } from '../money.ts';
import {
  creditPayment,
  failPayment,
  keepAsking,
  nextCheck,
  reversePayment,
  seenAgain,
  update,
} from './outcome.ts';
import { storedPayment } from './rows.ts';

export interface ReconcilerOptions {
  ledger: Ledger;
  rails: Map<string, Rail>;
  config: PaymentsConfig;
  clock: Clock;
  log: Log;
}

const SWEEP_MS = 1_000;
const MAX_PER_SWEEP = 50;

export class Reconciler {
  readonly #options: ReconcilerOptions;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<unknown> | null = null;
  #isStopped = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#running ??= this.sweep()
        .catch((error: unknown) => this.#options.log.error('reconcile_failed', { error }))
        .finally(() => {
          this.#running = null;
        });
    }, SWEEP_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer) clearInterval(this.#timer);
    await this.#running;
  }

  /** Looks at the payments that are due; answers how many. */
  async sweep(): Promise<number> {
    const { ledger, clock } = this.#options;
    const due = await ledger.read
      .selectFrom('payments')
      .selectAll()
      .where('next_check_at', '<=', clock.nowMs())
      .orderBy('next_check_at')
      .limit(MAX_PER_SWEEP)
      .execute();
    for (const row of due) {
      if (this.#isStopped) break;
      await this.#reconcile(row);
    }
    return due.length;
  }

  /** What the chain says of a payment now; a payment to an address that is no longer configured is looked up all the same. */
  look(row: PaymentRow): Promise<Evidence> {
    const rail = this.#options.rails.get(row.network);
    if (!rail) {
      return Promise.resolve({
        state: 'unknown',
        reason: 'network_not_configured',
        transaction: row.transaction_id,
      });
    }
    return rail.lookup({
      payment: storedPayment(row),
      transaction: row.transaction_id,
      rawTransaction: row.raw_transaction,
      submittedAtMs: row.submitted_at ?? row.created_at,
    });
  }

  async #reconcile(row: PaymentRow): Promise<void> {
    const { ledger, config, log, clock } = this.#options;
    const evidence = await this.look(row);
    const rail = this.#options.rails.get(row.network);
    if (row.state === 'settled') return this.#recheck(row, evidence);
    switch (evidence.state) {
      case 'settled': {
        const isUnconfirmed = evidence.block === null && rail?.canLookUp !== true;
        const credited = await creditPayment(row.id, evidence, { ledger, config, isUnconfirmed });
        log.info('payment_credited_late', { payment: row.id, state: credited.state });
        return;
      }
      case 'failed':
        await failPayment(ledger, row.id, evidence.reason);
        log.info('payment_failed', { payment: row.id, reason: evidence.reason });
        return;
      case 'unknown':
        // Nothing can tell any more, and the facilitator's word was all there was: left for the operator to look at.
        if (rail && !rail.canLookUp && isOver(row, clock.nowMs())) {
          await ledger.write((tx) =>
            update(tx, row.id, {
              next_check_at: nextCheck(tx.nowMs, row.attempts),
              attempts: row.attempts + 1,
            }),
          );
          log.error('payment_needs_operator', { payment: row.id, reason: evidence.reason });
          return;
        }
        await keepAsking(ledger, row.id, evidence);
    }
  }

  /** A credited payment until it is final. */
  async #recheck(row: PaymentRow, evidence: Evidence): Promise<void> {
    const { ledger, log } = this.#options;
    if (evidence.state === 'settled') {
      await seenAgain(ledger, row.id, evidence);
      return;
    }
    if (evidence.state === 'unknown') {
      if (evidence.reason === 'not_found') {
        log.warn('credited_payment_not_on_chain', { payment: row.id, network: row.network });
      }
      await keepAsking(ledger, row.id, evidence);
      return;
    }
    const { taken, lost } = await reversePayment(ledger, row.id);
    log.error('payment_reversed', {
      payment: row.id,
      network: row.network,
      account: row.account_id,
      taken: formatUsd(taken),
      lost: formatUsd(lost),
    });
  }
}

const OVER_MARGIN_MS = 600_000;

function isOver(row: PaymentRow, nowMs: number): boolean {
  return row.valid_before !== null && row.valid_before * 1_000 + OVER_MARGIN_MS < nowMs;
}
