/**
 * The wallet that pays for gas: signs locally and sends one transaction after another, since two that are signed at once would
 * take the same nonce. Its key holds gas money only, never what customers paid.
 */
import { type Hex, keccak256, parseTransaction, recoverTransactionAddress } from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import type { Log } from '../log.ts';
import type { EvmChain } from './evm-chain.ts';

/** transferWithAuthorization takes 60,000 to 90,000 on USDC; a fixed limit spares an estimate that fails now and then. */
export const GAS_LIMIT = 150_000n;
const MAX_QUEUED = 256;
const MAX_SENDS = 5;
const BUMP_PERCENT = 130n;
/** A node that asks for more is broken or lies. */
const MAX_FEE_WEI = 2_000_000_000_000n;
const FEES_FRESH_MS = 2_000;
/** After a pause the node is asked again: the key may have been used elsewhere, or a transaction dropped. */
const NONCE_FRESH_MS = 15_000;

interface Fees {
  maxFeePerGas: bigint;
  maxPriorityFeePerGas: bigint;
}

export interface Sent {
  /** The transaction that was handed to the node last, or null when none was. */
  transaction: Hex | null;
  raw: Hex | null;
  /** Null when the node took it; else what went wrong. It may have been broadcast all the same when `transaction` is set. */
  problem: string | null;
}

/** Where transactions of one key wait for their turn, and what is known of its next nonce. */
export interface GasLine {
  tail: Promise<unknown>;
  queued: number;
  nonce: { next: number; atMs: number } | null;
  /** No transaction of this send may use a lower one: endpoints behind a balancer lag behind one another. */
  leastNonce: number;
}

export function newGasLine(): GasLine {
  return { tail: Promise.resolve(), queued: 0, nonce: null, leastNonce: 0 };
}

export type StoreTransaction = (transaction: string, rawTransaction: string) => Promise<void>;

export class GasWallet {
  readonly address: string;
  readonly #account: PrivateKeyAccount;
  readonly #chain: EvmChain;
  readonly #log: Log;
  readonly #line: GasLine;
  #fees: { value: Fees; atMs: number } | null = null;

