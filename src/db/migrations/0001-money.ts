import { type Kysely, sql } from 'kysely';
import type { Ddl } from '../ddl.ts';

/** Accounts, keys, the ledger, payments and sign-in nonces. */
export async function up(db: Kysely<unknown>, ddl: Ddl): Promise<void> {
  for (const statement of statements(ddl)) await sql.raw(statement).execute(db);
}

function statements({ text, int, table }: Ddl): string[] {
  return [
    `create table meta (
      key ${text} primary key,
      value ${text} not null
    ) ${table}`,
    `create table accounts (
      id ${text} primary key,
      kind ${text} not null check (kind in ('wallet', 'house')),
      label ${text} not null,
      posted ${int} not null default 0,
      held ${int} not null default 0 check (held >= 0),
      credit_line ${int} not null default 0 check (credit_line >= 0),
      state ${text} not null default 'active' check (state in ('active', 'frozen')),
      created_at ${int} not null,
      check (held <= posted + credit_line),
      check (kind <> 'wallet' or (posted >= 0 and credit_line = 0))
    ) ${table}`,
    `create table wallets (
      family ${text} not null,
      chain ${text} not null,
      address ${text} not null,
      account_id ${text} not null unique references accounts (id),
      created_at ${int} not null,
      primary key (family, chain, address)
    ) ${table}`,
    `create table api_keys (
      id ${text} primary key,
      account_id ${text} not null references accounts (id),
      parent_id ${text} references api_keys (id),
      type ${text} not null check (type in ('INFERENCE', 'ADMIN')),
      description ${text} not null,
      hash ${text} not null unique,
      last4 ${text} not null,
      state ${text} not null check (state in ('active', 'revoked')),
      expires_at ${int},
      created_at ${int} not null
    ) ${table}`,
    `create index api_keys_account on api_keys (account_id)`,
    `create table key_windows (
      key_id ${text} not null,
      period ${text} not null check (period in ('EPOCH', 'MONTH', 'LIFETIME')),
      start ${text} not null,
      captured ${int} not null default 0 check (captured >= 0),
      held ${int} not null default 0 check (held >= 0),
      primary key (key_id, period, start)
    ) ${table}`,
    `create table holds (
      id ${text} primary key,
      account_id ${text} not null references accounts (id),
      key_id ${text},
      amount ${int} not null check (amount >= 0),
      captured ${int} not null default 0,
      shortfall ${int} not null default 0 check (shortfall >= 0),
      state ${text} not null check (state in ('open', 'captured', 'voided', 'expired')),
      day ${text} not null,
      month ${text} not null,
      instance ${text} not null,
      purpose ${text} not null,
      model ${text},
      request_id ${text},
      price_version ${text},
      usage ${text},
      created_at ${int} not null,
      expires_at ${int} not null,
      resolved_at ${int},
      check (captured >= 0 and captured <= amount),
      check (state = 'captured' or captured = 0)
    ) ${table}`,
    `create index holds_open on holds (account_id, expires_at) where state = 'open'`,
    `create table entries (
      seq ${int} primary key,
      at ${int} not null,
      kind ${text} not null check (kind in
        ('DEPOSIT', 'CHARGE', 'REFUND', 'WITHDRAWAL', 'GRANT', 'ADJUST', 'SHORTFALL', 'REVERSAL')),
      ref ${text} not null,
      debit_account ${text} not null,
      credit_account ${text} not null,
      amount ${int} not null check (amount > 0),
      balance_after ${int},
      request_id ${text},
      model ${text},
      check (debit_account <> credit_account),
      unique (kind, ref)
    ) ${table}`,
    `create index entries_debit on entries (debit_account, seq)`,
    `create index entries_credit on entries (credit_account, seq)`,
    `create table seals (
      seq ${int} primary key,
      writer ${text} not null,
      first_entry ${int} not null,
      last_entry ${int} not null,
      previous ${text} not null,
      hash ${text} not null,
      at ${int} not null
    ) ${table}`,
    `create table payments (
      id ${text} primary key,
      network ${text} not null,
      asset ${text} not null,
      identity ${text} not null,
      payer ${text} not null,
      pay_to ${text} not null,
      units ${text} not null,
      state ${text} not null check (state in
        ('received', 'submitted', 'settled', 'failed', 'expired', 'reversed')),
      payment ${text} not null,
      dialect ${text} not null,
      claim ${text},
      transaction_id ${text},
      raw_transaction ${text},
      block ${text},
      is_final ${int} not null default 0,
      account_id ${text} references accounts (id),
      reason ${text},
      valid_before ${int},
      attempts ${int} not null default 0,
      created_at ${int} not null,
      submitted_at ${int},
      settled_at ${int},
      next_check_at ${int},
      is_exposed ${int} not null default 0,
      unique (network, asset, payer, identity)
    ) ${table}`,
    `create index payments_due on payments (next_check_at) where next_check_at is not null`,
    `create index payments_exposed on payments (payer) where is_exposed = 1`,
    `create table payment_identifiers (
      payer ${text} not null,
      identifier ${text} not null,
      payment_id ${text} not null references payments (id),
      created_at ${int} not null,
      primary key (payer, identifier)
    ) ${table}`,
    `create table siwx_nonces (
      id ${text} primary key,
      expires_at ${int} not null
    ) ${table}`,
    `create index siwx_nonces_expiry on siwx_nonces (expires_at)`,
  ];
}
