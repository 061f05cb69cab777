/**
 * Brings a payment towards its end: asks what became of it, hands it on where that is safe, books what is certain. Callers with
 * a payment in their hand and the reconciler take the same way; whoever comes second joins the first.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Evidence, Rail } from '../chains/chain.ts';
import type { Rails } from '../chains/rails.ts';
import type { Clock } from '../clock.ts';
import type { PaymentsConfig } from '../config/config.ts';
import type { PaymentRow } from '../db/tables.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import { formatUsd, fromUsdcUnits } from '../money.ts';
import { InFlight, within } from './in-flight.ts';
import {
  beginSubmission,
  creditPayment,
  failPayment,
  isLate,
  keepAsking,
  storeBroadcast,
  type Unknown,
} from './outcome.ts';
import type { SecretBox } from '../secrets.ts';
import { traced } from '../traces/trace.ts';
import { paymentById, rawTransactionOf, storedPayment, validUntil } from './rows.ts';

export interface SettlerOptions {
  ledger: Ledger;
  rails: Rails;
  config: PaymentsConfig;
  clock: Clock;
  log: Log;
  /** For what was signed. */
  box: SecretBox;
  /** How long an answer waits for an outcome that is not known yet; 5 s by default. */
  inlineWaitMs?: number;
}

export interface Outcome {
  row: PaymentRow;
  /** What a rail said of a failure, for people. */
  message: string | null;
}

const INLINE_WAIT_MS = 5_000;
const INLINE_POLLS = 5;
/** How long a transaction that a facilitator named may take to appear on the chain. */
const TO_BE_MINED_MS = 30_000;

export class Settler {
  readonly #options: SettlerOptions;
  readonly inFlight = new InFlight<Outcome>();

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  /** Null when too much is under way. What it answers is on disk. */
  advance(row: PaymentRow, asker: 'caller' | 'reconciler'): Promise<Outcome> | null {
    const { inFlight } = this;
    return inFlight.get(row.id) ?? inFlight.run(row.id, row.payer, () => this.#inSpan(row, asker));
  }

  #inSpan({ id, network }: PaymentRow, asker: 'caller' | 'reconciler'): Promise<Outcome> {
    const spec = () => ({
      name: 'settle payment',
      attributes: { 'farebox.payment': id, 'farebox.network': network, 'farebox.asker': asker },
    });
    return traced(spec, async (span) => {
      const outcome = await this.#advance(id, asker);
      span?.set({ 'farebox.payment_state': outcome.row.state });
      return outcome;
    });
  }

