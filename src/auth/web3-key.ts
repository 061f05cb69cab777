/**
 * Venice's way from a wallet to an API key: a token of ours (a JWT, 15 minutes), signed by the wallet as it stands (EIP-191
 * personal_sign, or Ed25519 for Solana), buys one key of the wallet's account.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import bs58 from 'bs58';
import { verifyEd25519 } from '../chains/ed25519.ts';
import { recoverMessageSigner } from '../chains/secp256k1.ts';
import type { Clock } from '../clock.ts';
import { AppError } from '../errors.ts';
import type { Wallet } from './principal.ts';

const VALID_SECONDS = 15 * 60;
const PURPOSE = 'farebox:generate_web3_key';
const HEADER = encode({ alg: 'HS256', typ: 'JWT' });
const TOKEN = /^[\w-]{1,200}\.([\w-]{1,500})\.[\w-]{43}$/;
const EVM_ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const EVM_SIGNATURE = /^0x[0-9a-fA-F]{130}$/;
const SOLANA_ADDRESS = /^[1-9A-HJ-NP-Za-km-z]{32,44}$/;

export interface Web3KeyOptions {
  secret: Buffer;
  clock: Clock;
  /** True for the first use of an id, false ever after. */
  useNonce(id: string, expiresAtMs: number): Promise<boolean>;
}

export interface SignedToken {
  address: string;
  /** 65 bytes as 0x hex, or 64 bytes in base58 or base64 for Solana. */
  signature: string;
  token: string;
}

export class Web3Keys {
  readonly #options: Web3KeyOptions;

  constructor(options: Web3KeyOptions) {
    this.#options = options;
  }

  /** A token for anybody to sign. */
  token(): string {
    const now = Math.floor(this.#options.clock.nowMs() / 1_000);
    const claims = {
      aud: PURPOSE,
      iat: now,
      exp: now + VALID_SECONDS,
      jti: randomBytes(16).toString('hex'),
    };
    const body = `${HEADER}.${encode(claims)}`;
    return `${body}.${this.#sign(body)}`;
  }

  /** The wallet that signed a token of ours; each token serves once. Errors: invalid_request, naming what is wrong. */
  async redeem({ address, signature, token }: SignedToken): Promise<Wallet> {
    const { jti, exp } = this.#open(token);
    const wallet = signer(address, signature, token);
    const isFirst = await this.#options.useNonce(`web3:${jti}`, exp * 1_000);
    if (isFirst) return wallet;
    throw wrong('token', 'was used already: GET a new one');
  }

  #open(token: string): { jti: string; exp: number } {
    const claims = TOKEN.exec(token)?.[1];
    if (claims === undefined) {
      throw wrong(
        'token',
        'is malformed: send it as GET /api/v1/api_keys/generate_web3_key gave it',
      );
    }
    const at = token.lastIndexOf('.');
    const given = Buffer.from(token.slice(at + 1));
    const right = Buffer.from(this.#sign(token.slice(0, at)));
    if (given.length !== right.length || !timingSafeEqual(given, right)) {
      throw wrong('token', 'was not made by this server, or was changed');
    }
    const { aud, exp, jti } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Claims;
    if (aud !== PURPOSE) throw wrong('token', 'is for something else');
    if (exp * 1_000 <= this.#options.clock.nowMs()) {
      throw wrong('token', 'has expired: GET a new one and sign it within 15 minutes');
    }
    return { jti, exp };
  }

  #sign(body: string): string {
    return createHmac('sha256', this.#options.secret).update(body).digest('base64url');
  }
}

interface Claims {
  aud: string;
  exp: number;
  jti: string;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function signer(address: string, signature: string, token: string): Wallet {
  if (EVM_ADDRESS.test(address)) return evmSigner(address.toLowerCase(), signature, token);
  if (SOLANA_ADDRESS.test(address)) return solanaSigner(address, signature, token);
  throw wrong('address', 'must be an EVM address (0x and 40 hex digits) or a Solana address');
}

function evmSigner(address: string, signature: string, token: string): Wallet {
  if (!EVM_SIGNATURE.test(signature)) {
    throw wrong(
      'signature',
      'must be 65 bytes as 0x hex (personal_sign of the token). Contract wallets sign in with SIGN-IN-WITH-X at POST /api/v1/api_keys',
    );
  }
  if (recoverMessageSigner(token, signature) === address) {
    return { family: 'eip155', address, chain: '' };
  }
  throw wrong('signature', 'is not of this token by this address');
}

function solanaSigner(address: string, signature: string, token: string): Wallet {
  const key = bytes58(address);
  const signed = signatureBytes(signature);
  if (key?.length !== 32) throw wrong('address', 'must be a Solana address of 32 bytes');
  if (signed?.length !== 64) throw wrong('signature', 'must be 64 bytes in base58 or base64');
  if (verifyEd25519(key, Buffer.from(token), signed)) {
    return { family: 'solana', address, chain: '' };
  }
  throw wrong('signature', 'is not of this token by this address');
}

function signatureBytes(text: string): Uint8Array | null {
  if (text.length > 100) return null;
  const base58 = bytes58(text);
  if (base58?.length === 64) return base58;
  return /^[\w+/-]{86}(==)?$/.test(text) ? Buffer.from(text, 'base64') : null;
}

function bytes58(text: string): Uint8Array | null {
  return bs58.decodeUnsafe(text) ?? null;
}

function wrong(field: 'address' | 'signature' | 'token', problem: string): AppError {
  const message = `${field}: ${problem}.`;
  return new AppError('invalid_request', message, {
    details: { _errors: [], [field]: { _errors: [message] } },
  });
}
