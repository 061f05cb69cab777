import { type Kysely, sql } from 'kysely';
import type { Ddl } from '../ddl.ts';

/** Provider keys that owners stored (BYOK): one for each owner and vendor, sealed under a data key. */
export async function up(db: Kysely<unknown>, { text, int, table }: Ddl): Promise<void> {
  const statements = [
    `create table provider_keys (
      id ${text} primary key,
      account_id ${text} not null references accounts (id),
      vendor ${text} not null,
      label ${text} not null,
      last4 ${text} not null,
      sealed ${text} not null,
      key_version ${int} not null,
      state ${text} not null check (state in ('active', 'lost')),
      created_at ${int} not null,
      unique (account_id, vendor)
    ) ${table}`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
