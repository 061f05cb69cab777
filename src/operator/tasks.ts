/** Tasks of everybody, as an operator reads them: nothing that is sealed for their owners. */
import { type Kysely, sql } from 'kysely';
import { type Operator, operatorName } from '../auth/operator.ts';
import type { Tables, TaskEventRow, TaskRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { Page } from './lists.ts';

const MAX_EVENTS = 200;

export class OperatorTasks {
  readonly #read: Kysely<Tables>;

  /** `read`: a connection on which a long statement keeps nobody waiting. */
  constructor(read: Kysely<Tables>) {
    this.#read = read;
  }

  /** Newest first. */
  async list(
    by: Operator,
    page: Page & { state?: TaskRow['state'] | undefined; accountId?: string | undefined },
  ): Promise<TaskRow[]> {
    operatorName(by);
    const { limit, before, state, accountId } = page;
    let query = this.#read.selectFrom('tasks').selectAll();
    if (before !== undefined) query = query.where('id', '<', before);
    if (state !== undefined && accountId === undefined) query = query.where('state', '=', state);
    // As text it has no index: an account has fewer tasks than a state has.
    else if (state !== undefined) query = query.where(sql`state || ''`, '=', state);
    if (accountId !== undefined) query = query.where('account_id', '=', accountId);
    return query.orderBy('id', 'desc').limit(limit).execute();
  }

  /** Throws not_found. */
  async one(by: Operator, id: string): Promise<TaskRow> {
    operatorName(by);
    const row = await this.#read
      .selectFrom('tasks')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst();
    if (row) return row;
    throw new AppError('not_found', 'There is no such task.');
  }

  /** Oldest first; those of old tasks are forgotten. */
  async events(by: Operator, id: string): Promise<TaskEventRow[]> {
    operatorName(by);
    return this.#read
      .selectFrom('task_events')
      .selectAll()
      .where('task_id', '=', id)
      .orderBy('seq')
      .limit(MAX_EVENTS)
      .execute();
  }
}
