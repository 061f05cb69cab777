/** The log of changes: who did what to what, and why. Append-only, written in the transaction of the change itself. */
import type { Kysely } from 'kysely';
import type { Tables } from './db/tables.ts';

export interface Change {
  /** principalName() of who did it, or `cli`, `start`. */
  actor: string;
  /** Verb of what was done: `key.create`, `account.freeze` … */
  action: string;
  /** Id of what it was done to. */
  target: string;
  reason?: string | undefined;
  /** What changed; never a secret. */
  detail?: Record<string, unknown> | undefined;
}

const MAX_REASON = 500;

export async function audit(
  tx: { db: Kysely<Tables>; nowMs: number },
  { actor, action, target, reason = '', detail = {} }: Change,
): Promise<void> {
  const last = await tx.db
    .selectFrom('audit_log')
    .select('seq')
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  await tx.db
    .insertInto('audit_log')
    .values({
      seq: (last?.seq ?? 0) + 1,
      at: tx.nowMs,
      actor,
      action,
      target,
      reason: reason.slice(0, MAX_REASON),
      detail: JSON.stringify(detail),
    })
    .execute();
}
