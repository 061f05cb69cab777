/**
 * Brings a payout towards its end: sends what is approved, looks for what was sent, books what the chain shows. One at a time, whoever
 * asks for it; every step begins from the row, so that a new process goes on where the last one stopped.
 */
import type { Evidence, Rail, SignedPayment } from '../chains/chain.ts';
import type { Rails } from '../chains/rails.ts';
import type { PayoutRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import { formatUsd, nanoUsd } from '../money.ts';
import { InFlight } from '../payments/in-flight.ts';
import {
  failPayout,
  reversePayout,
  seenAgain,
  sendAgain,
  settlePayout,
  storedPayment,
  storeSent,
  waitOn,
} from './outcome.ts';
import { requirePayout } from './rows.ts';

export interface SenderOptions {
  ledger: Ledger;
  rails: Rails;
  log: Log;
}

/** How often a transfer that can no longer land is signed afresh before the payout fails. */
const MAX_ATTEMPTS = 5;
/** Looks after which a transfer that the chain does not show is handed on once more. */
const LOOKS_BEFORE_RESUBMIT = 3;
/** What was signed is not on the chain, and could still get there. */
const NOT_THERE = new Set(['not_found', 'not_submitted', 'reverted', 'not_sent']);
/** Refusals before anything is sent that the operator can cure. */
const CURABLE = new Set(['insufficient_funds', 'blockhash_expired', 'expired', 'not_yet_valid']);
/** By hand: how far the clock of a chain may be behind ours. */
const CLOCK_SLACK_MS = 60_000;

export class PayoutSender {
  readonly #options: SenderOptions;
  readonly inFlight = new InFlight<PayoutRow>();

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Null when too much is under way. Payouts of a network go one after another: they spend from one treasury. */
  advance({ id, network }: PayoutRow): Promise<PayoutRow> | null {
    const { inFlight } = this;
    return inFlight.get(id) ?? inFlight.run(id, network, () => this.#advance(id));
  }

  async #advance(id: string): Promise<PayoutRow> {
    const { ledger, log } = this.#options;
    const row = await requirePayout(ledger.read, id);
    try {
      return await this.#step(row);
    } catch (error) {
      log.error('payout_not_booked', { payout: id, network: row.network, error });
      // Looked at later, so that one which always fails does not stand before the others.
      return await waitOn(ledger, id, 'not_booked').catch(() => row);
    }
  }

  #step(row: PayoutRow): Promise<PayoutRow> {
    switch (row.state) {
      case 'approved':
        return row.method === 'embedded' ? this.#send(row) : Promise.resolve(row);
      case 'sent':
        return this.#look(row);
      case 'settled':
        return this.#recheck(row);
      case 'requested':
      case 'failed':
      case 'cancelled':
      case 'reversed':
        return Promise.resolve(row);
    }
  }

  async #send(row: PayoutRow): Promise<PayoutRow> {
    const { ledger, rails, log } = this.#options;
    const rail = rails.get(row.network);
    if (!rail || rail.treasury === null) return waitOn(ledger, row.id, 'no_treasury');
    let payment: SignedPayment;
    try {
      payment = await rail.signPayout({
        to: row.recipient,
        amount: BigInt(row.units),
        reference: row.id,
        attempt: row.attempt,
      });
    } catch (error) {
      const isPaid = error instanceof AppError && error.code === 'state_conflict';
      const what = { payout: row.id, network: row.network, error };
      if (isPaid) log.error('payout_needs_operator', what);
      else log.warn('payout_not_signed', what);
      return waitOn(ledger, row.id, isPaid ? 'found_on_chain' : 'rpc_unavailable');
    }
    return this.#conclude(row.id, await this.#handOn(row, rail, payment, false));
  }

  #handOn(
    { id, attempt }: PayoutRow,
    rail: Rail,
    payment: SignedPayment,
    hasEarlierAttempt: boolean,
  ): Promise<Evidence> {
    const { ledger } = this.#options;
    return rail.settle(payment, {
      hasEarlierAttempt,
      beforeBroadcast: (transaction, raw) =>
        storeSent(ledger, id, { attempt, payment, transaction, raw }),
    });
  }

  async #look(row: PayoutRow): Promise<PayoutRow> {
    const evidence = await this.look(row);
    const rail = this.#options.rails.toPayOut(row.network);
    const isLost = evidence.state === 'unknown' && NOT_THERE.has(evidence.reason);
    if (!isLost || !rail || row.payment === null || row.looks < LOOKS_BEFORE_RESUBMIT) {
      return this.#conclude(row.id, evidence);
    }
    // The same signed order: on the chain it counts once.
    return this.#conclude(row.id, await this.#handOn(row, rail, storedPayment(row.payment), true));
  }

  /** What the chain says now. */
  look(row: PayoutRow): Promise<Evidence> {
    const rail = this.#options.rails.toLook(row.network);
    const transaction = row.transaction_id;
    if (!rail || transaction === null) {
      return Promise.resolve({ state: 'unknown', reason: 'network_not_configured', transaction });
    }
    if (row.payment === null) {
      const notBeforeMs = row.created_at - CLOCK_SLACK_MS;
      const [to, amount] = [row.recipient, BigInt(row.units)];
      return rail.findTransfer({ transaction, to, amount, notBeforeMs });
    }
    return rail.lookup({
      payment: storedPayment(row.payment),
      transaction,
      rawTransaction: row.raw_transaction,
      submittedAtMs: row.sent_at ?? row.created_at,
    });
  }

  async #conclude(id: string, evidence: Evidence): Promise<PayoutRow> {
    const { ledger, log } = this.#options;
    const row = await requirePayout(ledger.read, id);
    const { network, recipient, transaction_id: transaction } = row;
    const what = { payout: id, network, recipient, usd: formatUsd(nanoUsd(row.amount)) };
    switch (evidence.state) {
      case 'settled': {
        if (evidence.amount !== BigInt(row.units)) {
          log.error('payout_needs_operator', { ...what, transaction, moved: evidence.amount });
          return waitOn(ledger, id, 'other_amount');
        }
        const settled = await settlePayout(ledger, id, evidence);
        const now = { ...what, transaction: evidence.transaction, state: settled.state };
        if (settled.state === 'settled') log.info('payout_settled', now);
        else log.error('payout_needs_operator', now);
        return settled;
      }
      case 'failed':
        log.warn('payout_transfer_failed', { ...what, transaction, reason: evidence.reason });
        return this.#afterFailure(row, evidence.reason);
      case 'unknown':
        log.warn('payout_unknown', { ...what, transaction, reason: evidence.reason });
        return waitOn(ledger, id, evidence.reason);
    }
  }

  /** The chain proves that what was signed moved nothing and never will, or nothing was sent at all. */
  #afterFailure(row: PayoutRow, reason: string): Promise<PayoutRow> {
    const { ledger } = this.#options;
    if (row.state === 'approved' && CURABLE.has(reason)) return waitOn(ledger, row.id, reason);
    if (row.state === 'sent') {
      if (row.method === 'manual') return sendAgain(ledger, row, reason);
      if (CURABLE.has(reason) && row.attempt < MAX_ATTEMPTS) return sendAgain(ledger, row, reason);
    }
    return failPayout(ledger, row, reason);
  }

  /** A settled one until it is final. */
  async #recheck(row: PayoutRow): Promise<PayoutRow> {
    const { ledger, log } = this.#options;
    const evidence = await this.look(row);
    if (evidence.state === 'settled') return seenAgain(ledger, row.id, evidence);
    const { reason } = evidence;
    const what = { payout: row.id, network: row.network, transaction: row.transaction_id };
    if (evidence.state === 'failed') {
      log.error('payout_reversed', { ...what, reason, usd: formatUsd(nanoUsd(row.amount)) });
      return reversePayout(ledger, row.id, reason);
    }
    // Looking it up has broadcast it again, where that is still of use.
    if (reason !== 'rpc_unavailable') log.error('settled_payout_not_on_chain', { ...what, reason });
    return waitOn(ledger, row.id, reason);
  }
}
