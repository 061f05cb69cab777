/** Words of the wire that several x402 answers share. */
import { KNOWN_NETWORKS } from '../../chains/networks.ts';
import { formatUsd, type NanoUsd } from '../../money.ts';

/** Venice's bodies have JSON numbers: exact, because nine decimals of up to a million dollars fit a double. */
export function dollars(amount: NanoUsd): number {
  return Number(formatUsd(amount));
}

/** "base", "solana": the short name that x402 v1 and Venice use; the CAIP-2 id where there is none. */
export function chainName(network: string): string {
  return KNOWN_NETWORKS.get(network)?.v1Name ?? network;
}

export const WALLET_ADDRESS = /^(0x[a-fA-F0-9]{40}|[1-9A-HJ-NP-Za-km-z]{32,44})$/;
