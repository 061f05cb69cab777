/**
 * The settings file as it stands after the schema was applied: defaults are filled in, and what the schema refused is gone, so
 * that the rest can still be checked. Hence everything without a default may be missing.
 */
import type { InputMode, ModelConfig, ReportedCost, Verdict, VideoDialect } from './config.ts';
import type { Tokenizer } from '../tokens.ts';
import type { TaskHttp } from './task-http.ts';

export interface RawFile {
  server: {
    public_url: string | null;
    admin_listen: string | null;
    trusted_proxies: (string | undefined)[];
    cors_origins: (string | undefined)[];
  };
  payments: RawPayments;
  channels?: (RawChannel | undefined)[];
  models?: (RawModel | undefined)[];
  fashion?: (RawPreset | undefined)[];
  credits: { credit_usd: string };
  byok: { fee_percent: string; fee_usd_per_request: string };
  limits: Record<
    | 'body_bytes'
    | 'header_bytes'
    | 'upstream_body_bytes'
    | 'sse_line_bytes'
    | 'sse_keep_alive_ms'
    | 'sticky_ms'
    | 'connections'
    | 'connections_per_address'
    | 'headers_timeout_ms'
    | 'request_timeout_ms'
    | 'drain_ms',
    number
  > & {
    tokenizer: Tokenizer;
    rates: Record<string, RawTier | undefined>;
    failed_requests: { count: number; seconds: number };
    floods: { unauthorized_per_minute: number; payment_required_per_minute: number };
  };
  catalogue: { markup: string };
  backups: {
    every_hours: number;
    keep: number;
    directory: string | null;
    passphrase: string | null;
    s3?: RawS3;
  };
  media: {
    store: 'disk' | 's3';
    retention_days: number;
    max_bytes: number;
    s3?: RawS3;
  };
  webhooks: { allow_private: (string | undefined)[]; ports: (number | undefined)[] };
  siwx: {
    replay: 'single-use' | 'session';
    max_age_seconds: number;
    extra_domains: (string | undefined)[];
  };
}

export interface RawS3 {
  bucket?: string;
  endpoint?: string;
  region: string;
  access_key?: string;
  secret_key?: string;
  prefix: string;
}

export type RawTier = Record<
  'requests_per_minute' | 'requests_per_day' | 'tokens_per_minute' | 'tokens_per_day',
  number
>;

export type UsdSetting =
  | 'minimum_top_up_usd'
  | 'inline_minimum_usd'
  | 'suggested_top_up_usd'
  | 'maximum_top_up_usd'
  | 'minimum_balance_usd'
  | 'exposure_per_payer_usd'
  | 'exposure_total_usd'
  | 'adjust_confirm_usd'
  | 'adjust_daily_usd';

export interface RawPayments extends Record<UsdSetting, string> {
  networks?: (RawNetwork | undefined)[];
}

export interface RawNetwork {
  network?: string;
  pay_to?: string;
  asset?: string;
  facilitator: string | RawFacilitator;
  rpc_url?: string | null;
  gas_key?: string;
  treasury_key?: string;
  confirmations: number;
}

export interface RawFacilitator {
  url?: string;
  cdp_key_id?: string;
  cdp_key_secret?: string;
}

export interface RawChannel {
  id?: string;
  provider?: string;
  base_url?: string;
  api_key: string | null;
  headers: Record<string, string>;
  remove_headers: (string | undefined)[];
  params: { set: Record<string, unknown>; remove: (string | undefined)[] };
  group: string;
  priority: number;
  weight: number;
  concurrency: number;
  queue: { size: number; wait_ms: number };
  retry_on?: (number | string | undefined)[];
  status_map: Record<string, Verdict | undefined>;
  stream_options?: boolean;
  responses?: boolean;
  reported_cost?: ReportedCost | 'none';
  dialect?: VideoDialect;
  task?: TaskHttp;
  timeout: { first_byte_ms: number; idle_ms: number; total_ms: number };
  on_disconnect: 'abort' | 'drain';
  output_limit_field?: 'max_tokens' | 'max_completion_tokens';
  vendor?: string | null;
}

export interface RawModel {
  id?: string;
  type: ModelConfig['type'];
  name?: string;
  description?: string;
  aliases: (string | undefined)[];
  capabilities: (string | undefined)[];
  traits: (string | undefined)[];
  tier?: string;
  context?: number;
  max_output?: number;
  image_tokens?: number;
  default_output?: number;
  params: RawParams;
  routes?: ({ channel?: string; model?: string; cost?: RawPrices } | undefined)[];
  price?: RawPrices;
  source?: string;
  as_of?: string;
}

type Texts = (string | undefined)[];

export interface RawParams {
  sizes?: Texts;
  resolutions?: Texts;
  qualities?: Texts;
  aspect_ratios?: Texts;
  durations?: (number | string | undefined)[];
  duration?: { min?: number | string; max?: number | string };
  fps?: number | (number | undefined)[];
  audio?: boolean | 'always';
  factors?: Texts;
  max_n?: number;
  input_modes?: (InputMode | undefined)[];
  max_input_images?: number;
  max_input_seconds?: number;
  max_characters?: number;
  voices?: Texts;
  formats?: Texts;
  styles?: Texts;
  pixels?: Record<string, [number?, number?] | undefined>;
  output_tokens?: number | Record<string, number>;
  tokens_per_second?: { input?: number; output?: number };
  defaults?: RawDefaults;
  typical_runtime?: string | number;
  max_runtime?: string | number;
}

export interface RawDefaults {
  n?: number;
  size?: string;
  resolution?: string;
  quality?: string;
  aspect_ratio?: string;
  duration?: number | string;
  fps?: number;
  audio?: boolean;
  factor?: string;
  voice?: string;
  format?: string;
}

export interface RawPrices {
  rules?: (RawRule | undefined)[];
  markup: string;
  min_charge: string;
  from?: 'upstream';
  max_usd?: string;
}

export interface RawRule {
  unit?: string;
  per: number;
  usd?: string;
  when?: Record<string, unknown>;
  included?: number;
  min?: number;
  step?: number;
}

export interface RawPreset {
  name?: string;
  description?: string;
  model?: string | string[];
  inputs: Record<string, RawPresetInput | undefined>;
  fields: Record<string, unknown>;
}

export interface RawPresetInput {
  type: 'text' | 'image' | 'number' | 'choice';
  description?: string;
  required: boolean;
  default?: string | number;
  values: (string | number | undefined)[];
  min?: number;
  max?: number;
  max_length?: number;
}
