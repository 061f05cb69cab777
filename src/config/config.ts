/** The settings of one server, after environment and YAML were read, checked and joined. Everything below is plain data. */
import type { NanoUsd } from '../money.ts';
import type { LogLevel } from '../log.ts';
import type { ByokFee } from '../pricing/byok.ts';
import type { MediaPrices } from '../pricing/media.ts';
import type { PriceList } from '../pricing/rules.ts';
import type { TokenPrices } from '../pricing/tokens.ts';
import type { Tokenizer } from '../tokens.ts';
import type { TaskHttp } from './task-http.ts';

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
  presets: PresetConfig[];
  limits: LimitsConfig;
  creditUsd: NanoUsd;
  media: MediaConfig;
  backups: BackupsConfig;
  webhooks: WebhooksConfig;
  /** What a request costs that goes over a key of its owner's own, instead of the price. */
  byok: ByokFee;
  /** Of the sandbox: how long what its upstream makes takes, how much of it fails, whether its chats begin with what was asked. */
  demo?: { delayMs?: number; failureRate?: number; isEchoing?: boolean };
  /** Where the settings came from, for people: `config check`, `doctor`, the first lines of the log. */
  origin?: ConfigOrigin;
}

/** Results of tasks, and where they are kept. */
export interface MediaConfig {
  store: 'disk' | 's3';
  retentionMs: number;
  /** Of one result. */
  maxBytes: number;
  /** Null without a bucket; also there while `store` is disk, so that what is in it can still be had. */
  s3: S3Config | null;
}

/** Those that the server makes by itself. */
export interface BackupsConfig {
  /** 0: none. */
  everyMs: number;
  keep: number;
  /** Absolute. */
  directory: string;
  /** Null: not encrypted, and without the master key. */
  passphrase: string | null;
  /** Where each goes besides; null: nowhere else. */
  s3: S3Config | null;
}

export interface S3Config {
  bucket: string;
  /** Without a trailing slash. */
  endpoint: string;
  region: string;
  prefix: string;
  accessKey: string;
  secretKey: string;
}

/** Where callbacks may lead, and links to results. */
export interface WebhooksConfig {
  /** CIDRs that may be reached although private. */
  allowPrivate: string[];
  /** A 0 among them: all. */
  ports: number[];
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
  /** Of the operator's pages, its API and the figures; null: they answer where everything does. */
  adminListen: { host: string; port: number } | null;
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
  /** Of the dialect's own; lower case. */
  removeHeaders: string[];
  /** Changes to the fields of every request: values are JSON text. */
  params: { set: Record<string, string>; remove: string[] };
  group: string;
  priority: number;
  weight: number;
  /** Requests under way at once. */
  concurrency: number;
  /** Those that wait, and for how long at most. */
  queue: { size: number; waitMs: number };
  /** Statuses after which another channel is asked; null: all but those that refuse the request itself. */
  retryOn: number[] | null;
  /** What a status means here, where that is not the usual. */
  statusMap: Record<number, Verdict>;
  timeout: { firstByteMs: number; idleMs: number; totalMs: number };
  onDisconnect: 'abort' | 'drain';
  outputLimitField: 'max_tokens' | 'max_completion_tokens';
  /** Whether `stream_options` may be sent, to ask for usage. */
  streamOptions: boolean;
  /** Whether it serves /responses, too. */
  responses: boolean;
  /** Where its answers say what they cost the operator; null: nowhere. */
  reportedCost: ReportedCost | null;
  /** Of its videos. */
  dialect: VideoDialect;
  /** Of the provider task-http: what its upstream is like. */
  task?: TaskHttp;
  vendor: string | null;
}

/** What a status says: try again later, the channel failed, or the request is at fault. */
export type Verdict = 'busy' | 'sick' | 'refused';
export type VideoDialect = 'openai' | 'openrouter' | 'xai';
export type ReportedCost =
  'usage.cost' | 'usage.cost_in_usd_ticks' | 'cost.usd' | 'x-litellm-response-cost';

export type ModelConfig = TokenModel | MediaModel;
export type MediaType = (typeof MEDIA_TYPES)[number];

/** Everything that is sold by other units than tokens of text. */
export const MEDIA_TYPES = [
  'image',
  'image_edit',
  'upscale',
  'background_remove',
  'tts',
  'stt',
  'music',
  'sound',
  'video',
] as const;

