/**
 * What the chain says about a payment. A signature alone proves nothing: the transaction behind it must have the message that the
 * payer signed, and our token account must have grown. "Never" is said only once the transaction's blockhash is too old in a
 * finalized bank and the history up to that slot does not know the transaction.
 */
import { createHash } from 'node:crypto';
import { type MessageV0, VersionedTransaction } from '@solana/web3.js';
import type { Clock } from '../clock.ts';
import type { NetworkConfig } from '../config/config.ts';
import type { Evidence, SignedPayment, SolanaPayload, Submission } from './chain.ts';
import { associatedTokenAddress, MEMO_PROGRAM, TOKEN_2022_PROGRAM } from './solana-payload.ts';
import type { AddressSignature, ConfirmedTransaction, SolanaRpc } from './solana-rpc.ts';

/** A blockhash lives 150 blocks, 60 to 90 s; the rest is for clocks that differ. */
const EXPIRY_MARGIN_MS = 120_000;
/** How far a block's time may be off ours. */
const BLOCK_TIME_SLACK_MS = 300_000;
const PAGE = 200;
const MAX_PAGES = 5;
/** Transactions read per search; the next search goes on where this one stopped, by way of `#identities`. */
const MAX_READS = 50;
const MAX_REMEMBERED = 10_000;
const TOKEN_ACCOUNT_BYTES = 165;
/** In a token account: after its mint and its owner. */
const AMOUNT_OFFSET = 64;
const TOKEN_ACCOUNT_INITIALIZED = 1;
/** TokenError::InsufficientFunds. */
const INSUFFICIENT_FUNDS = 1;

/** Facts of a decoded payment that its transaction carries. */
export interface SolanaParts {
  transaction: VersionedTransaction;
  identity: string;
  blockhash: string;
  feePayer: string;
  destination: string;
  memo: string | null;
}

export function partsOf(payment: SignedPayment): SolanaParts {
  const { transaction: text } = payment.payload as SolanaPayload;
  const transaction = VersionedTransaction.deserialize(Buffer.from(text, 'base64'));
  const message = transaction.message as MessageV0;
  const key = (index: number | undefined) => message.staticAccountKeys[index ?? -1]?.toBase58();
  const memo = message.compiledInstructions.find(
    ({ programIdIndex }) => key(programIdIndex) === MEMO_PROGRAM,
  );
  return {
    transaction,
    identity: payment.identity,
    blockhash: message.recentBlockhash,
    feePayer: key(0) ?? '',
    destination: key(message.compiledInstructions[2]?.accountKeyIndexes[2]) ?? '',
    memo: memo === undefined ? null : Buffer.from(memo.data).toString('utf8'),
  };
}

/** What is wrong with our side of the chain; null when nothing is. */
export interface ChainCheck {
  problem: string | null;
  /** Of the account asked about; null when it does not exist or none was asked about. */
  lamports: number | null;
}

export class SolanaChain {
  readonly rpc: SolanaRpc;
  readonly #network: NetworkConfig;
  readonly #clock: Clock;
  /** Message hashes by signature: neither changes, so nothing is read twice. */
  readonly #identities = new Map<string, string>();
  #isClusterKnown = false;

  constructor(network: NetworkConfig, rpc: SolanaRpc, clock: Clock) {
    this.#network = network;
    this.rpc = rpc;
    this.#clock = clock;
  }

  /** What became of `signature`, if it is this payment's. Throws when the node cannot be read. */
  async evidence(parts: SolanaParts, signature: string): Promise<Evidence> {
    const { value: status } = await this.rpc.signatureStatus(signature);
    if (status === null) return unknown('not_found', signature);
    const level = status.confirmationStatus;
    if (level !== 'confirmed' && level !== 'finalized') return unknown('unconfirmed', signature);
    const confirmed = await this.rpc.transaction(signature);
    if (confirmed?.meta == null) return unknown('not_indexed', signature);
    if (identityOf(confirmed) !== parts.identity) return unknown('other_transaction', null);
    const isFinal = level === 'finalized';
    if (confirmed.meta.err !== null || status.err !== null) {
      const detail = JSON.stringify(confirmed.meta.err ?? status.err).slice(0, 200);
      if (!isFinal) return unknown('failing', signature);
      return failed('transaction_failed', `the transaction failed on chain: ${detail}`);
    }
    const amount = this.#received(confirmed, parts.destination);
    if (amount <= 0n) {
      if (!isFinal) return unknown('no_transfer', signature);
      return failed('no_transfer', 'the transaction moved no USDC to us');
    }
    return {
      state: 'settled',
      transaction: signature,
      amount,
      block: `${confirmed.slot}`,
      isFinal,
    };
  }

