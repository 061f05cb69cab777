/** LiteSVM as a cluster: slots, commitments, a history of transactions with token balances, and forks that lose them. */
import { PublicKey, VersionedTransaction } from '@solana/web3.js';
import bs58 from 'bs58';
import type { FailedTransactionMetadata, LiteSVM } from 'litesvm';
import {
  associatedTokenAddress,
  MEMO_PROGRAM,
  TOKEN_PROGRAM,
} from '../../src/chains/solana-payload.ts';

type Address = Parameters<LiteSVM['getAccount']>[0];
type Transaction = Parameters<LiteSVM['sendTransaction']>[0];
type Account = Parameters<LiteSVM['setAccount']>[0];

export interface TokenBalance {
  accountIndex: number;
  mint: string;
  owner: string;
  uiTokenAmount: { amount: string; decimals: number; uiAmountString: string };
}

/** A transaction in a block. */
export interface Landed {
  signature: string;
  slot: number;
  blockTime: number;
  wire: Buffer;
  keys: string[];
  memo: string | null;
  err: unknown;
  fee: number;
  logs: string[];
  before: TokenBalance[];
  after: TokenBalance[];
  /** The accounts it could write, as they were. */
  undo: Account[];
}

const ERRORS: Record<number, string> = {
  2: 'AccountNotFound',
  4: 'InsufficientFundsForFee',
  5: 'InvalidAccountForFee',
  6: 'AlreadyProcessed',
  7: 'BlockhashNotFound',
  11: 'SignatureFailure',
};
const RENT = 2_039_280n;

export class SolanaRuntime {
  readonly svm: LiteSVM;
  readonly landed: Landed[] = [];
  slot = 1_000;
  finalizedSlot = 968;
  finalizedAtMs = Date.now();
  /** Unix ms, what blocks are stamped with. */
  nowMs: () => number = () => Date.now();
  readonly #hashes = new Map<string, { madeAt: number; expiredAt: number | null }>();

  constructor(svm: LiteSVM) {
    // Duplicates are found by our own history, which can forget.
    this.svm = svm.withTransactionHistory(0n);
    this.#noteHash();
  }

  blockhash(): string {
    return this.svm.latestBlockhash();
  }

  /** Makes every blockhash so far too old, as 150 blocks do. */
  expireBlockhashes(): void {
    this.slot += 151;
    for (const hash of this.#hashes.values()) hash.expiredAt ??= this.slot;
    this.svm.expireBlockhash();
    this.#noteHash();
  }

  /** Makes everything so far final. */
  finalize(): void {
    this.finalizedSlot = this.slot;
    this.finalizedAtMs = this.nowMs();
  }

  isBlockhashValid(blockhash: string, commitment: string): boolean {
    const at = commitment === 'finalized' ? this.finalizedSlot : this.slot;
    const hash = this.#hashes.get(blockhash);
    return hash !== undefined && hash.madeAt <= at && (hash.expiredAt ?? Infinity) > at;
  }

  account(address: string) {
    const account = this.svm.getAccount(address as Address);
    return account.exists ? account : null;
  }

  lamports(address: string): number {
    return Number(this.svm.getBalance(address as Address) ?? 0n);
  }

  airdrop(address: string, lamports: bigint): void {
    const at = this.account(address)?.lamports ?? 0n;
    this.setAccount(address, '11111111111111111111111111111111', Buffer.alloc(0), at + lamports);
  }

  setAccount(address: string, owner: string, data: Buffer, lamports: bigint): void {
    this.svm.setAccount({
      address,
      programAddress: owner,
      data: new Uint8Array(data),
      executable: false,
      lamports,
      space: BigInt(data.length),
    } as unknown as Account);
  }

  setMint(mint: string, authority: string): void {
    const data = Buffer.alloc(82);
    data.writeUInt32LE(1, 0);
    new PublicKey(authority).toBuffer().copy(data, 4);
    data.writeBigUInt64LE(10n ** 15n, 36);
    data.writeUInt8(6, 44);
    data.writeUInt8(1, 45);
    this.setAccount(mint, TOKEN_PROGRAM, data, 1_461_600n);
  }

  /** Gives `owner` a token account with exactly that much in it; state 2 is frozen. */
  setTokens(owner: string, mint: string, units: bigint, state: 1 | 2 = 1): string {
    const address = associatedTokenAddress(owner, mint);
    const data = Buffer.alloc(165);
    new PublicKey(mint).toBuffer().copy(data, 0);
    new PublicKey(owner).toBuffer().copy(data, 32);
    data.writeBigUInt64LE(units, 64);
    data.writeUInt8(state, 108);
    this.setAccount(address, TOKEN_PROGRAM, data, RENT);
    return address;
  }

  tokens(owner: string, mint: string): bigint {
    const account = this.account(associatedTokenAddress(owner, mint));
    return account === null ? 0n : Buffer.from(account.data).readBigUInt64LE(64);
  }

  simulate(wire: Buffer, options: { sigVerify: boolean; replaceBlockhash: boolean }) {
    this.svm.withSigverify(options.sigVerify);
    this.svm.withBlockhashCheck(!options.replaceBlockhash);
    try {
      const { message, signatures } = VersionedTransaction.deserialize(wire);
      const known = this.find(bs58.encode(signatures[0]!));
      if (known) return { err: 'AlreadyProcessed', logs: [], units: 0 };
      const result = this.svm.simulateTransaction(kitTransaction(wire, message.serialize()));
      const meta = result.meta();
      const err = 'err' in result ? describe(result) : null;
      return { err, logs: meta.logs(), units: Number(meta.computeUnitsConsumed()) };
    } finally {
      this.svm.withSigverify(true);
      this.svm.withBlockhashCheck(true);
    }
  }

  /** Runs it in a block of its own; one that no leader would take (old blockhash, bad signature) is dropped, as on a cluster. */
  send(wire: Buffer): string {
    const { message, signatures } = VersionedTransaction.deserialize(wire);
    const signature = bs58.encode(signatures[0]!);
    if (this.find(signature)) return signature;
    const keys = message.staticAccountKeys.map((key) => key.toBase58());
    const undo = keys.flatMap((key, index) => {
      const account = message.isAccountWritable(index) ? this.account(key) : null;
      return account === null ? [] : [account];
    });
    const before = this.#balances(keys);
    const payer = this.lamports(keys[0] ?? '');
    let result: ReturnType<LiteSVM['sendTransaction']>;
    try {
      result = this.svm.sendTransaction(kitTransaction(wire, message.serialize()));
    } catch {
      return signature;
    }
    const err = 'err' in result ? describe(result) : null;
    if (typeof err === 'string') return signature;
    this.slot += 1;
    const meta = 'err' in result ? result.meta() : result;
    this.landed.push({
      signature,
      slot: this.slot,
      blockTime: Math.floor(this.nowMs() / 1_000),
      wire,
      keys,
      memo: memoOf(message as MessageLike, keys),
      err,
      fee: payer - this.lamports(keys[0] ?? ''),
      logs: meta.logs(),
      before,
      after: this.#balances(keys),
      undo,
    });
    return signature;
  }

  find(signature: string): Landed | undefined {
    return this.landed.find((entry) => entry.signature === signature);
  }

  /** A fork without the transaction wins: its effects and every trace of it are gone. */
  forget(signature: string): void {
    const entry = this.find(signature);
    if (!entry) throw new Error(`${signature} is in no block`);
    for (const account of entry.undo) this.svm.setAccount(account);
    this.landed.splice(this.landed.indexOf(entry), 1);
  }

  #noteHash(): void {
    this.#hashes.set(this.blockhash(), { madeAt: this.slot - 40, expiredAt: null });
  }

