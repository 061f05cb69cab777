/**
 * The play chain: real signatures, play money, no network. Payments are decoded exactly as on the test network whose id it bears;
 * then a small book moves play USDC, refuses overdrafts and replays, and remembers across restarts what it did.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import bs58 from 'bs58';
import type { Clock } from '../clock.ts';
import type { Family, NetworkConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Log } from '../log.ts';
import type {
  Evidence,
  PaymentRequirements,
  PayoutOrder,
  Rail,
  RailStatus,
  SettleHooks,
  SignedPayment,
  Submission,
  TransferQuery,
} from './chain.ts';
import { KNOWN_NETWORKS } from './networks.ts';
import type { RailOptions } from './rail-options.ts';
import { type BookedPayment, SandboxBook } from './sandbox-book.ts';
import { evmRules, type SandboxRules, solanaRules } from './sandbox-rules.ts';

export interface SandboxRail extends Rail {
  /** Play USDC of a wallet, base units; 1,000 USDC for one that never paid. */
  balanceOf(wallet: string): bigint;
}

/** Opens the book in dataDir. Throws AppError('not_configured') outside of sandbox mode, or when the book cannot be read. */
export async function createSandboxRail(
  config: NetworkConfig,
  options: Pick<RailOptions, 'clock' | 'log' | 'dataDir' | 'mode' | 'memory'>,
): Promise<SandboxRail> {
  if (options.mode !== 'sandbox' || !KNOWN_NETWORKS.get(config.network)?.isTest) {
    throw new AppError('not_configured', 'play money needs SANDBOX=1 and a test network');
  }
  const path = join(options.dataDir, `play-${config.network.replace(':', '-')}.json`);
  const opening = options.memory?.books.get(path) ?? SandboxBook.open(path);
  options.memory?.books.set(path, opening);
  const book = await opening.catch((error: unknown) => {
    options.memory?.books.delete(path);
    throw new AppError('not_configured', `the play chain's book ${path} cannot be read`, {
      cause: error,
    });
  });
  const rules = config.family === 'eip155' ? evmRules(config) : solanaRules(config, book.seed);
  return new PlayRail(config, rules, book, options);
}