  /**
   * Whether the payment can still reach a block. 'expired' means that it never did: `find` must look through history that is
   * complete up to the slot it is given, and answer false.
   */
  async expiry(
    submission: Submission,
    parts: SolanaParts,
    find: (minSlot: number) => Promise<boolean | 'unclear'>,
  ): Promise<'valid' | 'unclear' | 'expired'> {
    if ((await this.rpc.isBlockhashValid(parts.blockhash, 'processed')).value) return 'valid';
    const oldEnoughMs = submission.submittedAtMs + EXPIRY_MARGIN_MS;
    if (this.#clock.nowMs() < oldEnoughMs) return 'unclear';
    const final = await this.rpc.isBlockhashValid(parts.blockhash, 'finalized');
    if (final.value) return 'unclear';
    // A finalized bank from before the payment (finality can stall for hours) does not know the blockhash yet.
    const finalSeconds = await this.rpc.blockTime(final.slot);
    if (finalSeconds === null || finalSeconds * 1_000 < oldEnoughMs) return 'unclear';
    return (await find(final.slot)) === false ? 'expired' : 'unclear';
  }

  /**
   * Null when the transaction would go through. Nothing has been sent, so an instruction's own error is final; anything else is
   * about fees, locks or the cluster, and the same payment may pass later. Signatures are not looked at.
   */
  async simulate(payment: SignedPayment, transaction: string): Promise<Evidence | null> {
    const { err } = await this.rpc.simulate(transaction);
    if (err === null || err === undefined || err === 'AlreadyProcessed') return null;
    if (err === 'BlockhashNotFound') {
      return failed('blockhash_expired', 'the blockhash is too old: build the payment afresh');
    }
    const at = instructionError(err);
    if (at === null) return unknown('simulation_unclear', null);
    if (at.index === 2 && at.custom === INSUFFICIENT_FUNDS) {
      return failed('insufficient_funds', `${payment.payer} has less USDC than the payment moves`);
    }
    const detail = JSON.stringify(err).slice(0, 200);
    return failed('simulation_failed', `the transaction would fail: ${detail}`);
  }

  /** Whether history up to `minSlot` knows the signature. */
  async knows(signature: string, minSlot: number): Promise<boolean | 'unclear'> {
    const { slot, value } = await this.rpc.signatureStatus(signature);
    if (value !== null) return true;
    return slot < minSlot ? 'unclear' : false;
  }

  /**
   * Looks for a payment whose signature is not known (a facilitator that never told) among the transactions of our token account.
   * Not found and not complete means that there is more to read.
   */
  async search(
    submission: Submission,
    parts: SolanaParts,
    minSlot: number,
  ): Promise<{ signature: string | null; isComplete: boolean }> {
    const { candidates, isComplete } = await this.#candidates(submission, parts, minSlot);
    let reads = 0;
    for (const { signature } of candidates) {
      let identity = this.#identities.get(signature);
      if (identity === undefined) {
        if (reads === MAX_READS) return { signature: null, isComplete: false };
        reads += 1;
        const transaction = await this.rpc.transaction(signature);
        if (transaction === null) return { signature: null, isComplete: false };
        identity = identityOf(transaction) ?? '';
        this.#remember(signature, identity);
      }
      if (identity === parts.identity) return { signature, isComplete };
    }
    return { signature: null, isComplete };
  }

  /**
   * What became of a payment that somebody else signed and sent: a facilitator, which may have named a transaction, another one, or none.
   * Throws when the node cannot be read.
   */
  async lookFor(submission: Submission, parts: SolanaParts): Promise<Evidence> {
    if (submission.transaction !== null) {
      const told = await this.evidence(parts, submission.transaction);
      const isTold = told.state !== 'unknown';
      if (isTold || !['not_found', 'other_transaction'].includes(told.reason)) return told;
    }
    const { signature, isComplete } = await this.search(submission, parts, 0);
    if (signature !== null) return this.evidence(parts, signature);
    if (!isComplete) return unknown('search_incomplete', submission.transaction);
    const find = async (minSlot: number) => {
      const found = await this.search(submission, parts, minSlot);
      if (found.signature !== null) return true;
      return found.isComplete ? false : 'unclear';
    };
    if ((await this.expiry(submission, parts, find)) === 'expired') {
      return failed(
        'expired',
        'the transaction did not reach the chain before its blockhash expired',
      );
    }
    return unknown('not_found', submission.transaction);
  }

  /** Cluster, our token account, and the lamports of `gas`. Throws when the node cannot be read. */
  async check(gas: string | null): Promise<ChainCheck> {
    const wrong = await this.#wrongCluster();
    if (wrong !== null) return { problem: wrong, lamports: null };
    const { payTo, asset } = this.#network;
    const names = [asset, associatedTokenAddress(payTo, asset)];
    names.push(associatedTokenAddress(payTo, asset, TOKEN_2022_PROGRAM));
    if (gas !== null) names.push(gas);
    const [mint, account, account2022, gasAccount] = await this.rpc.accounts(names);
    const lamports = gasAccount?.lamports ?? null;
    if (!mint) return { problem: `the mint ${asset} does not exist on this cluster`, lamports };
    const is2022 = mint.owner === TOKEN_2022_PROGRAM;
    const ours = is2022 ? account2022 : account;
    const address = is2022 ? names[2] : names[1];
    const data = Buffer.from(ours?.data[0] ?? '', 'base64');
    if (!ours || data.length < TOKEN_ACCOUNT_BYTES) {
      const hint = `create it once (spl-token create-account ${asset} --owner ${payTo}) or send any USDC to ${payTo}`;
      return {
        problem: `the USDC account ${address} of ${payTo} does not exist: ${hint}`,
        lamports,
      };
    }
    if (data[108] !== TOKEN_ACCOUNT_INITIALIZED) {
      return { problem: `the USDC account ${address} of ${payTo} is frozen`, lamports };
    }
    return { problem: null, lamports };
  }

  /** What these wallets hold of the token together, base units. */
  async tokenBalance(wallets: string[]): Promise<bigint> {
    const { asset } = this.#network;
    const names = wallets.flatMap((wallet) => [
      associatedTokenAddress(wallet, asset),
      associatedTokenAddress(wallet, asset, TOKEN_2022_PROGRAM),
    ]);
    const found = await this.rpc.accounts(names);
    return found.reduce((sum, account) => {
      const data = Buffer.from(account?.data[0] ?? '', 'base64');
      const amount = data.length < TOKEN_ACCOUNT_BYTES ? 0n : data.readBigUInt64LE(AMOUNT_OFFSET);
      return sum + amount;
    }, 0n);
  }

  /** CAIP-2 names a Solana cluster by the first 32 characters of its genesis hash. */
  async #wrongCluster(): Promise<string | null> {
    if (this.#isClusterKnown) return null;
    const genesis = await this.rpc.genesisHash();
    if (`solana:${genesis.slice(0, 32)}` === this.#network.network) {
      this.#isClusterKnown = true;
      return null;
    }
    return `the RPC serves another cluster (genesis ${genesis}) than ${this.#network.network}`;
  }

  async #candidates(
    submission: Submission,
    parts: SolanaParts,
    minSlot: number,
  ): Promise<{ candidates: AddressSignature[]; isComplete: boolean }> {
    const since = submission.submittedAtMs - BLOCK_TIME_SLACK_MS;
    const candidates: AddressSignature[] = [];
    let isComplete = false;
    for (let page = 0; page < MAX_PAGES && !isComplete; page += 1) {
      const before = candidates.at(-1)?.signature ?? null;
      const found = await this.rpc.signaturesFor(parts.destination, PAGE, before, minSlot);
      const young = found.filter(
        ({ blockTime }) => blockTime === null || blockTime * 1_000 >= since,
      );
      candidates.push(...young);
      isComplete = found.length < PAGE || young.length < found.length;
    }
    // The memo is our own number for the payment: where nodes index memos, the first read hits.
    const { memo } = parts;
    const isLikely = (entry: AddressSignature) => memo !== null && entry.memo?.includes(memo);
    candidates.sort((a, b) => Number(isLikely(b) ?? false) - Number(isLikely(a) ?? false));
    return { candidates, isComplete };
  }

