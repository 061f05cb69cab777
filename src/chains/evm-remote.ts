/** Settlement by a remote facilitator. With an RPC of ours its word is checked on chain; without one it is passed on as such. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Evidence, PaymentRequirements, SettleHooks, SignedPayment } from './chain.ts';
import type { EvmChain } from './evm-chain.ts';
import { preflight, readEvidence } from './evm-embedded.ts';
import type { Facilitator } from './facilitator.ts';

/** How long our own endpoint may lag behind the facilitator's. */
const CONFIRM_TIMEOUT_MS = 10_000;
const CONFIRM_POLL_MS = 250;

export interface RemoteOptions {
  network: string;
  facilitator: Facilitator;
  /** Null where no RPC is configured. */
  chain: EvmChain | null;
  confirmations: number;
  confirmTimeoutMs?: number | undefined;
}

export class RemoteSettler {
  readonly #options: RemoteOptions;

  constructor(options: RemoteOptions) {
    this.#options = options;
  }

  /** Null, or why it cannot settle. */
  async problem(): Promise<string | null> {
    const { facilitator, network } = this.#options;
    try {
      await facilitator.supported({ isFresh: true });
      const kind = await facilitator.kindFor(network);
      return kind === null ? `the facilitator does not settle exact payments on ${network}` : null;
    } catch {
      return 'the facilitator does not answer /supported';
    }
  }

  async settle(
    payment: SignedPayment,
    hooks: SettleHooks,
    requirements: PaymentRequirements,
  ): Promise<Evidence> {
    const { chain, facilitator } = this.#options;
    const hasEarlierAttempt = hooks.hasEarlierAttempt === true || facilitator.hasAttempted(payment);
    if (chain) {
      const known = await preflight(chain, payment, this.#options, hasEarlierAttempt);
      // Without a word from our chain there would be no telling what the facilitator then did.
      if (known) return known;
    }
    const outcome = await facilitator.settle(payment, requirements, {
      hasEarlierAttempt,
      verifyFirst: chain === null,
    });
    if (chain === null) {
      if (outcome.kind === 'refused')
        return { state: 'failed', reason: outcome.reason, message: outcome.message };
      if (outcome.kind === 'unknown') return { state: 'unknown', ...rest(outcome) };
      const { transaction } = outcome;
      return { state: 'settled', transaction, amount: payment.amount, block: null, isFinal: false };
    }
    if (outcome.kind === 'success') return this.#confirm(chain, payment, outcome.transaction);
    const hint = outcome.kind === 'unknown' ? outcome.transaction : null;
    const evidence = await readEvidence(chain, payment, hint, this.#options.confirmations);
    if (evidence.state !== 'unknown') return evidence;
    const isUnspent = evidence.reason === 'not_submitted' || evidence.reason === 'not_found';
    if (outcome.kind === 'refused' && isUnspent) {
      return { state: 'failed', reason: outcome.reason, message: outcome.message };
    }
    return isUnspent && outcome.kind === 'unknown'
      ? { state: 'unknown', ...rest(outcome) }
      : evidence;
  }

  /** A success that our own chain does not show stays unknown. */
  async #confirm(chain: EvmChain, payment: SignedPayment, transaction: string): Promise<Evidence> {
    const deadline = performance.now() + (this.#options.confirmTimeoutMs ?? CONFIRM_TIMEOUT_MS);
    for (;;) {
      const evidence = await readEvidence(chain, payment, transaction, this.#options.confirmations);
      if (evidence.state !== 'unknown' || performance.now() + CONFIRM_POLL_MS > deadline)
        return evidence;
      await sleep(CONFIRM_POLL_MS);
    }
  }
}

function rest(outcome: { reason: string; transaction: string | null }) {
  return { reason: outcome.reason, transaction: outcome.transaction };
}
