/**
 * Payments: asks for money, takes signed payments of any dialect, settles each once and credits its payer once. A payment is
 * stored under what was signed before it is handed on; after that its outcome is settled, failed by evidence, or not known yet —
 * and then the same payment may be sent again at any time, and ends in the same one credit.
 */
import type { Accounts } from '../accounts.ts';
import type { Wallet } from '../auth/principal.ts';
import type { PaymentRequirements, Rail, SignedPayment } from '../chains/chain.ts';
import type { PaymentsConfig } from '../config/config.ts';
import type { PaymentRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { Balance } from '../ledger/ledger.ts';
import { formatUsd, fromUsdcUnits, type NanoUsd, toUsdcUnits } from '../money.ts';
import { begunBefore, takenBefore } from './begun.ts';
import type { PaymentHeader } from './header.ts';
import { within } from './in-flight.ts';
import { RailWatch } from './rail-watch.ts';
import { Reread } from './reread.ts';
import { Reconciler } from './reconciler.ts';
import { type Came, familyOf, findPayment, paymentById, takeIn } from './rows.ts';
import { type Outcome, Settler, type SettlerOptions } from './settler.ts';
import { notSettled, type PaymentStatus, statusOf } from './status.ts';

export type { PaymentStatus } from './status.ts';

export interface PaymentsOptions extends SettlerOptions {
  accounts: Accounts;
}

/** What goes on by itself, whatever settings new payments come under. */
interface Engine {
  settler: Settler;
  reconciler: Reconciler;
  watch: RailWatch;
  reread: Reread;
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
  /** As they were when this was made: a request pays on the network that it was told of. */
  readonly #rails: readonly Rail[];
  readonly #engine: Engine;

  constructor(options: PaymentsOptions, engine: Engine = engineOf(options)) {
    this.#options = options;
    this.#rails = options.rails.list();
    this.#engine = engine;
  }

  /** For requests from now on: the rails in use and these amounts. What is under way goes on, here and there. */
  under(config: PaymentsConfig): Payments {
    return new Payments({ ...this.#options, config }, this.#engine);
  }

  /** Rails that came into use: payments that wait for their chain are taken up. */
  async takeUp(added: readonly Rail[]): Promise<void> {
    await this.#engine.reconciler.takeUp(added);
  }

  /** Asks rails how they stand. */
  look(rails: readonly Rail[]): Promise<void> {
    return this.#engine.watch.look(rails);
  }

  /** Takes up what an earlier process left open, asks every rail how it stands, and goes on doing both. */
  async start(): Promise<void> {
    const { reconciler, watch, reread } = this.#engine;
    await reconciler.start();
    await watch.start();
    await reread.start();
  }

  /** Waits a little for settlements under way. Nothing is lost when they take longer. */
  async stop(): Promise<void> {
    const { settler, reconciler, watch, reread } = this.#engine;
    watch.stop();
    await Promise.all([
      within(reread.stop(), STOP_WITHIN_MS),
      reconciler.stop(STOP_WITHIN_MS),
      settler.inFlight.idle(STOP_WITHIN_MS),
    ]);
    await this.#options.rails.close();
  }

  /** One sweep of the reconciler; answers how many payments it looked at. */
  reconcile(): Promise<number> {
    return this.#engine.reconciler.sweep();
  }

  /** Whether any network is set up to pay on, in order or not. */
  get isOffered(): boolean {
    return this.#rails.length > 0;
  }

  /** What can be paid now for `amount`, Base first, then other EVM networks. */
  requirements(amount: NanoUsd): PaymentRequirements[] {
    const units = toUsdcUnits(amount);
    return this.#rails
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
    const begun = await begunBefore(this.#options, this.#rails, header);
    if (begun) return { family: familyOf(begun), address: begun.payer, chain: '' };
    const rail = this.#rail(header.network);
    const { family } = rail;
    try {
      return { family, address: (await this.decode(header)).payer, chain: '' };
    } catch (error) {
      return { family, address: (await takenBefore(this.#options, rail, error)).payer, chain: '' };
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
    const rail = this.#rails.find((one) => one.network === network);
    if (rail) return rail;
    const supported = this.#rails.map((one) => one.network);
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
    const { settler } = this.#engine;
    const isJoined = settler.inFlight.get(row.id) !== null;
    const running = settler.advance(row, 'caller');
    const outcome = running && (await within(running, ANSWER_WITHIN_MS));
    return this.#answer(outcome ?? { row, message: null }, isJoined);
  }

  async #takeIn(header: PaymentHeader, options: DepositOptions): Promise<PaymentRow> {
    const { ledger, config, clock } = this.#options;
    const begun = await begunBefore(this.#options, this.#rails, header);
    if (begun) return begun;
    const rail = this.#rail(header.network);
    let payment: SignedPayment;
    try {
      payment = await rail.decode(header.payload, clock.nowMs());
    } catch (error) {
      return takenBefore(this.#options, rail, error);
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

function engineOf(options: PaymentsOptions): Engine {
  const settler = new Settler(options);
  return {
    settler,
    reconciler: new Reconciler({ ...options, settler }),
    watch: new RailWatch(options),
    reread: new Reread(options),
  };
}

/** A contract wallet may have the address of somebody else's key pair. */
function isPayer({ family, address, chain }: Wallet, row: PaymentRow): boolean {
  return chain === '' && address === row.payer && family === familyOf(row);
}

function rank({ network, family }: Rail): number {
  if (FIRST_NETWORKS.includes(network)) return 0;
  return family === 'eip155' ? 1 : 2;
}
