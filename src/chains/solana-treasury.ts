/**
 * Money out on Solana: a transfer signed by the treasury's key, with the gas key as fee payer, in the layout of a payment, so that it is
 * sent and looked for like one. The recipient's token account is made when it has none. What is signed can land only while its
 * blockhash lives.
 */
import { createHash } from 'node:crypto';
import {
  type AccountMeta,
  type Keypair,
  MessageV0,
  PublicKey,
  type TransactionInstruction,
  VersionedTransaction,
} from '@solana/web3.js';
import type { NetworkConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Evidence, PayoutOrder, SignedPayment, TransferQuery } from './chain.ts';
import {
  instruction,
  setComputeUnitLimit,
  setComputeUnitPrice,
  transferChecked,
} from './solana-build.ts';
import { failed, type SolanaChain, unknown } from './solana-chain.ts';
import {
  associatedTokenAddress,
  COMPUTE_BUDGET_PROGRAM,
  MEMO_PROGRAM,
  TOKEN_PROGRAM,
} from './solana-payload.ts';

const ATA_PROGRAM = 'ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL';
const SYSTEM_PROGRAM = '11111111111111111111111111111111';
const CREATE_IDEMPOTENT = Buffer.from([1]);
/** Making a token account and moving tokens takes about 40,000. */
const COMPUTE_UNITS = 100_000;
const MICRO_LAMPORTS_PER_UNIT = 10_000n;
const DECIMALS = 6;
const NEWEST = 200;

/** The payer's half: signed by the treasury, the fee payer's slot empty. */
export function signSolanaPayout(
  network: NetworkConfig,
  treasury: Keypair,
  { order, feePayer, blockhash }: { order: PayoutOrder; feePayer: string; blockhash: string },
): SignedPayment {
  const payer = treasury.publicKey.toBase58();
  const message = MessageV0.compile({
    payerKey: new PublicKey(feePayer),
    instructions: instructions(network, payer, order, feePayer),
    recentBlockhash: blockhash,
  });
  const transaction = new VersionedTransaction(message);
  transaction.sign([treasury]);
  return {
    network: network.network,
    family: 'solana',
    asset: network.asset,
    payer,
    payTo: order.to,
    amount: order.amount,
    identity: createHash('sha256').update(message.serialize()).digest('hex'),
    validBeforeSeconds: null,
    payload: { transaction: Buffer.from(transaction.serialize()).toString('base64') },
  };
}

/** The transfer is the third, where payments have theirs. */
function instructions(
  { asset }: NetworkConfig,
  payer: string,
  { to, amount, reference, attempt }: PayoutOrder,
  feePayer: string,
): TransactionInstruction[] {
  const account = associatedTokenAddress(to, asset);
  const create = [
    meta(feePayer, { isSigner: true, isWritable: true }),
    meta(account, { isWritable: true }),
    meta(to),
    meta(asset),
    meta(SYSTEM_PROGRAM),
    meta(TOKEN_PROGRAM),
  ];
  const move = [
    meta(associatedTokenAddress(payer, asset), { isWritable: true }),
    meta(asset),
    meta(account, { isWritable: true }),
    meta(payer, { isSigner: true }),
  ];
  return [
    instruction(COMPUTE_BUDGET_PROGRAM, [], setComputeUnitLimit(COMPUTE_UNITS)),
    instruction(ATA_PROGRAM, create, CREATE_IDEMPOTENT),
    instruction(TOKEN_PROGRAM, move, transferChecked(amount, DECIMALS)),
    instruction(COMPUTE_BUDGET_PROGRAM, [], setComputeUnitPrice(MICRO_LAMPORTS_PER_UNIT)),
    instruction(MEMO_PROGRAM, [], Buffer.from(`${reference} ${attempt}`, 'utf8')),
  ];
}

function meta(address: string, how: Partial<AccountMeta> = {}): AccountMeta {
  return { pubkey: new PublicKey(address), isSigner: false, isWritable: false, ...how };
}

/**
 * Throws state_conflict where one of the recipient's newest transfers already has the order's reference in its memo. Attempts that are
 * known did not land; what is found was sent by a server that this one does not remember, because a backup was restored.
 */
export async function requireUnpaid(
  { rpc }: SolanaChain,
  { asset }: NetworkConfig,
  { to, reference }: PayoutOrder,
): Promise<void> {
  const account = associatedTokenAddress(to, asset);
  const newest = await rpc.signaturesFor(account, NEWEST, null, 0);
  const paid = newest.find(({ err, memo }) => err === null && memo?.includes(`${reference} `));
  if (!paid) return;
  throw new AppError('state_conflict', `${reference} was paid by ${paid.signature}.`, {
    details: { transaction: paid.signature },
  });
}

/** Whether a transaction, by whomever, made a wallet's USDC grow by exactly that much. Throws where the node cannot be read. */
export async function findSolanaTransfer(
  { rpc }: SolanaChain,
  { asset }: NetworkConfig,
  { transaction, to, amount, notBeforeMs }: TransferQuery,
): Promise<Evidence> {
  const { value: status } = await rpc.signatureStatus(transaction);
  if (status === null) return unknown('not_found', transaction);
  const level = status.confirmationStatus;
  if (level !== 'confirmed' && level !== 'finalized') return unknown('unconfirmed', transaction);
  const confirmed = await rpc.transaction(transaction);
  if (confirmed?.meta == null) return unknown('not_indexed', transaction);
  const { meta: effects, slot, blockTime } = confirmed;
  if (effects.err !== null) return failed('reverted', 'the transaction failed on chain');
  const owned = (balances: typeof effects.preTokenBalances) =>
    (balances ?? [])
      .filter(({ mint, owner }) => mint === asset && owner === to)
      .reduce((sum, { uiTokenAmount }) => sum + BigInt(uiTokenAmount.amount), 0n);
  const grown = owned(effects.postTokenBalances) - owned(effects.preTokenBalances);
  if (grown !== amount) {
    const message = `it moves ${grown} base units of USDC to ${to}, not ${amount}`;
    return failed('other_transfer', message);
  }
  if (typeof blockTime === 'number' && blockTime * 1_000 < notBeforeMs) {
    return failed('too_early', 'it was made before the payout was asked for');
  }
  const isFinal = level === 'finalized';
  return { state: 'settled', transaction, amount, block: String(slot), isFinal };
}
