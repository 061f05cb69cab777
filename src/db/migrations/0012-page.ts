import { type Kysely, sql } from 'kysely';
import type { Ddl } from '../ddl.ts';

/** The operator's page: who is signed in, and the links by which a new server is claimed. Both are kept as hashes. */
export async function up(db: Kysely<unknown>, { text, int, table }: Ddl): Promise<void> {
  const statements = [
    `create table admin_sessions (
      token_hash ${text} primary key,
      key_id ${text} not null,
      created_at ${int} not null,
      expires_at ${int} not null
    ) ${table}`,
    'create index admin_sessions_expires on admin_sessions (expires_at)',
    `create table claims (
      code_hash ${text} primary key,
      created_at ${int} not null,
      expires_at ${int} not null,
      used_at ${int}
    ) ${table}`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
