/** Settlement by ourselves: simulate, sign, store, broadcast, then wait for what the chain proves. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Hex } from 'viem';
import type { Log } from '../log.ts';
import type { Evidence, SettleHooks, SignedPayment } from './chain.ts';
import { type EvmChain, RevertError, RpcError } from './evm-chain.ts';
import { findEvidence } from './evm-evidence.ts';
import { type GasWallet, type Sent } from './evm-gas.ts';
import { transferCall } from './evm-token.ts';

const SETTLE_TIMEOUT_MS = 90_000;
const FIRST_POLL_MS = 50;
const LONGEST_POLL_MS = 1_000;
/** Below three settlements' worth of gas the rail stops asking for money; below a hundred it says so. */
const LEAST_SETTLEMENTS = 3n;
const COMFORTABLE_SETTLEMENTS = 100n;
/** How often a transaction that is in no block yet is compared with what a block costs now. */
const RAISE_EVERY_MS = 5_000;
const MAX_ATTEMPTED = 10_000;
/** Reasons for which more waiting may bring an answer. */
const WORTH_WAITING = new Set([
  'not_found',
  'confirming',
  'not_submitted',
  'spent_unseen',
  'rpc_unavailable',
]);

/** The node said no: waiting for that transaction is in vain until it is broadcast again. */
const REFUSED = new Set(['refused', 'no_gas_money']);

export interface EmbeddedOptions {
  chain: EvmChain;
  gas: GasWallet;
  confirmations: number;
  log: Log;
  settleTimeoutMs?: number | undefined;
}

export class EmbeddedSettler {
  readonly #options: EmbeddedOptions;
  readonly #attempted = new Set<string>();
  /** As `problem` saw it last; null where there is enough. */
  gasLow: string | null = null;

  constructor(options: EmbeddedOptions) {
    this.#options = options;
  }

  /** Null, or why it cannot pay for gas. */
  async problem(): Promise<string | null> {
    const { chain, gas, log } = this.#options;
    const [balance, cost] = await Promise.all([
      chain.gasBalance(gas.address),
      gas.settlementCost(),
    ]);
    this.gasLow = null;
    if (balance < cost * LEAST_SETTLEMENTS) {
      return `the gas wallet ${gas.address} holds ${balance} wei; a settlement costs up to ${cost}`;
    }
    if (balance < cost * COMFORTABLE_SETTLEMENTS) {
      const settlementsLeft = Number(balance / cost);
      log.warn('evm_gas_low', { wallet: gas.address, wei: balance, settlementsLeft });
      this.gasLow = `the gas wallet ${gas.address} pays for ${settlementsLeft} more settlements`;
    }
    return null;
  }

