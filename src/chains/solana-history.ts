/** Payments that the chain shows, for a ledger that does not know them any more: a backup was restored. */
import { VersionedTransaction } from '@solana/web3.js';
import type { NetworkConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { FoundPayment, SignedPayment } from './chain.ts';
import { partsOf, type SolanaChain } from './solana-chain.ts';
import {
  associatedTokenAddress,
  decodeSolanaPayment,
  TOKEN_2022_PROGRAM,
} from './solana-payload.ts';

const PAGE = 1_000;
const MAX_PAGES = 100;

/** Every x402 payment to payTo since `sinceMs`. Throws where the chain cannot be read to its end. */
export async function* solanaPaymentsSince(
  chain: SolanaChain,
  network: NetworkConfig,
  sinceMs: number,
): AsyncGenerator<FoundPayment> {
  const { payTo, asset } = network;
  for (const account of [
    associatedTokenAddress(payTo, asset),
    associatedTokenAddress(payTo, asset, TOKEN_2022_PROGRAM),
  ]) {
    for await (const signature of signaturesSince(chain, account, sinceMs)) {
      const payment = await paymentIn(chain, network, signature);
      if (!payment) continue;
      const evidence = await chain.evidence(partsOf(payment), signature);
      if (evidence.state === 'settled') yield { payment, evidence };
      else if (evidence.state === 'unknown') throw new Error(`${signature} is not settled yet`);
    }
  }
}

async function* signaturesSince(
  chain: SolanaChain,
  account: string,
  sinceMs: number,
): AsyncGenerator<string> {
  let before: string | null = null;
  for (let page = 0; page < MAX_PAGES; page++) {
    const found = await chain.rpc.signaturesFor(account, PAGE, before, 0);
    for (const { signature, err, blockTime } of found) {
      if (blockTime !== null && blockTime * 1_000 < sinceMs) return;
      if (err === null) yield signature;
    }
    if (found.length < PAGE) return;
    before = found.at(-1)?.signature ?? null;
  }
  throw new Error('too many transactions to read payments from');
}

/** Null for any transaction that is no payment as x402 has it. */
async function paymentIn(
  chain: SolanaChain,
  network: NetworkConfig,
  signature: string,
): Promise<SignedPayment | null> {
  const confirmed = await chain.rpc.transaction(signature);
  if (confirmed === null) throw new Error(`the transaction ${signature} cannot be read`);
  const [transaction] = confirmed.transaction;
  try {
    // Whoever paid the fee then: fee payers change.
    const feePayer = feePayerOf(transaction);
    return decodeSolanaPayment(network, [feePayer], { transaction });
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}

function feePayerOf(transaction: string): string {
  try {
    const { message } = VersionedTransaction.deserialize(Buffer.from(transaction, 'base64'));
    return message.staticAccountKeys[0]?.toBase58() ?? '';
  } catch {
    return '';
  }
}
