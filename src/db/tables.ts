/** The tables as Kysely sees them. Amounts are nano-USD unless a name says otherwise; times are Unix milliseconds. */

export interface Tables {
  meta: { key: string; value: string };
  accounts: AccountRow;
  wallets: WalletRow;
  api_keys: ApiKeyRow;
  key_windows: KeyWindowRow;
  holds: HoldRow;
  entries: EntryRow;
  seals: SealRow;
  payments: PaymentRow;
  payment_identifiers: PaymentIdentifierRow;
  siwx_nonces: { id: string; expires_at: number };
  audit_log: AuditRow;
  price_lists: PriceListRow;
  payouts: PayoutRow;
  adjustments: AdjustmentRow;
  channel_switches: ChannelSwitchRow;
  usage_days: UsageDayRow;
  usage_mark: { id: number; seq: number };
  usage_free: { account_id: string; hold_id: string };
  provider_keys: ProviderKeyRow;
  idempotency_keys: IdempotencyRow;
  media: MediaRow;
  webhook_secrets: WebhookSecretRow;
  webhook_deliveries: DeliveryRow;
  tasks: TaskRow;
  task_events: TaskEventRow;
  channel_days: ChannelDayRow;
  channel_attempts: ChannelAttemptsRow;
  admin_sessions: AdminSessionRow;
  claims: ClaimRow;
  settings_secrets: SettingsSecretRow;
}

export interface AccountRow {
  id: string;
  kind: 'wallet' | 'house';
  label: string;
  posted: number;
  held: number;
  credit_line: number;
  state: 'active' | 'frozen';
  created_at: number;
}

export interface WalletRow {
  family: string;
  /** '' for key pairs, the CAIP-2 id for contract wallets. */
  chain: string;
  address: string;
  account_id: string;
  created_at: number;
}

export interface ApiKeyRow {
  id: string;
  account_id: string;
  parent_id: string | null;
  type: 'INFERENCE' | 'ADMIN';
  description: string;
  /** HMAC-SHA-256 of the key under the pepper, hex. */
  hash: string;
  last6: string;
  state: 'active' | 'revoked';
  expires_at: number | null;
  created_at: number;
  limit_period: LimitPeriod;
  /** What it may spend in a period; null without a limit. */
  limit_nano: number | null;
  /** JSON of the limits as they were given: {usd, diem, vcu}. */
  limits: string;
  /** JSON of KeyRules (src/keys/rules.ts). */
  rules: string;
  last_used_at: number | null;
}

/** UTC day, UTC calendar month, or never. */
export type LimitPeriod = 'EPOCH' | 'MONTH' | 'LIFETIME';

export interface KeyWindowRow {
  key_id: string;
  period: LimitPeriod;
  /** "2026-11-21", "2026-11" or "". */
  start: string;
  captured: number;
  held: number;
}

export interface HoldRow {
  id: string;
  account_id: string;
  key_id: string | null;
  amount: number;
  captured: number;
  shortfall: number;
  state: 'open' | 'captured' | 'voided' | 'expired';
  day: string;
  month: string;
  /** The server instance that took it; a start voids what earlier instances left open. */
  instance: string;
  purpose: string;
  model: string | null;
  request_id: string | null;
  price_version: string | null;
  /** JSON of what was measured, with `estimated: true` where it was not reported. */
  usage: string | null;
  /** What the tightest limit of its key and the key's ancestors left right after it; null without a limit. */
  limit_left: number | null;
  created_at: number;
  expires_at: number;
  resolved_at: number | null;
}

export type EntryKind =
  'DEPOSIT' | 'CHARGE' | 'REFUND' | 'WITHDRAWAL' | 'GRANT' | 'ADJUST' | 'SHORTFALL' | 'REVERSAL';

export interface EntryRow {
  seq: number;
  at: number;
  kind: EntryKind;
  /** Id of the entry's own cause: a hold, a payment, a grant … Unique with the kind. */
  ref: string;
  debit_account: string;
  credit_account: string;
  amount: number;
  /** Posted balance of the customer's account after the entry; null where both sides are system accounts. */
  balance_after: number | null;
  request_id: string | null;
  model: string | null;
}

export interface SealRow {
  seq: number;
  writer: string;
  first_entry: number;
  last_entry: number;
  previous: string;
  hash: string;
  at: number;
}

export type PaymentState = 'received' | 'submitted' | 'settled' | 'failed' | 'expired' | 'reversed';

export interface PaymentRow {
  id: string;
  network: string;
  asset: string;
  identity: string;
  payer: string;
  pay_to: string;
  /** USDC base units as decimal text. */
  units: string;
  state: PaymentState;
  /** JSON of the SignedPayment. */
  payment: string;
  /** 'v1' | 'v2' | 'hybrid', and the header it came in. */
  dialect: string;
  /** What it first came for: the hash of a request that it pays inline; null for a top-up. */
  claim: string | null;
  transaction_id: string | null;
  raw_transaction: string | null;
  block: string | null;
  is_final: number;
  account_id: string | null;
  /** Why it failed, or what is being waited for. */
  reason: string | null;
  valid_before: number | null;
  attempts: number;
  created_at: number;
  submitted_at: number | null;
  settled_at: number | null;
  next_check_at: number | null;
  /** 1 when credited on a facilitator's word alone, until our own RPC sees the transfer. */
  is_exposed: number;
}

