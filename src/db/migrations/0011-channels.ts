import { type Kysely, sql } from 'kysely';
import type { Ddl } from '../ddl.ts';

/** What went over each channel by UTC day: what was charged for it and what it cost, from entries; how its attempts ended, as counted. */
export async function up(db: Kysely<unknown>, { text, int, keyed }: Ddl): Promise<void> {
  const statements = [
    `create table channel_days (
      channel_id ${text} not null,
      day ${int} not null,
      model ${text} not null,
      requests ${int} not null,
      revenue ${int} not null,
      upstream ${int} not null,
      uncosted ${int} not null,
      primary key (channel_id, day, model)
    ) ${keyed}`,
    `create table channel_attempts (
      channel_id ${text} not null,
      day ${int} not null,
      attempts ${int} not null,
      good ${int} not null,
      sick ${int} not null,
      busy ${int} not null,
      primary key (channel_id, day)
    ) ${keyed}`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
