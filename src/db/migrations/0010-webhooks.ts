import { type Kysely, sql } from 'kysely';
import type { Ddl } from '../ddl.ts';

/** Events of tasks on their way to callbacks, and what each account's are signed with. */
export async function up(db: Kysely<unknown>, { text, int, table }: Ddl): Promise<void> {
  const statements = [
    `create table webhook_secrets (
      account_id ${text} primary key references accounts (id),
      sealed ${text} not null,
      previous ${text},
      previous_until ${int},
      created_at ${int} not null,
      check ((previous is null) = (previous_until is null))
    ) ${table}`,
    `create table webhook_deliveries (
      id ${text} primary key,
      account_id ${text} not null references accounts (id),
      task_id ${text} not null,
      event ${text} not null,
      url ${text} not null,
      origin ${text} not null,
      payload ${text} not null,
      state ${text} not null check (state in ('pending', 'delivered', 'failed')),
      attempts ${int} not null default 0,
      next_at ${int},
      last_status ${int},
      last_error ${text},
      created_at ${int} not null,
      since ${int} not null,
      delivered_at ${int},
      check ((state = 'pending') = (next_at is not null)),
      check (state <> 'delivered' or (delivered_at is not null and last_status between 200 and 299)),
      unique (task_id, event)
    ) ${table}`,
    'create index webhook_deliveries_account on webhook_deliveries (account_id, id)',
    `create index webhook_deliveries_due on webhook_deliveries (account_id, origin, next_at) where state = 'pending'`,
    `create index webhook_deliveries_next on webhook_deliveries (next_at) where state = 'pending'`,
    'create index webhook_deliveries_state on webhook_deliveries (state, id)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