export interface PaymentIdentifierRow {
  payer: string;
  identifier: string;
  payment_id: string;
  created_at: number;
}

/** One change by an operator or an owner. */
export interface AuditRow {
  seq: number;
  at: number;
  actor: string;
  action: string;
  target: string;
  reason: string;
  /** JSON. */
  detail: string;
}

export type PayoutState =
  'requested' | 'approved' | 'sent' | 'settled' | 'failed' | 'cancelled' | 'reversed';

export interface PayoutRow {
  id: string;
  account_id: string;
  /** Sets the amount aside from the beginning to the end. */
  hold_id: string;
  network: string;
  asset: string;
  /** The wallet that owns the account. */
  recipient: string;
  /** USDC base units as decimal text; `amount` is the same in nano-USD. */
  units: string;
  amount: number;
  state: PayoutState;
  /** Sent by this server, or by hand; null until it is decided. */
  method: 'embedded' | 'manual' | null;
  asked_by: string;
  /** Counts what was signed: the next is signed once the one before can no longer land. */
  attempt: number;
  /** JSON of the SignedPayment of this attempt; null by hand. */
  payment: string | null;
  transaction_id: string | null;
  raw_transaction: string | null;
  block: string | null;
  is_final: number;
  looks: number;
  /** Why it failed, or what is being waited for. */
  reason: string | null;
  created_at: number;
  sent_at: number | null;
  settled_at: number | null;
  next_check_at: number | null;
}

/** Credit that an operator gave or took; its entry in the ledger has the id as its ref. */
export interface AdjustmentRow {
  id: string;
  kind: 'GRANT' | 'ADJUST';
  account_id: string;
  /** Negative where credit was taken. */
  change: number;
  actor: string;
  reason: string;
  /** The adjustment that this one takes back. */
  reverses: string | null;
  /** UTC. */
  day: string;
  at: number;
}

/** A channel that was turned off or on again; the others are on. */
export interface ChannelSwitchRow {
  channel_id: string;
  is_on: number;
  actor: string;
  reason: string;
  at: number;
}

/** A key of a provider that an owner stored; one for each owner and vendor. */
export interface ProviderKeyRow {
  id: string;
  account_id: string;
  vendor: string;
  label: string;
  last4: string;
  /** The key, under the data key of `key_version`; opens only in this row, for this account and vendor. */
  sealed: string;
  key_version: number;
  /** `lost`: what it was sealed under is gone. */
  state: 'active' | 'lost';
  created_at: number;
}

/** A request with an Idempotency-Key. */
export interface IdempotencyRow {
  principal: string;
  key: string;
  /** HMAC-SHA-256 of method, path and body, hex. */
  fingerprint: string;
  state: 'running' | 'done';
  /** Of the request that had the key first. */
  request_id: string;
  /** The hold that it takes; null for a request that makes something and costs nothing. */
  hold_id: string | null;
  /** The process that runs it. */
  instance: string;
  /** Sealed; null while it runs, and where it is too large or was lost. */
  answer: string | null;
  /** Length of `answer`. */
  bytes: number;
  created_at: number;
  expires_at: number;
}

/** A rule list that quotes name. */
export interface PriceListRow {
  model: string;
  version: string;
  /** JSON of TokenPrices (src/pricing/tokens.ts). */
  prices: string;
  /** No quote that names it is valid after that. */
  quoted_until: number;
}

/** What one account used in a UTC day, of one model, by one key; of entries up to the mark. */
export interface UsageDayRow {
  account_id: string;
  /** Days since 1970-01-01 UTC, of the entry. */
  day: number;
  /** '' for requests that a wallet signed itself. */
  key_id: string;
  /** '' where the hold named none. */
  model: string;
  requests: number;
  input_tokens: number;
  output_tokens: number;
  cached_input_tokens: number;
  cache_write_tokens: number;
  reasoning_tokens: number;
  /** Requests whose counts were estimated. */
  estimated: number;
  /** Sum of CHARGE entries. */
  cost: number;
  /** Sum of SHORTFALL entries. */
  shortfall: number;
  /** Sum of REFUND entries. */
  refunded: number;
}

/** A result of a task that this server keeps. */
export interface MediaRow {
  /** 128 random bits: whoever has a link knows it, nobody else. */
  id: string;
  account_id: string;
  task_id: string;
  /** Place among the results of the task. */
  idx: number;
  sha256: string;
  bytes: number;
  content_type: string;
  /** Which store has the bytes, and under which name there: "disk:…" or "s3:…". */
  place: string;
  created_at: number;
  expires_at: number;
  /** From then on the bytes are not given out any more; they are deleted right after. */
  deleted_at: number | null;
  deleted_because: 'retention' | 'owner' | 'completed' | 'operator' | null;
}

