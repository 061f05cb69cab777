/**
 * Settlement by a remote facilitator, which co-signs with a fee payer of its own. With an RPC its word is checked against the chain;
 * without one it is all there is, and payments decides how much it is worth.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PublicKey } from '@solana/web3.js';
import type { Clock } from '../clock.ts';
import type { NetworkConfig } from '../config/config.ts';
import type {
  Evidence,
  Rail,
  RailStatus,
  SettleHooks,
  SignedPayment,
  SolanaPayload,
  Submission,
} from './chain.ts';
import type { Facilitator } from './facilitator.ts';
import type { FacilitatorOutcome } from './facilitator-answer.ts';
import { DEFAULT_CONFIRM_MS, exactRequirements, POLL_MS, SolanaBase } from './solana-base.ts';
import { failed, partsOf, SolanaChain, type SolanaParts, unknown } from './solana-chain.ts';
import type { RailOptions } from './rail-options.ts';
import { SolanaRpc } from './solana-rpc.ts';

/** Facilitators rotate fee payers; one that was handed out stays good for payments that are under way. */
const MAX_FEE_PAYERS = 64;

export class RemoteSolanaRail extends SolanaBase implements Rail {
  readonly canLookUp: boolean;
  readonly #facilitator: Facilitator;
  readonly #chain: SolanaChain | null;
  readonly #confirmMs: number;
  readonly #clock: Clock;
  readonly #feePayers: string[] = [];

  constructor(config: NetworkConfig, facilitator: Facilitator, options: RailOptions) {
    super(config, options);
    this.#facilitator = facilitator;
    this.#clock = options.clock;
    const rpc =
      config.rpcUrl === null ? null : new SolanaRpc(config.rpcUrl, options.fetch ?? fetch);
    this.#chain = rpc === null ? null : new SolanaChain(config, rpc, options.clock);
    this.canLookUp = this.#chain !== null;
    this.#confirmMs = options.settleTimeoutMs ?? DEFAULT_CONFIRM_MS;
  }

  async settle(payment: SignedPayment, hooks: SettleHooks): Promise<Evidence> {
    let outcome: FacilitatorOutcome | null = null;
    const hasEarlierAttempt =
      hooks.hasEarlierAttempt === true || this.#facilitator.hasAttempted(payment);
    try {
      const parts = partsOf(payment);
      const known = await this.#preflight(payment, parts, hasEarlierAttempt);
      if (known !== null) return known;
      outcome = await this.#hand(payment, parts, hasEarlierAttempt);
      return await this.#judge(payment, parts, outcome);
    } catch (error) {
      this.log.warn('solana.settle_unclear', { network: this.network, error });
      return unknown('rpc_unavailable', outcome === null ? null : signatureOf(outcome));
    }
  }

