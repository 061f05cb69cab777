/** Checks of chain addresses and private keys, without asking a chain. They answer what would be right, or null. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import bs58 from 'bs58';
import { isAddress } from 'viem/utils';
import { isSmallOrder } from '../chains/ed25519.ts';
import type { Family } from './config.ts';

const EVM_KEY = /^(0x)?[0-9a-fA-F]{64}$/;
const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
/** Below this a key is a number somebody typed. */
const LEAST_KEY = 2n ** 128n;
/** The first accounts of "test test … junk", which anvil and hardhat print: whatever they hold is anybody's. */
const PUBLIC_KEYS = new Set([
  'ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
  '59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d',
  '5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a',
]);
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** What is wrong with an address that is to receive money. `asset` is the token: nobody gets back what is sent to it. */
export function payToProblem(family: Family, address: string, asset: string): string | null {
  if (address.toLowerCase() === asset.toLowerCase()) {
    return 'must be an address of yours; this is the USDC contract itself';
  }
  return family === 'eip155' ? evmAddressProblem(address) : solanaAddressProblem(address);
}

function evmAddressProblem(address: string): string | null {
  if (!/^0x[0-9a-fA-F]{40}$/.test(address)) return 'must be 0x and 40 hex digits';
  if (/^0x0{40}$/.test(address)) return 'must be an address of yours; money sent to zero is lost';
  const isRight = isAddress(address, { strict: true });
  return isRight
    ? null
    : 'must be all lower-case, or have the right EIP-55 capitals: a character is wrong';
}

function solanaAddressProblem(address: string): string | null {
  const bytes = decodeBase58(address);
  if (bytes?.length !== 32) return 'must be 32 bytes in base58';
  return isSmallOrder(bytes) ? 'must be an address of yours; nobody has a key to this one' : null;
}

/** What is wrong with a key that pays for gas. `isLocal`: the chain is on this machine, so that known keys do no harm. */
export function gasKeyProblem(family: Family, key: string, isLocal: boolean): string | null {
  return family === 'eip155' ? evmKeyProblem(key, isLocal) : solanaKeyProblem(key);
}

function evmKeyProblem(key: string, isLocal: boolean): string | null {
  if (!EVM_KEY.test(key)) return 'must be a private key: 0x and 64 hex digits';
  const digits = key.replace(/^0x/, '').toLowerCase();
  const number = BigInt(`0x${digits}`);
  if (number === 0n || number >= CURVE_ORDER)
    return 'must be a private key below the order of secp256k1';
  const isKnown = PUBLIC_KEYS.has(digits) || number < LEAST_KEY;
  return isKnown && !isLocal ? 'must be a key of your own; this one is publicly known' : null;
}

function solanaKeyProblem(key: string): string | null {
  const bytes = key.startsWith('[') ? decodeArray(key) : decodeBase58(key);
  if (bytes?.length !== 64) {
    return 'must be a private key: 64 bytes in base58, or the list of a solana-keygen file';
  }
  const isPair = ed25519Public(bytes.subarray(0, 32)).equals(bytes.subarray(32));
  return isPair ? null : 'must be a key pair whose two halves belong together';
}

function decodeBase58(text: string): Uint8Array | null {
  // base58 takes time that grows with the square of the length.
  if (text.length > 128) return null;
  return bs58.decodeUnsafe(text) ?? null;
}

function decodeArray(text: string): Uint8Array | null {
  try {
    const list: unknown = JSON.parse(text);
    const isBytes = (n: unknown) => Number.isInteger(n) && Number(n) >= 0 && Number(n) <= 255;
    return Array.isArray(list) && list.every(isBytes) ? Uint8Array.from(list as number[]) : null;
  } catch {
    return null;
  }
}

/** The public key of a 32-byte Ed25519 seed. */
export function ed25519Public(seed: Uint8Array): Buffer {
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_ED25519, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  return Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x ?? '', 'base64url');
}
