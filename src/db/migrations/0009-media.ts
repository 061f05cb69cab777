import { type Kysely, sql } from 'kysely';
import type { Ddl } from '../ddl.ts';

/** Results of tasks that this server keeps: where the bytes are, until when, and why they went. */
export async function up(db: Kysely<unknown>, { text, int, table }: Ddl): Promise<void> {
  const statements = [
    `create table media (
      id ${text} primary key,
      account_id ${text} not null references accounts (id),
      task_id ${text} not null,
      idx ${int} not null check (idx >= 0),
      sha256 ${text} not null check (length(sha256) = 64),
      bytes ${int} not null check (bytes > 0),
      content_type ${text} not null,
      place ${text} not null unique,
      created_at ${int} not null,
      expires_at ${int} not null,
      deleted_at ${int},
      deleted_because ${text} check (deleted_because in
        ('retention', 'owner', 'completed', 'operator')),
      check ((deleted_at is null) = (deleted_because is null)),
      unique (task_id, idx)
    ) ${table}`,
    'create index media_account on media (account_id, id)',
    'create index media_kept on media (expires_at) where deleted_at is null',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
