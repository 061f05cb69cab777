import { type Kysely, sql } from 'kysely';
import type { Ddl } from '../ddl.ts';

/** Requests with an Idempotency-Key, and their answers, sealed. */
export async function up(db: Kysely<unknown>, { text, int, table }: Ddl): Promise<void> {
  const statements = [
    `create table idempotency_keys (
      principal ${text} not null,
      key ${text} not null,
      fingerprint ${text} not null,
      state ${text} not null check (state in ('running', 'done')),
      request_id ${text} not null,
      hold_id ${text},
      instance ${text} not null,
      answer ${text},
      bytes ${int} not null default 0 check (bytes >= 0),
      created_at ${int} not null,
      expires_at ${int} not null,
      primary key (principal, key),
      check ((answer is null) = (bytes = 0)),
      check (state = 'done' or answer is null)
    ) ${table}`,
    'create index idempotency_keys_due on idempotency_keys (expires_at)',
    `create index idempotency_keys_kept on idempotency_keys (expires_at, bytes) where bytes > 0`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