interface ModelBase {
  id: string;
  /** For people; null: the id. */
  name: string | null;
  description: string | null;
  /** Other names that it is asked for by. */
  aliases: string[];
  /** What it can do, in words of the operator's: tools, vision, json_schema … */
  capabilities: string[];
  /** Roles that it fills, such as default: GET /api/v1/models/traits. */
  traits: string[];
  /** Whose rate limits hold for it; absent: those of its type. */
  tier?: string;
  routes: RouteConfig[];
  /** Where the price was read, and when. */
  source?: string;
  asOf?: string;
}

export interface TokenModel extends ModelBase {
  type: 'text' | 'embedding';
  context: number;
  /** The most that one image in the input is charged as; absent: see tokens.ts. */
  imageTokens?: number;
  maxOutput: number;
  defaultOutput: number;
  price: TokenPrices;
}

export interface MediaModel extends ModelBase {
  type: MediaType;
  params: MediaParams;
  price: MediaPrices;
}

export interface RouteConfig {
  channel: string;
  /** Its name at that server. */
  model: string;
  /** What the operator pays there: a price list, or what the upstream says. Absent: not known. */
  cost?: CostConfig;
}

export type CostConfig = { from: 'rules'; prices: PriceList } | { from: 'upstream' };

/**
 * What may be asked for. An empty list says nothing: then the rules must not depend on it. What rules name and `params` does not was
 * filled in from the rules when the file was read.
 */
export interface MediaParams {
  sizes: string[];
  resolutions: string[];
  qualities: string[];
  aspectRatios: string[];
  /** Seconds; any of these, or any within `duration`. */
  durations: number[];
  duration: { min: number; max: number } | null;
  /** Frames a second; the first one where nobody asks. */
  fps: number[];
  /** Sound in a video: as the caller asks, always, or never; null: nothing is said. */
  audio: boolean | 'always' | null;
  /** "2x", "4x". */
  factors: string[];
  maxN: number;
  inputModes: InputMode[];
  maxInputImages: number;
  maxInputSeconds: number;
  maxCharacters: number;
  voices: string[];
  formats: string[];
  styles: string[];
  /** Width and height by size, by "resolution aspect_ratio" or by resolution. */
  pixels: Record<string, [width: number, height: number]>;
  /** The most output tokens of one image, by "size quality", size or quality; '' for any. */
  outputTokens: Record<string, number>;
  /** The most tokens that a second of sound is, in and out. */
  tokensPerSecond: { input: number; output: number };
  /** What is taken for what the caller leaves out; else the first of its list. */
  defaults: MediaDefaults;
  typicalRuntimeMs: number | null;
  maxRuntimeMs: number;
}

export type InputMode = 'text' | 'image' | 'video' | 'audio';

export interface MediaDefaults {
  n?: number;
  size?: string;
  resolution?: string;
  quality?: string;
  aspectRatio?: string;
  duration?: number;
  fps?: number;
  audio?: boolean;
  factor?: string;
  voice?: string;
  format?: string;
}

/** Something that is asked for by a few fields. */
export interface PresetConfig {
  name: string;
  description: string | null;
  /** Of the model that makes it. */
  model: string;
  inputs: Record<string, PresetInput>;
  /** The request's body: `{name}` in a text stands for an input. */
  fields: Record<string, unknown>;
}

export interface PresetInput {
  type: 'text' | 'image' | 'number' | 'choice';
  description: string | null;
  isRequired: boolean;
  /** What is taken where the caller says nothing; null for nothing. */
  usual: string | number | null;
  /** Of a choice. */
  values: (string | number)[];
  /** Of a number. */
  min: number;
  max: number;
  /** Of a text. */
  maxLength: number;
}

export interface LimitsConfig {
  bodyBytes: number;
  headerBytes: number;
  upstreamBodyBytes: number;
  sseLineBytes: number;
  /** How long requests of one beginning keep to a channel, for its prompt cache; 0: never. */
  stickyMs: number;
  /** How long a stream may be silent before its first word until a comment is sent; 0: never. */
  sseKeepAliveMs: number;
  /** How input is counted that is held for. */
  tokenizer: Tokenizer;
  connections: number;
  /** At once from one address that is no trusted proxy. */
  connectionsPerAddress: number;
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
