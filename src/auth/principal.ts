import type { Family } from '../config/config.ts';

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

/** Who is asking. `accountId` is null for a wallet that never paid: it has no account yet and a balance of zero. */
export type Principal =
  | { kind: 'key'; accountId: string; keyId: string; keyType: 'INFERENCE' | 'ADMIN' }
  | { kind: 'wallet'; accountId: string | null; wallet: Wallet };
