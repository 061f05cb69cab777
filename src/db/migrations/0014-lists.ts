import { type Kysely, sql } from 'kysely';
import type { Ddl } from '../ddl.ts';

/** What operators look through on their pages, at any size. */
export async function up(db: Kysely<unknown>, _ddl: Ddl): Promise<void> {
  const statements = [
    'create index payments_state on payments (state, id)',
    'create index payments_payer on payments (payer, id)',
    'create index tasks_state on tasks (state, id)',
    'create index audit_log_actor on audit_log (actor, seq)',
    'create index audit_log_action on audit_log (action, seq)',
    "create index accounts_frozen on accounts (id) where state = 'frozen'",
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
