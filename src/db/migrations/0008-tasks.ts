import { type Kysely, sql } from 'kysely';
import type { Ddl } from '../ddl.ts';

/** Media tasks and what happened to them. */
export async function up(db: Kysely<unknown>, { text, int, table }: Ddl): Promise<void> {
  const statements = [
    `create table tasks (
      id ${text} primary key,
      account_id ${text} not null references accounts (id),
      key_id ${text},
      owner ${text} not null,
      kind ${text} not null check (kind in ('image', 'video', 'music')),
      type ${text} not null,
      model ${text} not null,
      request_id ${text} not null,
      lane ${text} not null,
      queue ${text},
      priority ${int} not null,
      channel_id ${text},
      upstream_model ${text},
      tried ${text} not null,
      sealed ${text},
      callback ${text},
      priced ${text} not null,
      price_version ${text} not null,
      hold_id ${text} not null unique references holds (id),
      held ${int} not null check (held >= 0),
      charged ${int} not null default 0 check (charged >= 0),
      state ${text} not null check (state in
        ('pending', 'processing', 'completed', 'failed', 'cancelled', 'expired')),
      submit ${text} not null check (submit in ('unsent', 'sending', 'sent')),
      ref ${text},
      progress ${int} not null default 0 check (progress >= 0 and progress <= 100),
      queue_position ${int},
      starts ${int} not null default 0,
      polls ${int} not null default 0,
      crashes ${int} not null default 0,
      troubled_since ${int},
      lease_epoch ${int} not null default 0,
      next_at ${int},
      deadline_at ${int} not null,
      error_code ${text},
      error_message ${text},
      measured ${text},
      upstream_cost ${text},
      created_at ${int} not null,
      started_at ${int},
      ended_at ${int},
      check (queue is null or (state = 'pending' and submit = 'unsent' and next_at is null)),
      check ((ended_at is not null) = (state not in ('pending', 'processing'))),
      check (state in ('pending', 'processing') or sealed is null)
    ) ${table}`,
    // Whose turn it is in each lane.
    `create index tasks_queue on tasks (queue, account_id, priority desc, id) where queue is not null`,
    // What has waited too long.
    `create index tasks_waiting on tasks (deadline_at) where queue is not null`,
    // What was handed on, and is to be looked at.
    `create index tasks_due on tasks (next_at) where next_at is not null`,
    `create index tasks_account on tasks (account_id, id)`,
    `create index tasks_key on tasks (key_id, id) where key_id is not null`,
    `create table task_events (
      seq ${int} primary key,
      account_id ${text} not null,
      key_id ${text},
      task_id ${text} not null,
      type ${text} not null,
      at ${int} not null,
      payload ${text} not null
    ) ${table}`,
    `create index task_events_task on task_events (task_id, seq)`,
    `create index task_events_account on task_events (account_id, seq)`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
