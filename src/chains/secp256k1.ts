/**
 * Who signed a hash on secp256k1. The native addon of npm's `secp256k1` is about twenty times faster than any JavaScript; its
 * own fallback to elliptic is never used: where the addon does not load, the curve library that viem stands on recovers.
 */
import { createRequire } from 'node:module';
import type { secp256k1 as Curve } from '@noble/curves/secp256k1';
import { hashMessage, hexToBytes, keccak256 } from 'viem/utils';

interface Native {
  ecdsaRecover(
    signature: Uint8Array,
    recovery: number,
    hash: Uint8Array,
    compressed: boolean,
  ): Uint8Array;
}

/** Half of the group order, rounded down: a larger `s` is the malleable twin of a valid signature. */
const HALF_ORDER = Buffer.from(
  '7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0',
  'hex',
);

const load = createRequire(import.meta.url);
const native = loadNative();

function loadNative(): Native | null {
  try {
    // The addon itself, not the package's main file, which would swallow a failure and load the JavaScript fallback.
    const bindings: unknown = load('secp256k1/bindings');
    return bindings as Native;
  } catch {
    return null;
  }
}

/** Which engine verifies; said at start. */
export function secp256k1Engine(): 'native' | 'viem' {
  return native ? 'native' : 'viem';
}

/**
 * The lower-case 0x address that signed `hash` (32 bytes) with `signature` (r, s, v: 65 bytes, v in 0, 1, 27, 28); null when the
 * signature is malformed, malleable (high s) or recovers to nothing.
 */
export function recoverAddress(hash: Uint8Array, signature: Uint8Array): string | null {
  if (hash.length !== 32 || signature.length !== 65) return null;
  const v = signature[64]!;
  const recovery = v >= 27 ? v - 27 : v;
  if (recovery > 1 || isHighS(signature)) return null;
  try {
    const recover = native ? recoverNative(native) : recoverPlain;
    // An uncompressed point: the address is the hash of what follows its first byte.
    const point = recover(hash, signature.subarray(0, 64), recovery);
    return `0x${keccak256(point.subarray(1)).slice(26)}`;
  } catch {
    return null;
  }
}

/** The lower-case address that signed `text` as an EIP-191 message with 65 bytes of 0x hex; null when it is none. */
export function recoverMessageSigner(text: string, signature: string): string | null {
  const bytes = hexToBytes(signature as `0x${string}`);
  return recoverAddress(hashMessage(text, 'bytes'), bytes);
}

type Recover = (hash: Uint8Array, compact: Uint8Array, recovery: number) => Uint8Array;

function recoverNative(addon: Native): Recover {
  return (hash, compact, recovery) => addon.ecdsaRecover(compact, recovery, hash, false);
}

/** Exported so that tests compare both engines on the machine that has both. Loaded only when it is used: it takes memory. */
export const recoverPlain: Recover = (hash, compact, recovery) => {
  const { secp256k1 } = load('@noble/curves/secp256k1') as { secp256k1: typeof Curve };
  const signature = secp256k1.Signature.fromCompact(compact).addRecoveryBit(recovery);
  return signature.recoverPublicKey(hash).toRawBytes(false);
};

function isHighS(signature: Uint8Array): boolean {
  return Buffer.compare(signature.subarray(32, 64), HALF_ORDER) > 0;
}
