/**
 * Builds the payer's half of a Solana payment without a network, in the layout of @x402/svm's client: limit, price, transfer, memo.
 * For wallets of ours (scripts, demo) and the play chain.
 */
import { randomBytes } from 'node:crypto';
import {
  type AccountMeta,
  Keypair,
  MessageV0,
  PublicKey,
  TransactionInstruction,
  VersionedTransaction,
} from '@solana/web3.js';
import {
  associatedTokenAddress,
  COMPUTE_BUDGET_PROGRAM,
  MEMO_PROGRAM,
  TOKEN_PROGRAM,
} from './solana-payload.ts';

export interface SolanaTransfer {
  /** 64 bytes: seed and public key. */
  secretKey: Uint8Array;
  feePayer: string;
  payTo: string;
  mint: string;
  /** Base units. */
  amount: bigint;
  blockhash: string;
  /** At most 256 bytes; 16 random bytes in hex when absent, so that two equal payments differ. */
  memo?: string;
}

const COMPUTE_UNITS = 20_000;
const MICRO_LAMPORTS_PER_UNIT = 1n;

/** The instructions of a payment, in order; tests bend them. */
export function solanaPaymentInstructions(transfer: SolanaTransfer): TransactionInstruction[] {
  const payer = Keypair.fromSecretKey(transfer.secretKey).publicKey.toBase58();
  const accounts = [
    writable(associatedTokenAddress(payer, transfer.mint)),
    readable(transfer.mint),
    writable(associatedTokenAddress(transfer.payTo, transfer.mint)),
    { ...readable(payer), isSigner: true },
  ];
  const memo = transfer.memo ?? randomBytes(16).toString('hex');
  return [
    instruction(COMPUTE_BUDGET_PROGRAM, [], setComputeUnitLimit(COMPUTE_UNITS)),
    instruction(COMPUTE_BUDGET_PROGRAM, [], setComputeUnitPrice(MICRO_LAMPORTS_PER_UNIT)),
    instruction(TOKEN_PROGRAM, accounts, transferChecked(transfer.amount, 6)),
    instruction(MEMO_PROGRAM, [], Buffer.from(memo, 'utf8')),
  ];
}

/** Base64 of the transaction, signed by the payer, the fee payer's slot empty: what goes into `payload.transaction`. */
export function buildSolanaPayment(transfer: SolanaTransfer): string {
  const message = MessageV0.compile({
    payerKey: new PublicKey(transfer.feePayer),
    instructions: solanaPaymentInstructions(transfer),
    recentBlockhash: transfer.blockhash,
  });
  const transaction = new VersionedTransaction(message);
  transaction.sign([Keypair.fromSecretKey(transfer.secretKey)]);
  return Buffer.from(transaction.serialize()).toString('base64');
}

export function instruction(
  program: string,
  keys: AccountMeta[],
  data: Buffer,
): TransactionInstruction {
  return new TransactionInstruction({ programId: new PublicKey(program), keys, data });
}

export function setComputeUnitLimit(units: number): Buffer {
  const data = Buffer.alloc(5, 2);
  data.writeUInt32LE(units, 1);
  return data;
}

export function setComputeUnitPrice(microLamports: bigint): Buffer {
  const data = Buffer.alloc(9, 3);
  data.writeBigUInt64LE(microLamports, 1);
  return data;
}

export function transferChecked(amount: bigint, decimals: number): Buffer {
  const data = Buffer.alloc(10, 12);
  data.writeBigUInt64LE(amount, 1);
  data[9] = decimals;
  return data;
}

function readable(address: string): AccountMeta {
  return { pubkey: new PublicKey(address), isSigner: false, isWritable: false };
}

function writable(address: string): AccountMeta {
  return { ...readable(address), isWritable: true };
}
