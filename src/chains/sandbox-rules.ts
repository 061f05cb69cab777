/** What differs between the families on the play chain: how a payment is read, what a wallet must know, and when it is too late. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { Keypair, VersionedTransaction } from '@solana/web3.js';
import bs58 from 'bs58';
import type { NetworkConfig } from '../config/config.ts';
import type { Evidence, PaymentRequirements, SignedPayment, SolanaPayload } from './chain.ts';
import { decodeEvmPayment } from './evm-payload.ts';
import { buildSolanaPayment } from './solana-build.ts';
import { decodeSolanaPayment } from './solana-payload.ts';

type Order = Pick<SignedPayment, 'asset' | 'payer' | 'payTo' | 'amount'>;

export interface SandboxRules {
  /** What makes a transfer of ours look like a payment; nothing in it is signed. */
  order(
    order: Order,
    identity: string,
    nowMs: number,
  ): Pick<SignedPayment, 'identity' | 'validBeforeSeconds' | 'payload'>;
  decode(payload: unknown, nowMs: number): SignedPayment;
  terms(nowMs: number): Pick<PaymentRequirements, 'maxTimeoutSeconds' | 'extra'>;
  /** Null while the payment may move money; why it never will after that. */
  expiry(payment: SignedPayment, nowMs: number): Evidence | null;
}

/** Fee payer of every play transaction: an address without a key, since nothing is signed or paid for. */
export const SANDBOX_FEE_PAYER = bs58.encode(
  createHash('sha256').update('farebox play chain: fee payer').digest(),
);
const BLOCKHASH_MS = 120_000;
/** An order of ours that did not move in that time is made again. */
const ORDER_SECONDS = 300;
const EXPIRED: Evidence = {
  state: 'failed',
  reason: 'expired',
  message: 'the payment was not made in time; sign a new one',
};

export function evmRules(config: NetworkConfig): SandboxRules {
  return {
    decode: (payload, nowMs) => decodeEvmPayment(config, payload, nowMs),
    order: ({ payer: from, payTo: to, amount }, identity, nowMs) => {
      const validBefore = Math.floor(nowMs / 1_000) + ORDER_SECONDS;
      const nonce = `0x${identity}`;
      const rest = { value: String(amount), validAfter: '0', validBefore: String(validBefore) };
      return {
        identity: nonce,
        validBeforeSeconds: validBefore,
        payload: { signature: '0x', authorization: { from, to, ...rest, nonce } },
      };
    },
    terms: () => ({ maxTimeoutSeconds: 300, extra: { ...config.domain } }),
    expiry: ({ validBeforeSeconds }, nowMs) =>
      validBeforeSeconds !== null && nowMs >= validBeforeSeconds * 1_000 ? EXPIRED : null,
  };
}

/**
 * A wallet needs no node: the requirement brings the blockhash (@x402/svm takes it from `extra.recentBlockhash`). It holds the
 * time it was made and a MAC over it, so that the chain knows its own without keeping a list.
 */
export function solanaRules(config: NetworkConfig, seed: string): SandboxRules {
  return {
    decode: (payload) => decodeSolanaPayment(config, [SANDBOX_FEE_PAYER], payload),
    order: ({ asset, payTo, amount }, identity, nowMs) => ({
      identity,
      validBeforeSeconds: null,
      payload: {
        transaction: buildSolanaPayment({
          secretKey: Keypair.generate().secretKey,
          feePayer: SANDBOX_FEE_PAYER,
          payTo,
          mint: asset,
          amount,
          blockhash: blockhashAt(seed, nowMs),
        }),
      },
    }),
    terms: (nowMs) => ({
      maxTimeoutSeconds: 60,
      extra: {
        feePayer: SANDBOX_FEE_PAYER,
        memo: randomBytes(16).toString('hex'),
        recentBlockhash: blockhashAt(seed, nowMs),
      },
    }),
    expiry: (payment, nowMs) => {
      const madeAtMs = readBlockhash(seed, blockhashOf(payment));
      if (madeAtMs === null) {
        return {
          state: 'failed',
          reason: 'blockhash_not_found',
          message: 'on the play chain the blockhash must be extra.recentBlockhash of the 402',
        };
      }
      return nowMs >= madeAtMs + BLOCKHASH_MS ? EXPIRED : null;
    },
  };
}

function blockhashAt(seed: string, nowMs: number): string {
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(nowMs));
  return bs58.encode(Buffer.concat([time, mac(seed, time)]));
}

/** When one of our blockhashes was made, Unix ms; null when it is not ours. */
function readBlockhash(seed: string, blockhash: string): number | null {
  const bytes = Buffer.from(bs58.decode(blockhash));
  const time = bytes.subarray(0, 8);
  if (bytes.length !== 32 || !timingSafeEqual(bytes.subarray(8), mac(seed, time))) return null;
  return Number(time.readBigUInt64BE());
}

function mac(seed: string, time: Buffer): Buffer {
  return createHmac('sha256', seed).update(time).digest().subarray(0, 24);
}

function blockhashOf({ payload }: SignedPayment): string {
  const { transaction } = payload as SolanaPayload;
  return VersionedTransaction.deserialize(Buffer.from(transaction, 'base64')).message
    .recentBlockhash;
}
