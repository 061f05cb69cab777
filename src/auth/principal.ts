import type { Family } from '../config/config.ts';
import type { KeyRules, RateRules } from '../keys/rules.ts';

/** A wallet: who signs. EVM addresses are lower-case; base58 is kept as it is. */
export interface Wallet {
  family: Family;
  address: string;
  /**
   * '' for plain key pairs, which own the same address on every chain of the family; the CAIP-2 id for contract wallets
   * (EIP-1271, EIP-6492), which may be somebody else elsewhere.
   */
  chain: string;
}

/**
 * What somebody is to this server. An *operator* holds an ADMIN key of the house account, an *admin* one of any other account, which
 * reaches that account alone.
 */
export type Role = 'operator' | 'admin' | 'inference' | 'wallet';

export interface KeyPrincipal {
  kind: 'key';
  role: 'operator' | 'admin' | 'inference';
  accountId: string;
  keyId: string;
  keyType: 'INFERENCE' | 'ADMIN';
  /** Keys that it comes from, nearest first; its spending counts against each. */
  ancestors: readonly string[];
  /** What it and each of its ancestors may be used for: all of them must allow a request. */
  rules: readonly KeyRules[];
  /** Of these rules those on rates, each with the key whose requests they count: it or an ancestor. */
  rates: readonly { keyId: string; limits: RateRules }[];
  /** Whether it has a limit, a rule, an end or a key above it: it then acts for no more than itself. */
  isBound: boolean;
}

export interface WalletPrincipal {
  kind: 'wallet';
  role: 'wallet';
  /** Null for a wallet that never paid: it has no account yet and a balance of zero. */
  accountId: string | null;
  wallet: Wallet;
}

/** Who is asking. */
export type Principal = KeyPrincipal | WalletPrincipal;

/** One name for one caller: in the audit log, for buckets of requests, for idempotency keys. */
export function principalName(principal: Principal): string {
  if (principal.kind === 'key') return principal.keyId;
  const { family, chain, address } = principal.wallet;
  return `wallet:${chain || family}:${address}`;
}
