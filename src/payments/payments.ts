/**
 * Payments: asks for money, takes signed payments of any dialect, settles each once and credits its payer once. A payment is
 * stored under what was signed before it is handed on; after that its outcome is settled, failed by evidence, or not known yet —
 * and then the same payment may be sent again at any time, and ends in the same one credit.
 */
import type { Accounts } from '../accounts.ts';
import type { Wallet } from '../auth/principal.ts';
import type { PaymentRequirements, Rail, SignedPayment } from '../chains/chain.ts';
import type { PaymentRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { Balance } from '../ledger/ledger.ts';
import { formatUsd, fromUsdcUnits, type NanoUsd, toUsdcUnits } from '../money.ts';
import type { PaymentHeader } from './header.ts';
import { within } from './in-flight.ts';
import { RailWatch } from './rail-watch.ts';
import { Reread } from './reread.ts';
import { Reconciler } from './reconciler.ts';
import { type Came, familyOf, findPayment, paymentById, takeIn } from './rows.ts';
import { type Outcome, Settler, type SettlerOptions } from './settler.ts';
import { notSettled, type PaymentStatus, statusOf } from './status.ts';

export type { PaymentStatus } from './status.ts';

export interface PaymentsOptions extends Omit<SettlerOptions, 'rails'> {
  accounts: Accounts;
  rails: Rail[];
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
  /** False for the one call that had it settled, true for every other of the same payment, at the same time or later. */
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

/** Longer than a rail's bound on settling. A payment that waits behind others of its payer goes on by itself after that. */
const ANSWER_WITHIN_MS = 110_000;
/** A stop waits that long for settlements; what is open then is taken up by the next start. */
const STOP_WITHIN_MS = 8_000;
/** Base before other networks: clients that do not choose take the first entry. */
const FIRST_NETWORKS = ['eip155:8453', 'eip155:84532'];

export class Payments {
  readonly #options: PaymentsOptions;
  readonly #rails: Map<string, Rail>;
  readonly #settler: Settler;
  readonly #reconciler: Reconciler;
  readonly #watch: RailWatch;
  readonly #reread: Reread;

  constructor(options: PaymentsOptions) {
    this.#options = options;
    this.#rails = new Map(options.rails.map((rail) => [rail.network, rail]));
    const rails = this.#rails;
    this.#settler = new Settler({ ...options, rails });
    this.#reconciler = new Reconciler({ ...options, rails, settler: this.#settler });
    this.#watch = new RailWatch(options);
    this.#reread = new Reread(options);
  }

  /** Takes up what an earlier process left open, asks every rail how it stands, and goes on doing both. */
  async start(): Promise<void> {
    await this.#reconciler.start();
    await this.#watch.start();
    await this.#reread.start();
  }

  /** Waits a little for settlements under way. Nothing is lost when they take longer. */
  async stop(): Promise<void> {
    this.#watch.stop();
    await Promise.all([
      within(this.#reread.stop(), STOP_WITHIN_MS),
      this.#reconciler.stop(STOP_WITHIN_MS),
      this.#settler.inFlight.idle(STOP_WITHIN_MS),
    ]);
    await Promise.all(this.#options.rails.map((rail) => rail.close()));
  }

  /** One sweep of the reconciler; answers how many payments it looked at. */
  reconcile(): Promise<number> {
    return this.#reconciler.sweep();
  }

  /** Whether any network is set up to pay on, in order or not. */
  get isOffered(): boolean {
    return this.#rails.size > 0;
  }

  /** What can be paid now for `amount`, Base first, then other EVM networks. */
  requirements(amount: NanoUsd): PaymentRequirements[] {
    const units = toUsdcUnits(amount);
    return this.#options.rails
      .filter((rail) => rail.status().canSettle)
      .toSorted((a, b) => rank(a) - rank(b))
      .map((rail) => rail.requirements(units));
  }

  /** Reads a payment without moving money. Throws AppError('invalid_payment'). */
  async decode(header: PaymentHeader): Promise<SignedPayment> {
    return this.#rail(header.network).decode(header.payload, this.#options.clock.nowMs());
  }

  /** Who signed a payment that is good, or was when it was taken in. Moves no money. Throws AppError('invalid_payment'). */
  async payer(header: PaymentHeader): Promise<Wallet> {
    const rail = this.#rail(header.network);
    const { family } = rail;
    try {
      return { family, address: (await this.decode(header)).payer, chain: '' };
    } catch (error) {
      return { family, address: (await this.#takenBefore(rail, error)).payer, chain: '' };
    }
  }

  /** Who signed how much, where that payment has moved nothing yet; null for one that has, or that cannot be read. */
  async offered(header: PaymentHeader): Promise<{ wallet: Wallet; amount: NanoUsd } | null> {
    try {
      const payment = await this.decode(header);
      const known = await findPayment(this.#options.ledger.read, payment);
      if (known && known.state !== 'failed') return null;
      const { family, payer: address, amount } = payment;
      return { wallet: { family, address, chain: '' }, amount: fromUsdcUnits(amount) };
    } catch {
      return null;
    }
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
   * Settles a payment and credits its payer; a payment that was credited before is answered as it was then, with the balance of
   * now. Errors: invalid_payment, payment_verification_failed (no money was moved), payment_pending (send the same payment again
   * later), payment_conflict, unavailable (nothing was done).
   */
  async deposit(header: PaymentHeader, options: DepositOptions = {}): Promise<Deposited> {
    const row = await this.#takeIn(header, options);
    if (row.state === 'settled') return this.#answer({ row, message: null }, true);
    const isJoined = this.#settler.inFlight.get(row.id) !== null;
    const running = this.#settler.advance(row, 'caller');
    const outcome = running && (await within(running, ANSWER_WITHIN_MS));
    return this.#answer(outcome ?? { row, message: null }, isJoined);
  }

  async #takeIn(header: PaymentHeader, options: DepositOptions): Promise<PaymentRow> {
    const { ledger, config, clock } = this.#options;
    const rail = this.#rail(header.network);
    let payment: SignedPayment;
    try {
      payment = await rail.decode(header.payload, clock.nowMs());
    } catch (error) {
      return this.#takenBefore(rail, error);
    }
    const known = await findPayment(ledger.read, payment);
    const hasMoved = known && !['received', 'failed'].includes(known.state);
    if (!hasMoved) this.#checkRange(payment, options.minimum ?? config.minimumTopUp);
    const came: Came = {
      dialect: `${header.dialect} ${header.header}`,
      claim: options.claim ?? null,
      identifier: header.identifier,
    };
    return ledger.write((tx) => takeIn(tx.db, this.#options.box, payment, came, tx.nowMs));
  }

  /**
   * What was taken in while it was good is carried to its end and answered with it for ever, also after it expired, or payTo or
   * the fee payer changed.
   */
  async #takenBefore(rail: Rail, error: unknown): Promise<PaymentRow> {
    const details = error instanceof AppError ? error.details : undefined;
    const { payer, identity } = details ?? {};
    if (typeof payer === 'string' && typeof identity === 'string') {
      const by = { network: rail.network, asset: rail.asset, payer, identity };
      const row = await findPayment(this.#options.ledger.read, by);
      if (row && row.state !== 'failed' && row.state !== 'expired') return row;
    }
    throw error;
  }

  #checkRange({ amount }: SignedPayment, minimum: NanoUsd): void {
    const { maximumTopUp } = this.#options.config;
    if (amount >= toUsdcUnits(minimum) && amount * 1_000n <= BigInt(maximumTopUp)) return;
    const [minimumUsd, maximumUsd] = [formatUsd(minimum), formatUsd(maximumTopUp)];
    throw new AppError(
      'invalid_payment',
      `amount: pay between $${minimumUsd} and $${maximumUsd} in USDC.`,
      { details: { reason: 'amount', minimumUsd, maximumUsd } },
    );
  }

  async #answer({ row, message }: Outcome, wasReplayed: boolean): Promise<Deposited> {
    if (row.state !== 'settled' || row.account_id === null) throw notSettled(row, message);
    const balance = await this.#options.accounts.balance(row.account_id);
    const { network, payer } = row;
    const family = familyOf(row);
    const transaction = row.transaction_id ?? '';
    return {
      paymentId: row.id,
      payer,
      wallet: { family, address: payer, chain: '' },
      accountId: row.account_id,
      network,
      credited: fromUsdcUnits(BigInt(row.units)),
      balance,
      transaction,
      wasReplayed,
      claim: row.claim,
      settleResponse: { success: true, payer, transaction, network, amount: row.units },
    };
  }

  /** What is known of a payment; with a wallet, only of its own. Throws not_found, the same for foreign and unknown ones. */
  async status(id: string, wallet?: Wallet): Promise<PaymentStatus> {
    const row = await paymentById(this.#options.ledger.read, id);
    if (!row || (wallet && !isPayer(wallet, row))) {
      throw new AppError('not_found', 'There is no such payment.');
    }
    return statusOf(row);
  }
}

/** A contract wallet may have the address of somebody else's key pair. */
function isPayer({ family, address, chain }: Wallet, row: PaymentRow): boolean {
  return chain === '' && address === row.payer && family === familyOf(row);
}

function rank({ network, family }: Rail): number {
  if (FIRST_NETWORKS.includes(network)) return 0;
  return family === 'eip155' ? 1 : 2;
}
