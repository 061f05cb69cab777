/**
 * SIGN-IN-WITH-X: a wallet signs a short text and is signed in by it. Checks in the order of the specification (x402 extension
 * sign-in-with-x, EIP-4361, CAIP-122); domain and origin come from configuration, never from the request. By default a signed
 * text signs in once; in session mode until it expires.
 */
import { randomBytes } from 'node:crypto';
import bs58 from 'bs58';
import { verifyEd25519 } from '../chains/ed25519.ts';
import { recoverMessageSigner } from '../chains/secp256k1.ts';
import type { Clock } from '../clock.ts';
import type { SiwxConfig } from '../config/config.ts';
import type { Wallet } from './principal.ts';
import { type OpenedHeader, openHeader } from './siwx-header.ts';
import { parseTime, type SiwxMessage } from './siwx-message.ts';
import { refuse } from './siwx-refusal.ts';

export type ContractVerifier = (
  network: string,
  address: string,
  message: string,
  signature: string,
) => Promise<boolean>;

export interface SiwxOptions {
  siwx: SiwxConfig;
  /** Origins that clients may dial ("https://gw.example.com"); at least one by the time of the first sign-in. */
  origins: string[];
  /** CAIP-2 ids of the configured networks. */
  networks: string[];
  /** Takes a nonce durably; false when it was taken before. */
  useNonce(id: string, expiresAtMs: number): Promise<boolean>;
  /** EIP-1271 and EIP-6492 through a network's RPC; null where none is configured. */
  verifyContractWallet: ContractVerifier | null;
  clock: Clock;
}

export interface SiwxChallenge {
  info: {
    domain: string;
    uri: string;
    version: '1';
    nonce: string;
    issuedAt: string;
    expirationTime: string;
    statement: string;
  };
  supportedChains: { chainId: string; type: 'eip191' | 'ed25519' }[];
}

export interface Siwx {
  /** Who signed the header. Throws AppError('invalid_sign_in') with details.reason. */
  verify(headerValue: string): Promise<Wallet>;
  /** What a client must sign to sign in at `resourceUrl`, with a fresh nonce. */
  challenge(resourceUrl: string): SiwxChallenge;
}

/** Clocks differ: a text from up to a minute ahead is taken, and half a minute of grace is given at the old end. */
const FUTURE_MS = 60_000;
const GRACE_MS = 30_000;
const NONCE_KEPT_MS = 60_000;
const NONCE = /^[A-Za-z0-9_-]{8,128}$/;
const MAX_CACHED = 10_000;
/** 0x and 65 bytes. */
const KEY_PAIR_HEX = 132;

export function createSiwx(options: SiwxOptions): Siwx {
  const verifier = new Verifier(options);
  return {
    verify: (value) => verifier.verify(value),
    challenge: (resourceUrl) => challenge(options, resourceUrl),
  };
}

class Verifier {
  readonly #options: SiwxOptions;
  readonly #networks: Set<string>;
  /** Worked out at the first use: a port that was chosen by the system is known only once the server listens. */
  #allowed: { domains: Set<string>; origins: Set<string> } | null = null;
  /** Session mode: headers that verified, until they expire, by their exact text. */
  readonly #sessions = new Map<string, { wallet: Wallet; expiresAtMs: number }>();

  constructor(options: SiwxOptions) {
    this.#options = options;
    this.#networks = new Set(options.networks);
  }

