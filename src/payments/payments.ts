/**
 * Payments: asks for money, takes signed payments of any dialect, settles each once and credits its payer once. A payment is
 * stored under what was signed before it is handed on; after that its outcome is settled, failed by evidence, or not known yet —
 * and then the same payment may be sent again at any time, and ends in the same one credit.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Accounts } from '../accounts.ts';
import type { Wallet } from '../auth/principal.ts';
import type { Evidence, PaymentRequirements, Rail, SignedPayment } from '../chains/chain.ts';
import type { Clock } from '../clock.ts';
import type { PaymentsConfig } from '../config/config.ts';
import type { PaymentRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { Balance, Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import { formatUsd, fromUsdcUnits, type NanoUsd, toUsdcUnits } from '../money.ts';
import type { PaymentHeader } from './header.ts';
import { creditPayment, failPayment, keepAsking, update } from './outcome.ts';
import { Reconciler } from './reconciler.ts';
import { claimIdentifier, findPayment, insertOrGet, paymentById, storedPayment } from './rows.ts';

export interface PaymentsOptions {
  ledger: Ledger;
  accounts: Accounts;
  rails: Rail[];
  config: PaymentsConfig;
  clock: Clock;
  log: Log;
}

export interface Deposited {
  paymentId: string;
  payer: string;
  wallet: Wallet;
  accountId: string;
  network: string;
  credited: NanoUsd;
  balance: Balance;
  transaction: string;
  /** True when this payment had been credited before. */
  wasReplayed: boolean;
  /** The claim that it first came with. */
  claim: string | null;
  /** x402's SettleResponse, for the PAYMENT-RESPONSE header. */
  settleResponse: Record<string, unknown>;
}

export interface DepositOptions {
  /** The least that is taken; the minimum top-up by default. */
  minimum?: NanoUsd;
  /**
   * What the payment came for. Kept from its first appearance, before anything is broadcast: later its signature stands on the
   * chain, and whoever reads it there can send it again, but not for something else.
   */
  claim?: string;
}

export interface PaymentStatus {
  id: string;
  status: 'pending' | 'settled' | 'failed' | 'expired' | 'reversed';
  network: string;
  payer: string;
  amountUsd: string;
  transaction: string | null;
  reason: string | null;
  createdAt: string;
  settledAt: string | null;
}

const MAX_IN_FLIGHT = 1_000;
const REFRESH_MS = 300_000;
/** How long an answer waits for an outcome that is not known yet. */
const INLINE_WAIT_MS = 5_000;
const INLINE_POLL_MS = 1_000;
const RETRY_AFTER_SECONDS = 5;

export class Payments {
  readonly #options: PaymentsOptions;
  readonly #rails: Map<string, Rail>;
  readonly #reconciler: Reconciler;
  /** Settlements under way by payment: the same payment joins them. */
  readonly #inFlight = new Map<string, Promise<PaymentRow>>();
  /** One settlement at a time for a payer: what it has left is then known. */
  readonly #byPayer = new Map<string, Promise<unknown>>();
  #refreshTimer: NodeJS.Timeout | null = null;

  constructor(options: PaymentsOptions) {
    this.#options = options;
    this.#rails = new Map(options.rails.map((rail) => [rail.network, rail]));
    this.#reconciler = new Reconciler({ ...options, rails: this.#rails });
  }

