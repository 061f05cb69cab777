import { type Kysely, sql } from 'kysely';
import type { Ddl } from '../ddl.ts';

/** Secrets that were given on the set-up page: the settings file names them, the values lie here, sealed. */
export async function up(db: Kysely<unknown>, { text, int, table }: Ddl): Promise<void> {
  const statement = `create table settings_secrets (
    name ${text} primary key,
    sealed ${text} not null,
    updated_at ${int} not null
  ) ${table}`;
  await sql.raw(statement).execute(db);
}