  #allow(): { domains: Set<string>; origins: Set<string> } {
    if (this.#allowed) return this.#allowed;
    const origins = this.#options.origins.map((origin) => new URL(origin));
    const extra = this.#options.siwx.extraDomains.map((domain) => domain.toLowerCase());
    this.#allowed = {
      domains: new Set([...origins.map(({ host }) => host), ...extra]),
      origins: new Set([
        ...origins.map(({ origin }) => origin),
        ...extra.map((domain) => `https://${domain}`),
      ]),
    };
    return this.#allowed;
  }

  async verify(value: string): Promise<Wallet> {
    const nowMs = this.#options.clock.nowMs();
    const isSession = this.#options.siwx.replay === 'session';
    const known = isSession ? this.#sessions.get(value) : undefined;
    if (known && known.expiresAtMs > nowMs) return known.wallet;
    const opened = openHeader(value);
    const expiresAtMs = this.#check(opened, nowMs);
    const wallet = await this.#signer(opened);
    if (isSession) {
      if (this.#sessions.size >= MAX_CACHED) this.#forgetOldest();
      this.#sessions.set(value, { wallet, expiresAtMs });
      return wallet;
    }
    // Only after the signature: nobody can use up another's nonces, or fill the table with unsigned ones.
    const id = `siwx:${wallet.family}:${wallet.chain}:${wallet.address}:${opened.message.nonce}`;
    if (await this.#options.useNonce(id, expiresAtMs + NONCE_KEPT_MS)) return wallet;
    throw refuse(
      'nonce_already_used',
      'This sign-in was used before: sign a new one, with a fresh nonce.',
    );
  }

  #forgetOldest(): void {
    const oldest = this.#sessions.keys().next();
    if (!oldest.done) this.#sessions.delete(oldest.value);
  }

  /** All that needs no signature; answers when the sign-in ends, in Unix ms. */
  #check({ message, chain }: OpenedHeader, nowMs: number): number {
    const { domains, origins } = this.#allow();
    if (message.version !== '1') throw refuse('version', 'Version must be 1.');
    if (!domains.has(message.domain.toLowerCase())) {
      const [first] = domains;
      throw refuse('domain_mismatch', `The sign-in must be for the domain ${first}.`, {
        expected: first,
      });
    }
    if (!origins.has(originOf(message.uri))) {
      const [first] = origins;
      throw refuse('uri_mismatch', `The sign-in's URI must be at ${first}.`, { expected: first });
    }
    if (!this.#networks.has(chain)) {
      const networks = [...this.#networks].join(', ');
      throw refuse('unsupported_chain', `Sign in on one of: ${networks}.`, {
        supported: [...this.#networks],
      });
    }
    const expiresAtMs = checkTimes(message, nowMs, this.#options.siwx.maxAgeSeconds * 1_000);
    if (!NONCE.test(message.nonce)) {
      throw refuse('nonce', 'Nonce must be 8 to 128 letters, digits, - or _.');
    }
    return expiresAtMs;
  }

  async #signer(opened: OpenedHeader): Promise<Wallet> {
    const { family, message, text, chain, signature } = opened;
    if (typeof signature !== 'string') {
      const key = bs58.decode(message.address);
      if (verifyEd25519(key, Buffer.from(text), signature)) {
        return { family, address: message.address, chain: '' };
      }
      throw refuse('signature', 'The signature does not match the message and address.');
    }
    const address = message.address.toLowerCase();
    if (recoverMessageSigner(text, signature) === address) {
      return { family, address, chain: '' };
    }
    // Not a key pair's signature: perhaps a contract's, which only its chain can tell.
    const verify = this.#options.verifyContractWallet;
    if (!verify) {
      const reason = signature.length === KEY_PAIR_HEX ? 'signature' : 'smart_wallet_unsupported';
      throw refuse(reason, 'The signature does not match the message and address.');
    }
    if (await verify(chain, address, text, signature)) return { family, address, chain };
    throw refuse('signature', 'The signature does not match the message and address.');
  }
}

function originOf(uri: string): string {
  return URL.canParse(uri) ? new URL(uri).origin : '';
}

function checkTimes(message: SiwxMessage, nowMs: number, maxAgeMs: number): number {
  const serverTime = new Date(nowMs).toISOString();
  const issuedAt = parseTime(message.issuedAt);
  if (Number.isNaN(issuedAt)) throw refuse('issued_at', 'Issued At must be an RFC 3339 time.');
  if (issuedAt > nowMs + FUTURE_MS) {
    throw refuse('issued_at_in_future', `Issued At lies in the future; it is ${serverTime} here.`, {
      serverTime,
    });
  }
  if (issuedAt < nowMs - maxAgeMs - GRACE_MS) {
    throw refuse('issued_at_too_old', `Issued At is too old; it is ${serverTime} here.`, {
      serverTime,
    });
  }
  const ends = issuedAt + maxAgeMs + GRACE_MS;
  const notBefore = message.notBefore === null ? issuedAt : parseTime(message.notBefore);
  if (Number.isNaN(notBefore) || notBefore > nowMs + FUTURE_MS) {
    throw refuse('not_yet_valid', `Not Before lies in the future; it is ${serverTime} here.`, {
      serverTime,
    });
  }
  if (message.expirationTime === null) return ends;
  const expires = parseTime(message.expirationTime);
  if (Number.isNaN(expires) || expires < issuedAt) {
    throw refuse('expiration_time', 'Expiration Time must be an RFC 3339 time after Issued At.');
  }
  if (expires <= nowMs) {
    throw refuse('expired', `The sign-in has expired; it is ${serverTime} here.`, { serverTime });
  }
  return Math.min(ends, expires);
}

function challenge({ networks, siwx, clock }: SiwxOptions, resourceUrl: string): SiwxChallenge {
  const nowMs = clock.nowMs();
  return {
    info: {
      domain: new URL(resourceUrl).host,
      uri: resourceUrl,
      version: '1',
      nonce: randomBytes(16).toString('hex'),
      issuedAt: new Date(nowMs).toISOString(),
      expirationTime: new Date(nowMs + siwx.maxAgeSeconds * 1_000).toISOString(),
      statement: 'Sign in to spend your prepaid balance.',
    },
    supportedChains: networks.map((chainId) => ({
      chainId,
      type: chainId.startsWith('solana:') ? 'ed25519' : 'eip191',
    })),
  };
}
