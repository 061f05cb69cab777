import { type Kysely, sql } from 'kysely';
import type { Ddl } from '../ddl.ts';

/** What was used by UTC day, account, key and model, up to an entry; and captures that cost nothing, which have no entry to find them by. */
export async function up(db: Kysely<unknown>, ddl: Ddl): Promise<void> {
  const { text, int, table, keyed } = ddl;
  const statements = [
    `create table usage_days (
      account_id ${text} not null,
      day ${int} not null,
      key_id ${text} not null,
      model ${text} not null,
      requests ${int} not null,
      input_tokens ${int} not null,
      output_tokens ${int} not null,
      cached_input_tokens ${int} not null,
      cache_write_tokens ${int} not null,
      reasoning_tokens ${int} not null,
      estimated ${int} not null,
      cost ${int} not null,
      shortfall ${int} not null,
      refunded ${int} not null,
      primary key (account_id, day, key_id, model)
    ) ${keyed}`,
    `create table usage_mark (
      id ${int} primary key check (id = 1),
      seq ${int} not null check (seq >= 0)
    ) ${table}`,
    'insert into usage_mark (id, seq) values (1, 0)',
    `create table usage_free (
      account_id ${text} not null,
      hold_id ${text} not null,
      primary key (account_id, hold_id)
    ) ${keyed}`,
    `insert into usage_free (account_id, hold_id)
      select account_id, id from holds where state = 'captured' and captured = 0`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
