import { type Kysely, sql } from 'kysely';
import type { Ddl } from '../ddl.ts';

/** What an operator does: unspent money back to its wallet, credit given and taken, channels on and off. */
export async function up(db: Kysely<unknown>, { text, int, table }: Ddl): Promise<void> {
  const statements = [
    `create table payouts (
      id ${text} primary key,
      account_id ${text} not null references accounts (id),
      hold_id ${text} not null unique references holds (id),
      network ${text} not null,
      asset ${text} not null,
      recipient ${text} not null,
      units ${text} not null,
      amount ${int} not null check (amount > 0),
      state ${text} not null check (state in
        ('requested', 'approved', 'sent', 'settled', 'failed', 'cancelled', 'reversed')),
      method ${text} check (method in ('embedded', 'manual')),
      asked_by ${text} not null,
      attempt ${int} not null default 1,
      payment ${text},
      transaction_id ${text},
      raw_transaction ${text},
      block ${text},
      is_final ${int} not null default 0,
      looks ${int} not null default 0,
      reason ${text},
      created_at ${int} not null,
      sent_at ${int},
      settled_at ${int},
      next_check_at ${int},
      check (state in ('requested', 'cancelled', 'failed') or method is not null),
      check (state not in ('sent', 'settled', 'reversed') or transaction_id is not null),
      unique (network, transaction_id)
    ) ${table}`,
    'create index payouts_account on payouts (account_id, id)',
    `create index payouts_due on payouts (next_check_at) where next_check_at is not null`,
    'create index payouts_state on payouts (state, id)',
    `create index payments_account on payments (account_id) where account_id is not null`,
    `create table adjustments (
      id ${text} primary key,
      kind ${text} not null check (kind in ('GRANT', 'ADJUST')),
      account_id ${text} not null references accounts (id),
      change ${int} not null check (change <> 0),
      actor ${text} not null,
      reason ${text} not null,
      reverses ${text} unique references adjustments (id),
      day ${text} not null,
      at ${int} not null
    ) ${table}`,
    'create index adjustments_actor on adjustments (actor, day)',
    'create index adjustments_account on adjustments (account_id, id)',
    `create table channel_switches (
      channel_id ${text} primary key,
      is_on ${int} not null check (is_on in (0, 1)),
      actor ${text} not null,
      reason ${text} not null,
      at ${int} not null
    ) ${table}`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