  async lookup(submission: Submission): Promise<Evidence> {
    try {
      const parts = partsOf(submission.payment);
      if (this.#chain === null) return unknown('no_rpc', submission.transaction);
      return await this.#chain.lookFor(submission, parts);
    } catch (error) {
      this.log.warn('solana.lookup_failed', { network: this.network, error });
      return unknown('rpc_unavailable', submission.transaction);
    }
  }

  protected override feePayers(): readonly string[] {
    return this.#feePayers;
  }

  protected override ownChain(): SolanaChain | null {
    return this.#chain;
  }

  protected override async check(): Promise<RailStatus> {
    const kind = await this.#facilitator
      .supported({ isFresh: true })
      .then(() => this.#facilitator.kindFor(this.network))
      .catch(() => undefined);
    if (kind === undefined) {
      return { canSettle: false, problem: 'the facilitator does not answer /supported' };
    }
    if (kind === null) {
      return { canSettle: false, problem: `the facilitator does not settle ${this.network}` };
    }
    const feePayer = kind.extra['feePayer'];
    if (typeof feePayer !== 'string' || !isAddress(feePayer)) {
      return { canSettle: false, problem: 'the facilitator names no fee payer in /supported' };
    }
    this.#learn(feePayer);
    // An RPC of ours that is down stops checking, not settling.
    const check = await this.#chain?.check(null).catch(() => null);
    if (check?.problem) return { canSettle: false, problem: check.problem };
    return { canSettle: true, problem: null };
  }

  /** The memo is left out: what the payer signed is settled, whichever memo it carries. */
  #hand(
    payment: SignedPayment,
    { feePayer }: SolanaParts,
    hasEarlierAttempt: boolean,
  ): Promise<FacilitatorOutcome> {
    const requirements = { ...exactRequirements(this.config, payment.amount), extra: { feePayer } };
    const verifyFirst = this.#chain === null;
    return this.#facilitator.settle(payment, requirements, { hasEarlierAttempt, verifyFirst });
  }

  /**
   * What our own chain says before anything is handed on; null to go ahead. Throws when it cannot be read: then nothing is handed on,
   * since there would be no telling what became of it.
   */
  async #preflight(
    payment: SignedPayment,
    parts: SolanaParts,
    hasEarlierAttempt: boolean,
  ): Promise<Evidence | null> {
    if (this.#chain === null) return null;
    if (hasEarlierAttempt) return this.#find(this.#chain, payment, parts);
    return this.#chain.simulate(payment, (payment.payload as SolanaPayload).transaction);
  }

  async #judge(
    payment: SignedPayment,
    parts: SolanaParts,
    outcome: FacilitatorOutcome,
  ): Promise<Evidence> {
    if (this.#chain === null) return this.#trust(payment, outcome);
    const signature = signatureOf(outcome);
    if (signature === null) {
      const found = await this.#find(this.#chain, payment, parts);
      if (found !== null) return found;
      if (outcome.kind === 'refused') return failed(outcome.reason, outcome.message);
      return unknown(outcome.kind === 'unknown' ? outcome.reason : 'not_found', null);
    }
    return this.#await(this.#chain, parts, signature);
  }

  /** Its word alone: never final. */
  #trust(payment: SignedPayment, outcome: FacilitatorOutcome): Evidence {
    switch (outcome.kind) {
      case 'success': {
        const { transaction } = outcome;
        return {
          state: 'settled',
          transaction,
          amount: payment.amount,
          block: null,
          isFinal: false,
        };
      }
      case 'refused':
        return failed(outcome.reason, outcome.message);
      case 'unknown':
        return unknown(outcome.reason, outcome.transaction);
    }
  }

  async #await(chain: SolanaChain, parts: SolanaParts, signature: string): Promise<Evidence> {
    const deadline = performance.now() + this.#confirmMs;
    for (;;) {
      const last = await chain
        .evidence(parts, signature)
        .catch(() => unknown('rpc_unavailable', signature));
      const isSettled = last.state !== 'unknown' || last.reason === 'other_transaction';
      if (isSettled || performance.now() + POLL_MS > deadline) return last;
      await sleep(POLL_MS);
    }
  }

  /** One look for a payment that the facilitator denies, or says nothing clear about. */
  async #find(
    chain: SolanaChain,
    payment: SignedPayment,
    parts: SolanaParts,
  ): Promise<Evidence | null> {
    const submittedAtMs = this.#clock.nowMs();
    const submission = { payment, transaction: null, rawTransaction: null, submittedAtMs };
    const found = await chain.search(submission, parts, 0).catch(() => null);
    return found?.signature == null ? null : chain.evidence(parts, found.signature);
  }

  #learn(feePayer: string): void {
    const at = this.#feePayers.indexOf(feePayer);
    if (at >= 0) this.#feePayers.splice(at, 1);
    this.#feePayers.push(feePayer);
    if (this.#feePayers.length > MAX_FEE_PAYERS) this.#feePayers.shift();
  }
}

function signatureOf(outcome: FacilitatorOutcome): string | null {
  return outcome.kind === 'refused' ? null : outcome.transaction;
}

function isAddress(text: string): boolean {
  try {
    return new PublicKey(text).toBase58() === text;
  } catch {
    return false;
  }
}