/** What an account's webhooks are signed with. */
export interface WebhookSecretRow {
  account_id: string;
  sealed: string;
  /** The one before signs too until its end. */
  previous: string | null;
  previous_until: number | null;
  created_at: number;
}

export type DeliveryState = 'pending' | 'delivered' | 'failed';

/** One event of a task on its way to its callback. */
export interface DeliveryRow {
  /** The webhook-id: the same on every attempt. */
  id: string;
  account_id: string;
  task_id: string;
  event: string;
  /** Sealed: callbacks carry secrets of their owners. */
  url: string;
  /** The destination, for fairness: origin of the URL. */
  origin: string;
  /** Sealed: JSON, with links to results. */
  payload: string;
  state: DeliveryState;
  attempts: number;
  next_at: number | null;
  last_status: number | null;
  /** Why the last attempt failed. */
  last_error: string | null;
  created_at: number;
  /** When it was queued last: at the end of the task, or when somebody asked for it again. */
  since: number;
  delivered_at: number | null;
}

/** A media task: the row is the job. */
export interface TaskRow {
  id: string;
  account_id: string;
  /** Null for a request that a wallet signed itself. */
  key_id: string | null;
  /** Name of the principal that asked. */
  owner: string;
  kind: 'image' | 'video' | 'music';
  type: string;
  model: string;
  request_id: string;
  /** What may be served by the same channels: model and groups. */
  lane: string;
  /** The lane while it waits to be handed on; null before and after. */
  queue: string | null;
  /** Higher first, within an account. */
  priority: number;
  channel_id: string | null;
  upstream_model: string | null;
  /** JSON list of channels that it was tried on. */
  tried: string;
  /** The caller's fields, sealed; null once it has ended. */
  sealed: string | null;
  /** Sealed. */
  callback: string | null;
  /** JSON of what prices it: see tasks/priced.ts. */
  priced: string;
  price_version: string;
  hold_id: string;
  held: number;
  charged: number;
  state: 'pending' | 'processing' | 'completed' | 'failed' | 'cancelled' | 'expired';
  /** Whether the upstream has it: `sending` is written before anything goes out. */
  submit: 'unsent' | 'sending' | 'sent';
  /** JSON by which the upstream knows it. */
  ref: string | null;
  progress: number;
  /** At the upstream. */
  queue_position: number | null;
  /** How often it was handed to a channel. */
  starts: number;
  polls: number;
  /** How often working on it failed for reasons of ours. */
  crashes: number;
  /** Since when the upstream does not know it, or its result cannot be had; null while all is well. */
  troubled_since: number | null;
  /** Counts claims: whoever has an older one changes nothing any more. */
  lease_epoch: number;
  /**
   * When it is taken up next, where it does not wait in its queue; while somebody works on it, when another may take it over. Also after
   * its end, while the upstream may still finish it.
   */
  next_at: number | null;
  /** While it waits: when it is given up. Then: when its upstream is. */
  deadline_at: number;
  error_code: string | null;
  error_message: string | null;
  /** JSON of the units that the upstream says it made. */
  measured: string | null;
  /** Decimal US dollars, where the upstream says so. */
  upstream_cost: string | null;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
}

/** Something that happened to a task, as its owner is told. */
export interface TaskEventRow {
  seq: number;
  account_id: string;
  key_id: string | null;
  task_id: string;
  /** "task.processing". */
  type: string;
  at: number;
  /** JSON: state, progress and queue position then. */
  payload: string;
}

/** Somebody who is signed in to the operator's page. */
export interface AdminSessionRow {
  token_hash: string;
  /** The operator key that it was begun with: it ends with it. */
  key_id: string;
  created_at: number;
  expires_at: number;
}

/** A link by which whoever has the machine makes the first operator key; it works once. */
export interface ClaimRow {
  code_hash: string;
  created_at: number;
  expires_at: number;
  used_at: number | null;
}

/** What was charged for what one channel served in a UTC day, of one model; of entries up to the mark of usage. */
export interface ChannelDayRow {
  channel_id: string;
  day: number;
  model: string;
  requests: number;
  /** Sum of CHARGE entries. */
  revenue: number;
  /** What they cost the operator, where that is known. */
  upstream: number;
  /** Requests of which it is not. */
  uncosted: number;
}

/** How attempts over one channel ended in a UTC day. */
export interface ChannelAttemptsRow {
  channel_id: string;
  day: number;
  attempts: number;
  good: number;
  sick: number;
  busy: number;
}

/** A secret of the settings; see setup/kept-secrets.ts. */
export interface SettingsSecretRow {
  name: string;
  sealed: string;
  updated_at: number;
}
