/**
 * Settlement by ourselves: simulate, co-sign as fee payer, store the signature, send, wait for `confirmed`, read what arrived.
 * Ed25519 is deterministic, so every attempt at one payment has the same signature and the same bytes: sending again is harmless.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Keypair } from '@solana/web3.js';
import bs58 from 'bs58';
import type { NetworkConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type {
  Evidence,
  PayoutOrder,
  Rail,
  RailStatus,
  SettleHooks,
  SignedPayment,
  Submission,
} from './chain.ts';
import { DEFAULT_CONFIRM_MS, POLL_MS, SolanaBase } from './solana-base.ts';
import { failed, partsOf, SolanaChain, type SolanaParts, unknown } from './solana-chain.ts';
import type { RailOptions } from './rail-options.ts';
import { SolanaRpc } from './solana-rpc.ts';
import { requireUnpaid, signSolanaPayout } from './solana-treasury.ts';

/** Rent-exempt minimum of the gas account (890,880 lamports), and a few payments on top of it. */
const LEAST_LAMPORTS = 1_000_000;
const LOW_LAMPORTS = 50_000_000;
const RESEND_MS = 2_000;
const MAX_ATTEMPTED = 10_000;

interface Signed {
  parts: SolanaParts;
  signature: string;
  raw: string;
}

export class EmbeddedSolanaRail extends SolanaBase implements Rail {
  readonly canLookUp = true;
  readonly #gas: Keypair;
  readonly #treasury: Keypair | null;
  readonly #chain: SolanaChain;
  readonly #confirmMs: number;
  /** Identities that were sent by this process: what a simulation says of them may be the echo of our own success. */
  readonly #attempted = new Set<string>();