  #remember(signature: string, identity: string): void {
    if (this.#identities.size >= MAX_REMEMBERED) this.#identities.clear();
    this.#identities.set(signature, identity);
  }

  /** Base units by which our token account grew. */
  #received({ meta, transaction }: ConfirmedTransaction, account: string): bigint {
    const { message } = VersionedTransaction.deserialize(Buffer.from(transaction[0], 'base64'));
    const index = message.staticAccountKeys.findIndex((key) => key.toBase58() === account);
    const amountIn = (balances: NonNullable<typeof meta>['preTokenBalances']) => {
      const entry = balances?.find(
        ({ accountIndex, mint }) => accountIndex === index && mint === this.#network.asset,
      );
      return entry === undefined ? 0n : BigInt(entry.uiTokenAmount.amount);
    };
    return amountIn(meta?.postTokenBalances ?? null) - amountIn(meta?.preTokenBalances ?? null);
  }
}

function identityOf({ transaction }: ConfirmedTransaction): string | null {
  try {
    const { message } = VersionedTransaction.deserialize(Buffer.from(transaction[0], 'base64'));
    return createHash('sha256').update(message.serialize()).digest('hex');
  } catch {
    return null;
  }
}

/** Index of the failing instruction and its custom code, of {"InstructionError":[2,{"Custom":1}]}. */
function instructionError(err: unknown): { index: number; custom: unknown } | null {
  if (typeof err !== 'object' || err === null) return null;
  const pair = (err as Record<string, unknown>)['InstructionError'];
  if (!Array.isArray(pair) || typeof pair[0] !== 'number') return null;
  const cause: unknown = pair[1];
  const isObject = typeof cause === 'object' && cause !== null;
  return { index: pair[0], custom: isObject ? (cause as Record<string, unknown>)['Custom'] : null };
}

export function unknown(reason: string, transaction: string | null): Evidence {
  return { state: 'unknown', reason, transaction };
}

export function failed(reason: string, message: string): Evidence {
  return { state: 'failed', reason, message };
}
