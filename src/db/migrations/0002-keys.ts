import { type Kysely, sql } from 'kysely';
import type { Ddl } from '../ddl.ts';

/** Limits, rules and parents of API keys, the log of changes; what was left of the tightest limit when a hold was taken. */
export async function up(db: Kysely<unknown>, { text, int, table }: Ddl): Promise<void> {
  const statements = [
    'alter table api_keys rename column last4 to last6',
    `alter table api_keys add column limit_period ${text} not null default 'EPOCH'
      check (limit_period in ('EPOCH', 'MONTH', 'LIFETIME'))`,
    `alter table api_keys add column limit_nano ${int} check (limit_nano >= 0)`,
    `alter table api_keys add column limits ${text} not null default '{}'`,
    `alter table api_keys add column rules ${text} not null default '{}'`,
    `alter table api_keys add column last_used_at ${int}`,
    'create index api_keys_parent on api_keys (parent_id) where parent_id is not null',
    `create table audit_log (
      seq ${int} primary key,
      at ${int} not null,
      actor ${text} not null,
      action ${text} not null,
      target ${text} not null,
      reason ${text} not null,
      detail ${text} not null
    ) ${table}`,
    'create index audit_log_target on audit_log (target, seq)',
    `alter table holds add column limit_left ${int} check (limit_left >= 0)`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
