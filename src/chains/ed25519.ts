/**
 * Ed25519 signatures of Solana wallets, by node:crypto. Keys of small order are refused: for them every library accepts forged
 * signatures, and one of them is Solana's System Program address.
 */
import { createPublicKey, verify } from 'node:crypto';

/** The y coordinates of the small-order points, canonical or not, with the sign bit masked. */
const SMALL_ORDER = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].map((hex) => Buffer.from(hex, 'hex'));

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** Whether `signature` (64 bytes) over `message` is by `publicKey` (32 bytes, not of small order). Never throws. */
export function verifyEd25519(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  if (isSmallOrder(publicKey)) return false;
  try {
    const x = Buffer.from(publicKey).toString('base64url');
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    return verify(null, message, key, signature);
  } catch {
    return false;
  }
}

/** Whether a compressed point is one of the eight of small order, in any of its encodings. */
export function isSmallOrder(publicKey: Uint8Array): boolean {
  const masked = Buffer.from(publicKey);
  masked[KEY_BYTES - 1]! &= 0x7f;
  return SMALL_ORDER.some((point) => point.equals(masked));
}
