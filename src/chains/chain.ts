/**
 * What a chain family gives the payments: a rail per configured network, which knows how to ask for money, read a signed
 * payment, move it, and find out later what became of it. Wire facts: x402 v1 and v2, EIP-3009, SPL Token.
 */
import type { Family } from '../config/config.ts';

/** One entry of `accepts`, in the v2 shape. `amount` is in base units of the asset (USDC: 10^-6). */
export interface PaymentRequirements {
  scheme: 'exact';
  network: string;
  amount: string;
  asset: string;
  payTo: string;
  maxTimeoutSeconds: number;
  extra: Record<string, unknown>;
}

/** A payment as its payer signed it: every field comes from the signed bytes or from configuration, never from the wrapper. */
export interface SignedPayment {
  network: string;
  family: Family;
  /** Lower-case hex on EVM, base58 on Solana. */
  asset: string;
  payer: string;
  payTo: string;
  /** Base units, more than zero. */
  amount: bigint;
  /** What makes the payment unique on its network: the EIP-3009 nonce (0x, lower-case), or SHA-256 of the message bytes (hex). */
  identity: string;
  /** Unix seconds after which it can no longer move money; null where the chain counts blocks (Solana). */
  validBeforeSeconds: number | null;
  /** The inner `payload`, normalised (hex lower-cased, base64 canonical), enough to settle again after a restart. */
  payload: EvmPayload | SolanaPayload;
}

export interface EvmPayload {
  signature: string;
  authorization: {
    from: string;
    to: string;
    value: string;
    validAfter: string;
    validBefore: string;
    nonce: string;
  };
}

export interface SolanaPayload {
  /** Canonical base64 of the versioned transaction, the fee payer's signature slot zeroed. */
  transaction: string;
}

/** What is known about a payment on chain. */
export type Evidence =
  /** The transfer happened: `amount` base units reached payTo, in `transaction`. */
  | {
      state: 'settled';
      transaction: string;
      amount: bigint;
      block: string | null;
      isFinal: boolean;
    }
  /** It did not and never will: refused before broadcast, cancelled, or expired unused. */
  | { state: 'failed'; reason: string; message: string }
  /** Not known yet. The same payment may be asked about, or submitted again, at any time. */
  | { state: 'unknown'; reason: string; transaction: string | null };

/** A payment to us that the chain shows, whoever handed it on. */
export interface FoundPayment {
  payment: SignedPayment;
  evidence: Extract<Evidence, { state: 'settled' }>;
}

/** A payment that was handed to the chain or to a facilitator earlier. */
export interface Submission {
  payment: SignedPayment;
  transaction: string | null;
  /** Signed raw transaction that we broadcast (embedded), to broadcast again; null otherwise. */
  rawTransaction: string | null;
  /** Unix ms of the first attempt. */
  submittedAtMs: number;
}

export interface SettleHooks {
  /**
   * Called with what is about to be broadcast, before it is; resolves when it is stored durably. Embedded settlement calls it
   * exactly once per attempt; a remote facilitator cannot.
   */
  beforeBroadcast(transaction: string, rawTransaction: string): Promise<void>;
  /**
   * True when this payment was handed on before, perhaps by an earlier process: what would be a plain refusal may then describe our
   * own success, so that only the chain can call it failed. False by default; a rail also remembers what it did itself.
   */
  hasEarlierAttempt?: boolean;
}

/** A transfer of ours to a wallet. */
export interface PayoutOrder {
  /** Lower-case on EVM. */
  to: string;
  /** Base units, more than zero. */
  amount: bigint;
  /** What is paid, the same in every attempt; then the attempt. Plain ASCII of at most 50 characters, without blanks. */
  reference: string;
  attempt: number;
}

/** A transfer that somebody is said to have made. */
export interface TransferQuery {
  transaction: string;
  to: string;
  amount: bigint;
  /** Unix ms; an older one is not it. */
  notBeforeMs: number;
}

export interface RailStatus {
  /** Whether payments on it can be settled now; a rail that cannot is not advertised. */
  canSettle: boolean;
  /** One line for doctor and logs when it cannot. */
  problem: string | null;
  /** One line where gas runs low; absent where it does not. */
  gasLow?: string;
}

export interface Rail {
  readonly network: string;
  readonly family: Family;
  readonly v1Name: string | null;
  readonly asset: string;
  readonly payTo: string;
  /** Whether `lookup` has a source of its own (an RPC) and need not take a facilitator's word. */
  readonly canLookUp: boolean;

  /** Asks the facilitator, chain and gas account how things stand; called at start and now and then. Never throws. */
  refresh(): Promise<RailStatus>;
  /** The last answer of refresh. */
  status(): RailStatus;
  /** The v2 requirement for `amount` base units. */
  requirements(amount: bigint): PaymentRequirements;
  /**
   * Reads and checks the inner `payload` of any dialect against configuration: family, recipient, asset, ranges, signature.
   * Free of network calls. Throws AppError('invalid_payment') with details.reason.
   */
  decode(payload: unknown, nowMs: number): Promise<SignedPayment>;
  /**
   * Moves the money. Answers 'failed' only when nothing was or will be broadcast, or the chain proves that it failed for good;
   * any doubt after a broadcast is 'unknown'. Never throws; bounded in time (about 100 s).
   */
  settle(payment: SignedPayment, hooks: SettleHooks): Promise<Evidence>;
  /** Reads the chain for what became of a submission. Never throws: trouble reading is 'unknown'. */
  lookup(submission: Submission): Promise<Evidence>;
  /** Where our own transfers come from; null where no treasury key is set up. */
  readonly treasury: string | null;
  /**
   * Signs a transfer of ours; nothing is sent. What it answers goes to settle and lookup like a payment. AppError not_configured
   * without a treasury, state_conflict where the chain shows a transfer of that reference already (a restored backup); other errors
   * where it cannot be read.
   */
  signPayout(order: PayoutOrder): Promise<SignedPayment>;
  /** What the chain says of a transfer by whomever; 'failed' when it is another one. Never throws. */
  findTransfer(query: TransferQuery): Promise<Evidence>;
  /** What lies at payTo and the treasury, base units; null without an RPC of our own. Throws where the chain cannot be read. */
  funds(): Promise<bigint | null>;
  /**
   * Every payment to payTo in blocks since then (Unix ms), for a ledger that was restored from a backup; absent where there is no
   * chain to ask. Throws where it cannot be read to its end.
   */
  paymentsSince?(sinceMs: number): AsyncIterable<FoundPayment>;
  close(): Promise<void>;
}