  async #advance(id: string, asker: 'caller' | 'reconciler'): Promise<Outcome> {
    const row = await this.#read(id);
    const rail = this.#options.rails.toEnd(row.network, row.pay_to);
    const isNews = row.state === 'failed' || (row.state === 'received' && asker === 'caller');
    if (isNews) return rail ? this.#handOn(row, rail, asker) : { row, message: null };
    if (row.state === 'reversed') await this.#sayIfBack(row);
    if (row.state !== 'submitted' && row.state !== 'received') return { row, message: null };
    return this.#booked(row, async () => {
      const evidence = await this.look(row);
      if (evidence.state !== 'unknown') return this.#conclude(row, evidence);
      const canLookUp = this.#options.rails.toLook(row.network)?.canLookUp;
      // Never handed on, too late for it, and nobody to ask: it moved nothing through us.
      if (row.state === 'received' && !canLookUp) return this.#conclude(row, DROPPED);
      if (rail && this.#mayHandOnAgain(row, evidence)) return this.#handOn(row, rail, asker);
      return this.#await(row, evidence, asker);
    });
  }

  /**
   * Handing on again is safe, since one signature cannot move money twice, but of use only where nothing is on its way: no
   * transaction is known, or a facilitator named one that the chain does not get to see. Where only the facilitator can say what
   * became of the payment, handing on again is how it is asked.
   */
  #mayHandOnAgain(row: PaymentRow, { reason }: Unknown): boolean {
    if (row.state !== 'submitted' || row.reason === 'exposure') return false;
    const nowMs = this.#options.clock.nowMs();
    const since = row.submitted_at ?? row.created_at;
    if (nowMs >= validUntil(row.valid_before, since)) return false;
    const canLookUp = this.#options.rails.toLook(row.network)?.canLookUp;
    if (row.transaction_id === null || !canLookUp) return true;
    const isOurs = row.raw_transaction !== null;
    return !isOurs && reason === 'not_found' && nowMs >= since + TO_BE_MINED_MS;
  }

  async #handOn(seen: PaymentRow, rail: Rail, asker: 'caller' | 'reconciler'): Promise<Outcome> {
    const { ledger, box } = this.#options;
    const { row, mayHandOn, hasEarlierAttempt } = await beginSubmission(ledger, seen.id);
    if (!mayHandOn) return { row, message: null };
    return this.#booked(row, async () => {
      const evidence = await rail.settle(storedPayment(row, box), {
        hasEarlierAttempt,
        beforeBroadcast: (transaction, raw) =>
          storeBroadcast(ledger, box, row.id, transaction, raw),
      });
      if (evidence.state !== 'unknown') return this.#conclude(row, evidence);
      return this.#await(row, evidence, asker);
    });
  }

  /** Looks a few more times while a caller waits. */
  async #await(row: PaymentRow, first: Unknown, asker: 'caller' | 'reconciler'): Promise<Outcome> {
    const { rails, inlineWaitMs = INLINE_WAIT_MS } = this.#options;
    const pollMs = inlineWaitMs / INLINE_POLLS;
    const deadline = performance.now() + inlineWaitMs;
    let evidence: Evidence = first;
    if (asker === 'caller' && rails.toLook(row.network)?.canLookUp) {
      while (evidence.state === 'unknown' && performance.now() + pollMs < deadline) {
        await sleep(pollMs);
        const look = this.look(await this.#read(row.id));
        evidence = (await within(look, deadline - performance.now())) ?? evidence;
      }
    }
    return this.#conclude(row, evidence);
  }

  /** What the chain says now. A network that nothing is known of any more is unknown. */
  look(row: PaymentRow): Promise<Evidence> {
    const rail = this.#options.rails.toLook(row.network);
    const transaction = row.transaction_id;
    if (!rail) {
      return Promise.resolve({ state: 'unknown', reason: 'network_not_configured', transaction });
    }
    return rail.lookup({
      payment: storedPayment(row, this.#options.box),
      transaction,
      rawTransaction: rawTransactionOf(row, this.#options.box),
      submittedAtMs: row.submitted_at ?? row.created_at,
    });
  }

  async #conclude(seen: PaymentRow, evidence: Evidence): Promise<Outcome> {
    const { ledger, config, clock, log } = this.#options;
    const { id, network, payer } = seen;
    switch (evidence.state) {
      case 'settled': {
        const row = await creditPayment(id, evidence, { ledger, config });
        const { state, reason, units, transaction_id: transaction } = row;
        const usd = formatUsd(fromUsdcUnits(BigInt(units)));
        const what = { payment: id, network, payer, usd, transaction };
        if (state === 'settled') log.info('payment_settled', what);
        else log.error('payment_waits', { ...what, state, reason });
        return { row, message: null };
      }
      case 'failed': {
        const row = await failPayment(ledger, id, evidence.reason);
        log.info('payment_failed', { payment: id, network, payer, reason: evidence.reason });
        return { row, message: evidence.message };
      }
      case 'unknown': {
        const row = await keepAsking(ledger, id, evidence);
        const { reason, transaction_id: transaction } = row;
        const what = { payment: id, network, payer, reason, transaction };
        if (isLate(row, clock.nowMs())) log.error('payment_needs_operator', what);
        else log.warn('payment_unknown', what);
        return { row, message: null };
      }
    }
  }

  /** A transfer that was taken back and is on the chain again is for the operator to credit. */
  async #sayIfBack(row: PaymentRow): Promise<void> {
    const evidence = await this.look(row);
    if (evidence.state !== 'settled') return;
    const { id, network } = row;
    const what = { payment: id, network, transaction: evidence.transaction };
    this.#options.log.error('reversed_payment_is_back', what);
  }

  /** Trouble of our own leaves a payment that may have moved money open: it is asked about again. */
  async #booked(row: PaymentRow, work: () => Promise<Outcome>): Promise<Outcome> {
    try {
      return await work();
    } catch (error) {
      const { ledger, log } = this.#options;
      log.error('payment_not_booked', { payment: row.id, network: row.network, error });
      const evidence: Unknown = { state: 'unknown', reason: 'not_booked', transaction: null };
      const kept = await keepAsking(ledger, row.id, evidence).catch(() => row);
      return { row: kept, message: null };
    }
  }

  async #read(id: string): Promise<PaymentRow> {
    const row = await paymentById(this.#options.ledger.read, id);
    if (!row) throw new Error(`payment ${id} is gone`);
    return row;
  }
}

const DROPPED: Evidence = {
  state: 'failed',
  reason: 'expired',
  message: 'the payment was not made in time; sign a new one',
};
