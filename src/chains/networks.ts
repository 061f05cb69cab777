/**
 * The USDC deployments that are built in. Addresses: Circle's list of USDC contracts; EIP-712 names are what the deployed
 * contracts answer, which differs from chain to chain (an embedded rail compares DOMAIN_SEPARATOR before it asks for money).
 */
import type { Family } from '../config/config.ts';

export interface KnownNetwork {
  /** CAIP-2 id. */
  network: string;
  family: Family;
  /** For people: "Base Sepolia". */
  title: string;
  /** What x402 v1 calls it; null where v1 has no name for it. */
  v1Name: string | null;
  /** USDC, 6 decimals: lower-case address, or SPL mint in base58. */
  asset: string;
  /** EIP-712 domain of the token; null on Solana. */
  domain: { name: string; version: string } | null;
  /** Public endpoint, rate-limited: good enough to begin with. */
  defaultRpcUrl: string;
  isTest: boolean;
}

interface Evm {
  title: string;
  v1Name?: string;
  asset: string;
  /** EIP-712 name; the version is "2" everywhere. */
  name: 'USD Coin' | 'USDC';
  rpc: string;
  isTest?: boolean;
}

const EVM: Record<number, Evm> = {
  8453: {
    title: 'Base',
    v1Name: 'base',
    asset: '0x833589fcd6edb6e08f4c7c32d4f71b54bda02913',
    name: 'USD Coin',
    rpc: 'https://mainnet.base.org',
  },
  84532: {
    title: 'Base Sepolia',
    v1Name: 'base-sepolia',
    asset: '0x036cbd53842c5426634e7929541ec2318f3dcf7e',
    name: 'USDC',
    rpc: 'https://sepolia.base.org',
    isTest: true,
  },
  1: {
    title: 'Ethereum',
    asset: '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48',
    name: 'USD Coin',
    rpc: 'https://ethereum-rpc.publicnode.com',
  },
  11155111: {
    title: 'Ethereum Sepolia',
    asset: '0x1c7d4b196cb0c7b01d743fbc6116a902379c7238',
    name: 'USDC',
    rpc: 'https://ethereum-sepolia-rpc.publicnode.com',
    isTest: true,
  },
  137: {
    title: 'Polygon',
    v1Name: 'polygon',
    asset: '0x3c499c542cef5e3811e1192ce70d8cc03d5c3359',
    name: 'USD Coin',
    rpc: 'https://polygon-rpc.com',
  },
  80002: {
    title: 'Polygon Amoy',
    v1Name: 'polygon-amoy',
    asset: '0x41e94eb019c0762f9bfcf9fb1e58725bfb0e7582',
    name: 'USDC',
    rpc: 'https://rpc-amoy.polygon.technology',
    isTest: true,
  },
  42161: {
    title: 'Arbitrum One',
    asset: '0xaf88d065e77c8cc2239327c5edb3a432268e5831',
    name: 'USD Coin',
    rpc: 'https://arb1.arbitrum.io/rpc',
  },
  421614: {
    title: 'Arbitrum Sepolia',
    asset: '0x75faf114eafb1bdbe2f0316df893fd58ce46aa4d',
    name: 'USD Coin',
    rpc: 'https://sepolia-rollup.arbitrum.io/rpc',
    isTest: true,
  },
  10: {
    title: 'OP Mainnet',
    asset: '0x0b2c639c533813f4aa9d7837caf62653d097ff85',
    name: 'USD Coin',
    rpc: 'https://mainnet.optimism.io',
  },
  11155420: {
    title: 'OP Sepolia',
    asset: '0x5fd84259d66cd46123540766be93dfe6d43130d7',
    name: 'USDC',
    rpc: 'https://sepolia.optimism.io',
    isTest: true,
  },
  43114: {
    title: 'Avalanche',
    v1Name: 'avalanche',
    asset: '0xb97ef9ef8734c71904d8002f8b6bc66dd9c48a6e',
    name: 'USD Coin',
    rpc: 'https://api.avax.network/ext/bc/C/rpc',
  },
  43113: {
    title: 'Avalanche Fuji',
    v1Name: 'avalanche-fuji',
    asset: '0x5425890298aed601595a70ab815c96711a31bc65',
    name: 'USD Coin',
    rpc: 'https://api.avax-test.network/ext/bc/C/rpc',
    isTest: true,
  },
};

export const SOLANA_MAINNET = 'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp';
export const SOLANA_DEVNET = 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1';

const SOLANA: KnownNetwork[] = [
  {
    network: SOLANA_MAINNET,
    family: 'solana',
    title: 'Solana',
    v1Name: 'solana',
    asset: 'EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v',
    domain: null,
    defaultRpcUrl: 'https://api.mainnet-beta.solana.com',
    isTest: false,
  },
  {
    network: SOLANA_DEVNET,
    family: 'solana',
    title: 'Solana Devnet',
    v1Name: 'solana-devnet',
    asset: '4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU',
    domain: null,
    defaultRpcUrl: 'https://api.devnet.solana.com',
    isTest: true,
  },
];

function evmNetwork([chainId, evm]: [string, Evm]): KnownNetwork {
  return {
    network: `eip155:${chainId}`,
    family: 'eip155',
    title: evm.title,
    v1Name: evm.v1Name ?? null,
    asset: evm.asset,
    domain: { name: evm.name, version: '2' },
    defaultRpcUrl: evm.rpc,
    isTest: evm.isTest ?? false,
  };
}

/** By CAIP-2 id. */
export const KNOWN_NETWORKS: ReadonlyMap<string, KnownNetwork> = new Map(
  [...Object.entries(EVM).map(evmNetwork), ...SOLANA].map((known) => [known.network, known]),
);

const BY_V1_NAME: ReadonlyMap<string, string> = new Map(
  [...KNOWN_NETWORKS.values()].flatMap((known) =>
    known.v1Name === null ? [] : [[known.v1Name, known.network] as const],
  ),
);

const CAIP2 = /^[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}$/;

/** The CAIP-2 id of a network named in either form ("base", "eip155:8453"); null when it is neither. Any CAIP-2 id passes. */
export function networkOf(name: string): string | null {
  return BY_V1_NAME.get(name) ?? (CAIP2.test(name) ? name : null);
}