  /** Asks every rail how it stands, takes up what an earlier process left open, and goes on doing both. */
  async start(): Promise<void> {
    await this.#refresh();
    this.#reconciler.start();
    this.#refreshTimer = setInterval(() => {
      this.#refresh().catch((error: unknown) => {
        this.#options.log.error('rail_refresh_failed', { error });
      });
    }, REFRESH_MS);
    this.#refreshTimer.unref();
  }

  async stop(): Promise<void> {
    if (this.#refreshTimer) clearInterval(this.#refreshTimer);
    await this.#reconciler.stop();
    await Promise.allSettled(this.#inFlight.values());
    await Promise.all(this.#options.rails.map((rail) => rail.close()));
  }

  async #refresh(): Promise<void> {
    await Promise.all(
      this.#options.rails.map(async (rail) => {
        const { canSettle, problem } = await rail.refresh();
        if (!canSettle) {
          this.#options.log.warn('rail_not_offered', { network: rail.network, problem });
        }
      }),
    );
  }

  /** One sweep of the reconciler; answers how many payments it looked at. */
  reconcile(): Promise<number> {
    return this.#reconciler.sweep();
  }

  /** Whether any network is set up to pay on, in order or not. */
  get isOffered(): boolean {
    return this.#rails.size > 0;
  }

  /** What can be paid now, EVM first: clients that do not choose take the first. */
  requirements(amount: NanoUsd): PaymentRequirements[] {
    const units = toUsdcUnits(amount);
    return this.#options.rails
      .filter((rail) => rail.status().canSettle)
      .toSorted((a, b) => Number(b.family === 'eip155') - Number(a.family === 'eip155'))
      .map((rail) => rail.requirements(units));
  }

  /** Reads a payment without moving money. Throws AppError('invalid_payment'). */
  async decode(header: PaymentHeader): Promise<SignedPayment> {
    return this.#rail(header.network).decode(header.payload, this.#options.clock.nowMs());
  }

  #rail(network: string): Rail {
    const rail = this.#rails.get(network);
    if (rail) return rail;
    const supported = [...this.#rails.keys()];
    throw new AppError(
      'invalid_payment',
      `network: payments are taken on ${supported.join(', ') || 'no network'}.`,
      { details: { reason: 'network', supported } },
    );
  }

  /**
   * Settles a payment and credits its payer; a payment that was credited before is answered as it was then. Errors:
   * invalid_payment, payment_verification_failed (nothing was moved), payment_pending (send the same payment again later),
   * payment_conflict.
   */
  async deposit(header: PaymentHeader, options: DepositOptions = {}): Promise<Deposited> {
    const rail = this.#rail(header.network);
    let payment: SignedPayment;
    try {
      payment = await rail.decode(header.payload, this.#options.clock.nowMs());
    } catch (error) {
      return this.#settledEarlier(rail, error);
    }
    const known = await findPayment(this.#options.ledger.read, payment);
    if (!known) this.#checkRange(payment, options.minimum ?? this.#options.config.minimumTopUp);
    const row = await this.#options.ledger.write(async (tx) => {
      const came = {
        dialect: `${header.dialect} ${header.header}`,
        claim: options.claim ?? null,
      };
      const found = await insertOrGet(tx.db, payment, came, tx.nowMs);
      if (header.identifier !== null) {
        await claimIdentifier(tx.db, payment, header.identifier, found, tx.nowMs);
      }
      return found;
    });
    if (row.state === 'settled') return this.#answer(row, true);
    return this.#answer(await this.#join(row, rail), false);
  }

  /** A payment that was credited while it was valid is answered for ever, also after it expired or payTo changed. */
  async #settledEarlier(rail: Rail, error: unknown): Promise<Deposited> {
    const details = error instanceof AppError ? error.details : undefined;
    const { payer, identity } = details ?? {};
    if (typeof payer === 'string' && typeof identity === 'string') {
      const by = { network: rail.network, asset: rail.asset, payer, identity };
      const row = await findPayment(this.#options.ledger.read, by);
      if (row?.state === 'settled') return this.#answer(row, true);
      if (row?.state === 'submitted') return this.#answer(await this.#join(row, rail), false);
    }
    throw error;
  }

  #checkRange(payment: SignedPayment, minimum: NanoUsd): void {
    const { maximumTopUp } = this.#options.config;
    const units = payment.amount;
    if (units >= toUsdcUnits(minimum) && units * 1_000n <= BigInt(maximumTopUp)) return;
    throw new AppError(
      'invalid_payment',
      `amount: pay between $${formatUsd(minimum)} and $${formatUsd(maximumTopUp)}.`,
      { details: { reason: 'amount' } },
    );
  }

  /** Settles, or waits for the settlement of the same payment that is under way. */
  async #join(row: PaymentRow, rail: Rail): Promise<PaymentRow> {
    const running = this.#inFlight.get(row.id);
    if (running) return running;
    if (this.#inFlight.size >= MAX_IN_FLIGHT) {
      throw new AppError('unavailable', 'Too many payments are under way.', {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    const before = this.#byPayer.get(row.payer) ?? Promise.resolve();
    const settling = before.then(() => this.#settle(row.id, rail));
    const over = settling.catch(() => {});
    this.#inFlight.set(row.id, settling);
    this.#byPayer.set(row.payer, over);
    void over.then(() => {
      this.#inFlight.delete(row.id);
      if (this.#byPayer.get(row.payer) === over) this.#byPayer.delete(row.payer);
    });
    return settling;
  }

  async #settle(id: string, rail: Rail): Promise<PaymentRow> {
    const { ledger, clock } = this.#options;
    const row = await this.#required(id);
    if (row.state === 'settled' || row.state === 'reversed') return row;
    const payment = storedPayment(row);
    const hasEarlierAttempt = row.submitted_at !== null;
    if (row.state === 'submitted') {
      const evidence = await this.#reconciler.look(row);
      if (evidence.state !== 'unknown') return this.#conclude(row, rail, evidence);
      // Handed on before without a trace of it: the same payment cannot move money twice, so it is handed on again.
      if (row.transaction_id !== null) return this.#await(row, rail, evidence);
    }
    await ledger.write((tx) =>
      update(tx, id, {
        state: 'submitted',
        submitted_at: row.submitted_at ?? clock.nowMs(),
        reason: null,
        next_check_at: tx.nowMs + SETTLE_TIMEOUT_MS,
      }),
    );
    const evidence = await rail.settle(payment, {
      hasEarlierAttempt,
      beforeBroadcast: async (transaction, rawTransaction) => {
        await ledger.write((tx) =>
          update(tx, id, { transaction_id: transaction, raw_transaction: rawTransaction }),
        );
      },
    });
    if (evidence.state === 'unknown') return this.#await(row, rail, evidence);
    return this.#conclude(row, rail, evidence);
  }

  /** Looks a few times while the caller waits. */
  async #await(
    row: PaymentRow,
    rail: Rail,
    first: Extract<Evidence, { state: 'unknown' }>,
  ): Promise<PaymentRow> {
    const deadline = performance.now() + INLINE_WAIT_MS;
    let evidence: Evidence = first;
    while (evidence.state === 'unknown' && rail.canLookUp && performance.now() < deadline) {
      await sleep(INLINE_POLL_MS);
      evidence = await this.#reconciler.look(await this.#required(row.id));
    }
    return this.#conclude(row, rail, evidence);
  }

  async #conclude(row: PaymentRow, rail: Rail, evidence: Evidence): Promise<PaymentRow> {
    const { ledger, config, log } = this.#options;
    switch (evidence.state) {
      case 'settled': {
        const isUnconfirmed = evidence.block === null && !rail.canLookUp;
        return creditPayment(row.id, evidence, { ledger, config, isUnconfirmed });
      }
      case 'failed': {
        const failed = await failPayment(ledger, row.id, evidence.reason);
        log.info('payment_failed', {
          payment: row.id,
          network: row.network,
          reason: evidence.reason,
        });
        if (failed.state === 'settled') return failed;
        throw new AppError(
          'payment_verification_failed',
          `The payment failed: ${evidence.message}.`,
          {
            details: { reason: evidence.reason, paymentId: row.id },
          },
        );
      }
      case 'unknown':
        return keepAsking(ledger, row.id, evidence);
    }
  }

  async #answer(row: PaymentRow, wasReplayed: boolean): Promise<Deposited> {
    if (row.state !== 'settled' || row.account_id === null) throw pending(row);
    const balance = await this.#options.accounts.balance(row.account_id);
    const { family, payer } = storedPayment(row);
    return {
      paymentId: row.id,
      payer,
      wallet: { family, address: payer, chain: '' },
      accountId: row.account_id,
      network: row.network,
      credited: fromUsdcUnits(BigInt(row.units)),
      balance,
      transaction: row.transaction_id ?? '',
      wasReplayed,
      claim: row.claim,
      settleResponse: {
        success: true,
        payer,
        transaction: row.transaction_id ?? '',
        network: row.network,
        amount: row.units,
      },
    };
  }

  /** What is known of a payment; with a wallet, only of its own. Throws not_found. */
  async status(id: string, wallet?: Wallet): Promise<PaymentStatus> {
    const row = await paymentById(this.#options.ledger.read, id);
    if (!row || (wallet && wallet.address !== row.payer)) {
      throw new AppError('not_found', 'There is no such payment.');
    }
    const isOpen = row.state === 'received' || row.state === 'submitted';
    return {
      id: row.id,
      status: isOpen
        ? 'pending'
        : (row.state as Exclude<PaymentRow['state'], 'received' | 'submitted'>),
      network: row.network,
      payer: row.payer,
      amountUsd: formatUsd(fromUsdcUnits(BigInt(row.units))),
      transaction: row.transaction_id,
      reason: row.reason,
      createdAt: new Date(row.created_at).toISOString(),
      settledAt: row.settled_at === null ? null : new Date(row.settled_at).toISOString(),
    };
  }

  async #required(id: string): Promise<PaymentRow> {
    const row = await paymentById(this.#options.ledger.read, id);
    if (!row) throw new AppError('internal', `payment ${id} is gone`);
    return row;
  }
}

/** Longer than a rail's own bound on settling: until then the reconciler leaves the payment to the request. */
const SETTLE_TIMEOUT_MS = 120_000;

function pending(row: PaymentRow): AppError {
  if (row.state === 'reversed') {
    return new AppError('payment_verification_failed', 'The chain took this payment back.', {
      details: { reason: 'reversed', paymentId: row.id },
    });
  }
  return new AppError(
    'payment_pending',
    'The outcome of this payment is not known yet. Send the same payment again, or ask for its status; do not sign a new one.',
    {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
      details: { paymentId: row.id, transaction: row.transaction_id, reason: row.reason },
    },
  );
}