  #balances(keys: string[]): TokenBalance[] {
    return keys.flatMap((key, accountIndex) => {
      const account = this.account(key);
      if (account?.programAddress !== TOKEN_PROGRAM || account.data.length !== 165) return [];
      const data = Buffer.from(account.data);
      const amount = String(data.readBigUInt64LE(64));
      const uiTokenAmount = { amount, decimals: 6, uiAmountString: `${Number(amount) / 1e6}` };
      const [mint, owner] = [data.subarray(0, 32), data.subarray(32, 64)].map((bytes) =>
        bs58.encode(bytes),
      );
      return [{ accountIndex, mint: mint ?? '', owner: owner ?? '', uiTokenAmount }];
    });
  }
}

interface MessageLike {
  compiledInstructions: { programIdIndex: number; data: Uint8Array }[];
}

function memoOf(message: MessageLike, keys: string[]): string | null {
  const found = message.compiledInstructions.find(
    ({ programIdIndex }) => keys[programIdIndex] === MEMO_PROGRAM,
  );
  if (!found) return null;
  return `[${found.data.length}] ${Buffer.from(found.data).toString('utf8')}`;
}

/** The shape that litesvm's wrapper encodes again: signatures by address, and the message. */
function kitTransaction(wire: Buffer, messageBytes: Uint8Array): Transaction {
  const { message, signatures } = VersionedTransaction.deserialize(wire);
  const named = signatures.map((signature, index) => {
    const isEmpty = signature.every((byte) => byte === 0);
    return [message.staticAccountKeys[index]!.toBase58(), isEmpty ? null : signature] as const;
  });
  return { messageBytes, signatures: Object.fromEntries(named) } as unknown as Transaction;
}

function describe(result: FailedTransactionMetadata): unknown {
  const err: unknown = result.err();
  if (typeof err === 'number') return ERRORS[err] ?? `TransactionError${err}`;
  if (typeof err === 'object' && err !== null && 'index' in err && 'err' in err) {
    const inner: unknown = (err as { err(): unknown }).err();
    const isCustom = typeof inner === 'object' && inner !== null && 'code' in inner;
    return { InstructionError: [err.index, isCustom ? { Custom: inner.code } : `Error${inner}`] };
  }
  return String(err);
}