  constructor(
    config: NetworkConfig,
    rpcUrl: string,
    { gasKey, treasuryKey }: { gasKey: string; treasuryKey?: string },
    options: RailOptions,
  ) {
    super(config, options);
    this.#gas = readKeypair('gas', gasKey);
    this.#treasury = treasuryKey === undefined ? null : readKeypair('treasury', treasuryKey);
    this.#chain = new SolanaChain(
      config,
      new SolanaRpc(rpcUrl, options.fetch ?? fetch),
      options.clock,
    );
    this.#confirmMs = options.settleTimeoutMs ?? DEFAULT_CONFIRM_MS;
  }

  async settle(payment: SignedPayment, hooks: SettleHooks): Promise<Evidence> {
    let signature: string | null = null;
    try {
      const signed = this.#sign(payment);
      if (signed === null) return unknown('other_fee_payer', null);
      const before = await this.#chain.evidence(signed.parts, signed.signature);
      if (before.state !== 'unknown') return before;
      const hasEarlierAttempt =
        hooks.hasEarlierAttempt === true || this.#attempted.has(payment.identity);
      if (before.reason === 'not_found' && !hasEarlierAttempt) {
        const refusal = await this.#chain.simulate(payment, signed.raw);
        // Another attempt at the same payment may have been sent meanwhile: then this is about its echo.
        if (refusal !== null && !this.#attempted.has(payment.identity)) return refusal;
      }
      await hooks.beforeBroadcast(signed.signature, signed.raw);
      signature = signed.signature;
      this.#remember(payment.identity);
      return await this.#broadcast(signed);
    } catch (error) {
      this.log.warn('solana.settle_unclear', { network: this.network, error });
      return unknown('rpc_unavailable', signature);
    }
  }

  async lookup(submission: Submission): Promise<Evidence> {
    try {
      return await this.#lookup(submission);
    } catch (error) {
      this.log.warn('solana.lookup_failed', { network: this.network, error });
      return unknown('rpc_unavailable', submission.transaction);
    }
  }

  override get treasury(): string | null {
    return this.#treasury?.publicKey.toBase58() ?? null;
  }

  override async signPayout(order: PayoutOrder): Promise<SignedPayment> {
    if (!this.#treasury) return super.signPayout(order);
    await requireUnpaid(this.#chain, this.config, order);
    const blockhash = await this.#chain.rpc.latestBlockhash();
    const feePayer = this.#gas.publicKey.toBase58();
    return signSolanaPayout(this.config, this.#treasury, { order, feePayer, blockhash });
  }

  protected override ownChain(): SolanaChain {
    return this.#chain;
  }

  protected override feePayers(): readonly string[] {
    return [this.#gas.publicKey.toBase58()];
  }

  protected override async check(): Promise<RailStatus> {
    const gas = this.#gas.publicKey.toBase58();
    const { problem, lamports } = await this.#chain.check(gas);
    if (problem !== null) return { canSettle: false, problem };
    if ((lamports ?? 0) < LEAST_LAMPORTS) {
      const has = `has ${lamports ?? 0} lamports and needs ${LEAST_LAMPORTS}`;
      return { canSettle: false, problem: `the gas account ${gas} ${has}: send it some SOL` };
    }
    if ((lamports ?? 0) < LOW_LAMPORTS) {
      this.log.warn('solana.gas_low', { network: this.network, account: gas, lamports });
      const gasLow = `the gas account ${gas} has ${lamports} lamports left`;
      return { canSettle: true, problem: null, gasLow };
    }
    return { canSettle: true, problem: null };
  }

  async #lookup(submission: Submission): Promise<Evidence> {
    const { payment, rawTransaction } = submission;
    const parts = partsOf(payment);
    const stored = rawTransaction === null ? null : submission.transaction;
    const signature = stored ?? this.#sign(payment)?.signature ?? null;
    // Another fee payer: a facilitator's, from before we settled ourselves, which may have signed and sent it without a word.
    if (signature === null) return this.#chain.lookFor(submission, parts);
    const found = await this.#chain.evidence(parts, signature);
    if (found.state !== 'unknown' || found.reason !== 'not_found') return found;
    const find = (minSlot: number) => this.#chain.knows(signature, minSlot);
    const expiry = await this.#chain.expiry(submission, parts, find);
    if (expiry === 'expired') {
      return failed(
        'expired',
        'the transaction did not reach the chain before its blockhash expired',
      );
    }
    if (expiry === 'valid' && rawTransaction !== null) await this.#send(rawTransaction);
    return unknown(rawTransaction === null ? 'not_sent' : 'not_found', submission.transaction);
  }

  /** Null when the payment names another fee payer than the gas key in use. */
  #sign(payment: SignedPayment): Signed | null {
    const parts = partsOf(payment);
    if (parts.feePayer !== this.#gas.publicKey.toBase58()) return null;
    const { transaction } = parts;
    transaction.sign([this.#gas]);
    const raw = Buffer.from(transaction.serialize()).toString('base64');
    return { parts, signature: bs58.encode(transaction.signatures[0]!), raw };
  }

  async #broadcast({ parts, signature, raw }: Signed): Promise<Evidence> {
    const deadline = performance.now() + this.#confirmMs;
    let resendAt = 0;
    for (;;) {
      const now = performance.now();
      const isStale = now >= resendAt && !(await this.#resend(parts, raw));
      if (now >= resendAt) resendAt = now + RESEND_MS;
      const last = await this.#chain
        .evidence(parts, signature)
        .catch(() => unknown('rpc_unavailable', signature));
      if (last.state !== 'unknown' || isStale || performance.now() + POLL_MS > deadline)
        return last;
      await sleep(POLL_MS);
    }
  }

  /** False once the blockhash is too old: there is no use in sending or waiting any more. */
  async #resend(parts: SolanaParts, raw: string): Promise<boolean> {
    const validity = await this.#chain.rpc
      .isBlockhashValid(parts.blockhash, 'processed')
      .catch(() => ({ value: true }));
    if (validity.value) await this.#send(raw);
    return validity.value;
  }

  /** An error here says nothing about the outcome: the node may have passed the transaction on. */
  async #send(raw: string): Promise<void> {
    await this.#chain.rpc.send(raw).catch((error: unknown) => {
      this.log.warn('solana.send_failed', { network: this.network, error });
    });
  }

  #remember(identity: string): void {
    if (this.#attempted.size >= MAX_ATTEMPTED) this.#attempted.clear();
    this.#attempted.add(identity);
  }
}

/** Base58 of 64 bytes as wallets export it, or the JSON array of solana-keygen's file. Throws AppError('not_configured'). */
function readKeypair(name: string, text: string): Keypair {
  try {
    const trimmed = text.trim();
    const bytes = trimmed.startsWith('[')
      ? Uint8Array.from(JSON.parse(trimmed) as number[])
      : bs58.decode(trimmed);
    return Keypair.fromSecretKey(bytes);
  } catch {
    throw new AppError(
      'not_configured',
      `the Solana ${name} key must be 64 bytes in base58, or the JSON array of a solana-keygen file`,
    );
  }
}