class PlayRail implements SandboxRail {
  readonly network: string;
  readonly family: Family;
  readonly v1Name: string | null;
  readonly asset: string;
  readonly payTo: string;
  readonly canLookUp = true;
  readonly #config: NetworkConfig;
  readonly #rules: SandboxRules;
  readonly #book: SandboxBook;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(
    config: NetworkConfig,
    rules: SandboxRules,
    book: SandboxBook,
    { clock, log }: Pick<RailOptions, 'clock' | 'log'>,
  ) {
    this.network = config.network;
    this.family = config.family;
    this.v1Name = config.v1Name;
    this.asset = config.asset;
    this.payTo = config.family === 'eip155' ? config.payTo.toLowerCase() : config.payTo;
    this.#config = config;
    this.#rules = rules;
    this.#book = book;
    this.#clock = clock;
    this.#log = log;
  }

  async refresh(): Promise<RailStatus> {
    return this.status();
  }

  status(): RailStatus {
    return { canSettle: true, problem: null };
  }

  requirements(amount: bigint): PaymentRequirements {
    return {
      scheme: 'exact',
      network: this.network,
      amount: String(amount),
      asset: this.asset,
      payTo: this.payTo,
      ...this.#rules.terms(this.#clock.nowMs()),
    };
  }

  async decode(payload: unknown, nowMs: number): Promise<SignedPayment> {
    return this.#rules.decode(payload, nowMs);
  }

  async settle(payment: SignedPayment, hooks: SettleHooks): Promise<Evidence> {
    try {
      const known = this.#book.payment(keyOf(payment));
      if (known !== null) return settled(payment, known);
      const problem = this.#rules.expiry(payment, this.#clock.nowMs());
      if (problem !== null) return problem;
      if (this.#book.balanceOf(payment.payer) < payment.amount) return poor(payment);
      const transaction = this.#transactionOf(payment);
      // A chain of one process has nothing to sign: what would be broadcast again is the payload itself.
      await hooks.beforeBroadcast(transaction, JSON.stringify(payment.payload));
      return await this.#move(payment, transaction);
    } catch (error) {
      this.#log.error('sandbox.settle_failed', { network: this.network, error });
      return { state: 'unknown', reason: 'sandbox_storage', transaction: null };
    }
  }

  async lookup({ payment, transaction, submittedAtMs }: Submission): Promise<Evidence> {
    const known = this.#book.payment(keyOf(payment));
    if (known !== null) return settled(payment, known);
    const problem = this.#rules.expiry(payment, this.#clock.nowMs());
    if (problem !== null) {
      if (!this.#book.hasForgotten(submittedAtMs)) return problem;
      return { state: 'unknown', reason: 'forgotten', transaction };
    }
    if (transaction === null) return { state: 'unknown', reason: 'not_sent', transaction };
    try {
      return await this.#move(payment, transaction);
    } catch (error) {
      this.#log.error('sandbox.lookup_failed', { network: this.network, error });
      return { state: 'unknown', reason: 'sandbox_storage', transaction };
    }
  }

  balanceOf(wallet: string): bigint {
    return this.#book.balanceOf(this.family === 'eip155' ? wallet.toLowerCase() : wallet);
  }

  /** What customers paid lies at payTo, and is paid back from there. */
  get treasury(): string {
    return this.payTo;
  }

  async funds(): Promise<bigint> {
    return this.balanceOf(this.payTo);
  }

  /** Nobody has a key to play money: the order itself moves it. */
  async signPayout({ to, amount, reference, attempt }: PayoutOrder): Promise<SignedPayment> {
    const { network, family, asset, payTo } = this;
    const identity = createHash('sha256').update(`payout ${reference} ${attempt}`).digest('hex');
    const order = { network, family, asset, payer: payTo, payTo: to, amount };
    return { ...order, ...this.#rules.order(order, identity, this.#clock.nowMs()) };
  }

  /** The play chain tells nobody's transfers but its own. */
  async findTransfer(_query: TransferQuery): Promise<Evidence> {
    return failed('play_money', 'play money is sent by the server itself');
  }

  async close(): Promise<void> {
    await this.#book.close();
  }

  async #move(payment: SignedPayment, transaction: string): Promise<Evidence> {
    const { payer, payTo, amount } = payment;
    const atMs = this.#clock.nowMs();
    const key = keyOf(payment);
    const moved = await this.#book.move({
      key,
      payer,
      payTo,
      amount,
      transaction,
      atMs,
    });
    if (moved === 'insufficient_funds') return poor(payment);
    if (moved === 'full') {
      return failed('sandbox_full', 'the play chain is full: start with a fresh data directory');
    }
    return settled(payment, moved);
  }

  #transactionOf(payment: SignedPayment): string {
    const text = `${this.#config.network} ${keyOf(payment)}`;
    if (this.family === 'eip155') return `0x${createHash('sha256').update(text).digest('hex')}`;
    return bs58.encode(createHash('sha512').update(text).digest());
  }
}

function keyOf({ payer, identity }: SignedPayment): string {
  return `${payer} ${identity}`;
}

/** On EVM one nonce can be signed for two amounts; the chain takes the first. */
function settled(payment: SignedPayment, booked: BookedPayment): Evidence {
  const amount = BigInt(booked.amount);
  if (amount !== payment.amount) {
    return failed('nonce_already_used', 'the payer used this nonce for another payment');
  }
  const { transaction, block } = booked;
  return { state: 'settled', transaction, amount, block: String(block), isFinal: true };
}

function poor({ payer }: SignedPayment): Evidence {
  return failed('insufficient_funds', `${payer} has less play USDC than the payment moves`);
}

function failed(reason: string, message: string): Evidence {
  return { state: 'failed', reason, message };
}
