import { type Kysely, sql } from 'kysely';
import type { Ddl } from '../ddl.ts';

/** Rule lists that quotes name, so that a quote holds over a restart with other prices. */
export async function up(db: Kysely<unknown>, { text, int, table }: Ddl): Promise<void> {
  const statement = `create table price_lists (
    model ${text} not null,
    version ${text} not null,
    prices ${text} not null,
    quoted_until ${int} not null,
    primary key (model, version)
  ) ${table}`;
  await sql.raw(statement).execute(db);
}