  /** `lines`: of all wallets that there are, so that two of one key stand in one line. */
  constructor(key: Hex, chain: EvmChain, log: Log, lines = new Map<string, GasLine>()) {
    this.#account = privateKeyToAccount(key);
    this.address = this.#account.address.toLowerCase();
    this.#chain = chain;
    this.#log = log;
    const name = `${chain.chainId} ${this.address}`;
    this.#line = lines.get(name) ?? newGasLine();
    lines.set(name, this.#line);
  }

  /** Upper bound of what one settlement costs now, in wei. */
  async settlementCost(): Promise<bigint> {
    return GAS_LIMIT * (await this.#currentFees()).maxFeePerGas;
  }

  /** Signs, has the transaction stored, and only then broadcasts it. Waits its turn; throws what `store` or a read throws. */
  send(to: string, data: Hex, store: StoreTransaction): Promise<Sent> {
    const line = this.#line;
    if (line.queued >= MAX_QUEUED)
      return Promise.resolve({ transaction: null, raw: null, problem: 'gas_wallet_busy' });
    line.queued += 1;
    const turn = line.tail
      .then(() => this.#sendNow(to, data, store))
      .finally(() => {
        line.queued -= 1;
      });
    line.tail = turn.catch(() => {});
    return turn;
  }

  /** Asks the chain for the next nonce again: something that was accepted did not arrive. */
  forgetNonce(): void {
    this.#line.nonce = null;
  }

  async #sendNow(to: string, data: Hex, store: StoreTransaction): Promise<Sent> {
    const line = this.#line;
    let transaction: Hex | null = null;
    let raw: Hex | null = null;
    let problem = 'send_failed';
    let bumps = 0;
    for (let attempt = 0; attempt < MAX_SENDS; attempt++) {
      const nonce = await this.#nextNonce();
      raw = await this.#sign(to, data, nonce, bumped(await this.#currentFees(), bumps));
      transaction = keccak256(raw);
      await store(transaction, raw);
      const outcome = await this.#chain.broadcast(raw);
      if (outcome === 'accepted') {
        line.leastNonce = 0;
        line.nonce = { next: nonce + 1, atMs: performance.now() };
        return { transaction, raw, problem: null };
      }
      line.nonce = null;
      line.leastNonce = outcome === 'nonce_taken' ? nonce + 1 : 0;
      problem = outcome;
      this.#log.warn('evm_send_failed', { transaction, outcome });
      if (outcome === 'underpriced') bumps += 1;
      else if (outcome !== 'nonce_too_low' && outcome !== 'nonce_taken') break;
    }
    return { transaction, raw, problem };
  }

  /**
   * The same transaction with today's fees, where its own no longer get it into a block; null where nothing was sent. Only the first
   * in line is raised: the others wait for it, whatever they pay. The token takes an authorization once, so it is no matter which of
   * the two is mined. `raw`: as it was broadcast. Throws RpcError when the chain cannot be read.
   */
  async raise(raw: Hex): Promise<Hex | null> {
    const { to, data, nonce, maxFeePerGas, maxPriorityFeePerGas, chainId } = parseTransaction(raw);
    if (!to || !data || nonce === undefined || maxFeePerGas === undefined) return null;
    const { baseFee } = await this.#chain.block();
    if (chainId !== this.#chain.chainId || maxFeePerGas >= baseFee) return null;
    const from = await recoverTransactionAddress({ serializedTransaction: raw as `0x02${string}` });
    if (from.toLowerCase() !== this.address) return null;
    if ((await this.#chain.minedNonce(this.address)) !== nonce) return null;
    // What was right a second ago is why it is stuck.
    this.#fees = null;
    const now = await this.#currentFees();
    const least = bumped({ maxFeePerGas, maxPriorityFeePerGas: maxPriorityFeePerGas ?? 0n }, 1);
    const higher = await this.#sign(to, data, nonce, {
      maxFeePerGas: most(now.maxFeePerGas, least.maxFeePerGas),
      maxPriorityFeePerGas: most(now.maxPriorityFeePerGas, least.maxPriorityFeePerGas),
    });
    const outcome = await this.#chain.broadcast(higher);
    const transaction = keccak256(higher);
    this.#log.warn('evm_fee_raised', { transaction, replaces: keccak256(raw), outcome });
    return outcome === 'accepted' ? transaction : null;
  }

  #sign(to: string, data: Hex, nonce: number, fees: Fees): Promise<Hex> {
    return this.#account.signTransaction({
      type: 'eip1559',
      chainId: this.#chain.chainId,
      nonce,
      to: to as Hex,
      data,
      value: 0n,
      gas: GAS_LIMIT,
      ...fees,
    });
  }

  async #nextNonce(): Promise<number> {
    const line = this.#line;
    const known = line.nonce;
    if (known && performance.now() - known.atMs < NONCE_FRESH_MS) return known.next;
    return Math.max(await this.#chain.pendingNonce(this.address), line.leastNonce);
  }

  /** Twice the base fee rides out six full blocks in a row. */
  async #currentFees(): Promise<Fees> {
    const known = this.#fees;
    if (known && performance.now() - known.atMs < FEES_FRESH_MS) return known.value;
    const [block, tip] = await Promise.all([this.#chain.block(), this.#chain.priorityFee()]);
    const maxFeePerGas = block.baseFee * 2n + tip;
    if (maxFeePerGas > MAX_FEE_WEI)
      throw new Error('the RPC endpoint asks for an absurd gas price');
    const value = { maxFeePerGas, maxPriorityFeePerGas: tip };
    this.#fees = { value, atMs: performance.now() };
    return value;
  }
}

function bumped({ maxFeePerGas, maxPriorityFeePerGas }: Fees, times: number): Fees {
  const raise = (fee: bigint) => (fee * BUMP_PERCENT ** BigInt(times)) / 100n ** BigInt(times);
  return {
    maxFeePerGas: raise(maxFeePerGas),
    maxPriorityFeePerGas: raise(maxPriorityFeePerGas),
  };
}

function most(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}