  async settle(payment: SignedPayment, hooks: SettleHooks): Promise<Evidence> {
    const deadline = performance.now() + (this.#options.settleTimeoutMs ?? SETTLE_TIMEOUT_MS);
    const refusal = await preflight(
      this.#options.chain,
      payment,
      this.#options,
      this.#isRepeat(payment, hooks),
    );
    if (refusal) return refusal;
    const { gas } = this.#options;
    const [money, cost] = await Promise.all([
      this.#options.chain.gasBalance(gas.address),
      gas.settlementCost(),
    ]);
    if (money < cost) return { state: 'unknown', reason: 'no_gas_money', transaction: null };
    const sent = await this.#send(payment, hooks);
    if (sent.transaction === null)
      return { state: 'unknown', reason: sent.problem ?? 'not_sent', transaction: null };
    if (sent.problem !== null && REFUSED.has(sent.problem)) {
      return readEvidence(
        this.#options.chain,
        payment,
        sent.transaction,
        this.#options.confirmations,
      );
    }
    return this.#await(payment, sent.transaction, sent.raw, deadline);
  }

  /** As GasWallet has it; troubles are for the next try, and change nothing of what is known. */
  async raise(raw: Hex): Promise<Hex | null> {
    try {
      return await this.#options.gas.raise(raw);
    } catch (error) {
      // Not its text, which may hold the transaction and so what the payer signed.
      this.#options.log.warn('evm_fee_not_raised', {
        reason: error instanceof Error && error.name,
      });
      return null;
    }
  }

  async #send(payment: SignedPayment, hooks: SettleHooks): Promise<Sent> {
    // Known from here on, so that an error between storing and sending is never read as "nothing happened".
    let stored: Hex | null = null;
    try {
      return await this.#options.gas.send(
        payment.asset,
        transferCall(payment),
        async (transaction, raw) => {
          await hooks.beforeBroadcast(transaction, raw);
          this.#remember(payment);
          stored = transaction as Hex;
        },
      );
    } catch (error) {
      this.#options.log.warn('evm_send_failed', { error });
      return {
        transaction: stored,
        raw: null,
        problem: error instanceof RpcError ? 'rpc_unavailable' : 'not_sent',
      };
    }
  }

  /** Polls until the chain decides or time is up; anything short of proof is unknown. */
  async #await(
    payment: SignedPayment,
    transaction: Hex,
    raw: Hex | null,
    deadline: number,
  ): Promise<Evidence> {
    const { chain, confirmations, gas } = this.#options;
    let pauseMs = FIRST_POLL_MS;
    let raised: Hex | null = null;
    let raiseAt = performance.now() + RAISE_EVERY_MS;
    for (;;) {
      const isOver = performance.now() + pauseMs > deadline;
      // Until the transaction is in a block one cheap question will do.
      const isMined = await chain.receipt(raised ?? transaction).catch(() => null);
      if (raw !== null && !isMined && performance.now() >= raiseAt) {
        raised = (await this.raise(raw)) ?? raised;
        raiseAt = performance.now() + RAISE_EVERY_MS;
      }
      if (isMined || isOver) {
        const evidence = await readEvidence(chain, payment, transaction, confirmations);
        const isWaiting = evidence.state === 'unknown' && WORTH_WAITING.has(evidence.reason);
        if (isOver && isWaiting) gas.forgetNonce();
        if (isOver || !isWaiting) return evidence;
      }
      await sleep(pauseMs);
      pauseMs = Math.min(pauseMs * 1.5, LONGEST_POLL_MS);
    }
  }

  #isRepeat(payment: SignedPayment, hooks: SettleHooks): boolean {
    return (
      hooks.hasEarlierAttempt === true ||
      this.#attempted.has(`${payment.payer} ${payment.identity}`)
    );
  }

  #remember(payment: SignedPayment): void {
    this.#attempted.add(`${payment.payer} ${payment.identity}`);
    if (this.#attempted.size <= MAX_ATTEMPTED) return;
    for (const oldest of this.#attempted) {
      this.#attempted.delete(oldest);
      return;
    }
  }
}

/** findEvidence, with trouble reading the chain as `rpc_unavailable`. */
export async function readEvidence(
  chain: EvmChain,
  payment: SignedPayment,
  transaction: string | null,
  confirmations: number,
): Promise<Evidence> {
  try {
    return await findEvidence(chain, payment, transaction, confirmations);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return { state: 'unknown', reason: 'rpc_unavailable', transaction };
  }
}

/**
 * Simulates the transfer. Null when it would succeed; what the chain already knows when the authorization is spent (by someone who
 * was faster, or by ourselves before a restart); 'failed' when it would revert and nothing of ours can be on its way.
 */
export async function preflight(
  chain: EvmChain,
  payment: SignedPayment,
  options: { confirmations: number },
  isRepeat: boolean,
): Promise<Evidence | null> {
  try {
    await chain.call(payment.asset, transferCall(payment));
    return null;
  } catch (error) {
    if (!(error instanceof RevertError)) {
      return { state: 'unknown', reason: 'rpc_unavailable', transaction: null };
    }
    const evidence = await readEvidence(chain, payment, null, options.confirmations);
    const isUnspent = evidence.state === 'unknown' && evidence.reason === 'not_submitted';
    if (!isUnspent || isRepeat) return evidence;
    return refusal(error.message);
  }
}

const REVERTS: [RegExp, reason: string, message: string][] = [
  [/exceeds balance/i, 'insufficient_funds', 'the wallet holds less USDC than it signed for'],
  [/not yet valid/i, 'not_yet_valid', 'validAfter is later than the time on chain'],
  [/expired/i, 'expired', 'validBefore is earlier than the time on chain'],
  [/blacklist/i, 'blocked', 'the token refuses one of the wallets'],
  [
    /signature/i,
    'signature',
    'the token refuses the signature; payments by contract wallets are not taken',
  ],
];

function refusal(revert: string): Evidence {
  const known = REVERTS.find(([pattern]) => pattern.test(revert));
  return {
    state: 'failed',
    reason: known?.[1] ?? 'simulation_failed',
    message: known?.[2] ?? 'the transfer would be refused by the token',
  };
}
