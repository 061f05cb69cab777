/** The settings of one server, after environment and YAML were read, checked and joined. Everything below is plain data. */
import type { NanoUsd } from '../money.ts';
import type { LogLevel } from '../log.ts';
import type { ByokFee } from '../pricing/byok.ts';
import type { TokenPrices } from '../pricing/tokens.ts';

export type Mode = 'live' | 'sandbox';
export type Family = 'eip155' | 'solana';

export interface Config {
  mode: Mode;
  server: ServerConfig;
  dataDir: string;
  logLevel: LogLevel;
  secrets: {
    masterKey: Buffer | null;
    /** Of a rotation; also tried where the other does not open the data directory any more. */
    newMasterKey: Buffer | null;
    adminKey: string | null;
  };
  payments: PaymentsConfig;
  siwx: SiwxConfig;
  channels: ChannelConfig[];
  models: ModelConfig[];
  limits: LimitsConfig;
  creditUsd: NanoUsd;
  /** What a request costs that goes over a key of its owner's own, instead of the price. */
  byok: ByokFee;
  /** Where the settings came from, for people: `config check`, `doctor`, the first lines of the log. */
  origin?: ConfigOrigin;
}

export interface ConfigOrigin {
  file: string | null;
  /** FAREBOX_CONFIG names the file, so that nothing but the file changes settings. */
  isFileFixed: boolean;
  /** What is set up but cannot do what was probably meant, one sentence each; no fault. */
  notes: string[];
}

export interface ServerConfig {
  host: string;
  /** 0 takes a free port (tests, demo). */
  port: number;
  /** Origin without a trailing slash ("https://gw.example.com"); null when PUBLIC_URL is not set. */
  publicUrl: string | null;
  trustedProxies: string[];
  corsOrigins: string[];
}

export interface PaymentsConfig {
  minimumTopUp: NanoUsd;
  inlineMinimum: NanoUsd;
  suggestedTopUp: NanoUsd;
  maximumTopUp: NanoUsd;
  minimumBalance: NanoUsd;
  /** How much a remote facilitator's word is worth while no RPC of ours confirms it. */
  exposurePerPayer: NanoUsd;
  exposureTotal: NanoUsd;
  /** An operator who gives or takes more at once says the amount twice. */
  adjustConfirm: NanoUsd;
  /** What one operator key may give and take in a UTC day, in all. */
  adjustDaily: NanoUsd;
  networks: NetworkConfig[];
}

export interface NetworkConfig {
  /** CAIP-2 id. */
  network: string;
  family: Family;
  /** The name that x402 v1 uses for it ("base"), or null. */
  v1Name: string | null;
  payTo: string;
  /** USDC on this network: lower-case address, or SPL mint in base58. */
  asset: string;
  /** EIP-712 domain of the token; EVM only. */
  domain: { name: string; version: string } | null;
  facilitator: FacilitatorConfig;
  rpcUrl: string | null;
  confirmations: number;
}

export type FacilitatorConfig =
  | {
      kind: 'embedded';
      gasKey: string;
      /** Owns the USDC that payouts are made of; without it payouts are made by hand. */
      treasuryKey?: string;
    }
  | { kind: 'remote'; url: string; cdp: { keyId: string; keySecret: string } | null }
  | { kind: 'sandbox' };

export interface SiwxConfig {
  replay: 'single-use' | 'session';
  maxAgeSeconds: number;
  extraDomains: string[];
}

export interface ChannelConfig {
  id: string;
  provider: string;
  baseUrl: string;
  apiKey: string | null;
  headers: Record<string, string>;
  group: string;
  priority: number;
  weight: number;
  concurrency: number;
  timeout: { firstByteMs: number; idleMs: number; totalMs: number };
  onDisconnect: 'abort' | 'drain';
  outputLimitField: 'max_tokens' | 'max_completion_tokens';
  vendor: string | null;
}

export interface ModelConfig {
  id: string;
  type: 'text' | 'embedding';
  /** Whose rate limits hold for it; absent: those of its type. */
  tier?: string;
  context: number;
  maxOutput: number;
  defaultOutput: number;
  routes: { channel: string; model: string }[];
  price: TokenPrices;
}

export interface LimitsConfig {
  bodyBytes: number;
  headerBytes: number;
  upstreamBodyBytes: number;
  sseLineBytes: number;
  /** How long a stream may be silent before its first word until a comment is sent; 0: never. */
  sseKeepAliveMs: number;
  connections: number;
  headersTimeoutMs: number;
  requestTimeoutMs: number;
  drainMs: number;
  /** Of callers, by tier of models; every type of model has one of its name. */
  rates: Record<string, RateTier>;
  failedRequests: FailedRequestsConfig;
  floods: FloodsConfig;
}

/** 0: no limit. */
export interface RateTier {
  requestsPerMinute: number;
  requestsPerDay: number;
  tokensPerMinute: number;
  tokensPerDay: number;
}

/** So many failed requests in so many seconds, and a caller waits for as long; a count of 0: never. */
export interface FailedRequestsConfig {
  count: number;
  seconds: number;
}

/** Answers a minute and address; 0: no limit. */
export interface FloodsConfig {
  unauthorizedPerMinute: number;
  paymentRequiredPerMinute: number;
}
