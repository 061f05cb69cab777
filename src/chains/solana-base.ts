/** What both Solana rails have in common: names, requirements, decoding, and the status that refresh found. */
import { randomBytes } from 'node:crypto';
import type { NetworkConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Log } from '../log.ts';
import type {
  Evidence,
  FoundPayment,
  PaymentRequirements,
  PayoutOrder,
  RailStatus,
  SignedPayment,
  TransferQuery,
} from './chain.ts';
import { type SolanaChain, unknown } from './solana-chain.ts';
import { solanaPaymentsSince } from './solana-history.ts';
import { findSolanaTransfer } from './solana-treasury.ts';
import { decodeSolanaPayment } from './solana-payload.ts';
import type { RailOptions } from './rail-options.ts';

/** A blockhash outlives this only by luck; stock clients build and send at once. */
const MAX_TIMEOUT_SECONDS = 60;
const MEMO_BYTES = 16;

/** How long settle waits for `confirmed`, which takes about a second when all is well. */
export const DEFAULT_CONFIRM_MS = 45_000;
export const POLL_MS = 250;

export abstract class SolanaBase {
  readonly network: string;
  readonly family = 'solana';
  readonly v1Name: string | null;
  readonly asset: string;
  readonly payTo: string;
  protected readonly config: NetworkConfig;
  protected readonly log: Log;
  protected lastStatus: RailStatus = { canSettle: false, problem: 'not checked yet' };

  constructor(config: NetworkConfig, options: RailOptions) {
    this.config = config;
    this.log = options.log;
    this.network = config.network;
    this.v1Name = config.v1Name;
    this.asset = config.asset;
    this.payTo = config.payTo;
  }

  /** Addresses that may pay the fee; the last is the one to ask for. */
  protected abstract feePayers(): readonly string[];
  protected abstract check(): Promise<RailStatus>;
  /** Null where no RPC is configured. */
  protected abstract ownChain(): SolanaChain | null;

  async refresh(): Promise<RailStatus> {
    try {
      this.lastStatus = await this.check();
    } catch (error) {
      this.log.warn('solana.refresh_failed', { network: this.network, error });
      this.lastStatus = { canSettle: false, problem: 'the Solana RPC does not answer' };
    }
    return this.lastStatus;
  }

  status(): RailStatus {
    return this.lastStatus;
  }

  /** The memo tells payments of one amount and blockhash apart, and finds them again on chain. */
  requirements(amount: bigint): PaymentRequirements {
    const feePayer = this.feePayers().at(-1);
    return {
      ...exactRequirements(this.config, amount),
      extra: {
        ...(feePayer === undefined ? {} : { feePayer }),
        memo: randomBytes(MEMO_BYTES).toString('hex'),
      },
    };
  }

  async decode(payload: unknown, _nowMs: number): Promise<SignedPayment> {
    return decodeSolanaPayment(this.config, this.feePayers(), payload);
  }

  get treasury(): string | null {
    return null;
  }

  async funds(): Promise<bigint | null> {
    const places = new Set([this.payTo, this.treasury ?? this.payTo]);
    return (await this.ownChain()?.tokenBalance([...places])) ?? null;
  }

  async signPayout(_order: PayoutOrder): Promise<SignedPayment> {
    throw new AppError('not_configured', `${this.network} has no treasury_key to pay from.`);
  }

  async findTransfer(query: TransferQuery): Promise<Evidence> {
    const { transaction } = query;
    const chain = this.ownChain();
    if (chain === null) return unknown('no_rpc', transaction);
    try {
      return await findSolanaTransfer(chain, this.config, query);
    } catch (error) {
      this.log.warn('solana.lookup_failed', { network: this.network, error });
      return unknown('rpc_unavailable', transaction);
    }
  }

  paymentsSince(sinceMs: number): AsyncIterable<FoundPayment> {
    const chain = this.ownChain();
    if (chain) return solanaPaymentsSince(chain, this.config, sinceMs);
    throw new Error('no rpc_url to read the chain with');
  }

  async close(): Promise<void> {}
}

export function exactRequirements(config: NetworkConfig, amount: bigint): PaymentRequirements {
  return {
    scheme: 'exact',
    network: config.network,
    amount: String(amount),
    asset: config.asset,
    payTo: config.payTo,
    maxTimeoutSeconds: MAX_TIMEOUT_SECONDS,
    extra: {},
  };
}
