/** How the shop stands, in a few sums that are read by index or over one row an account. */
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../db/tables.ts';

export class Figures {
  readonly #read: Kysely<Tables>;

  constructor(read: Kysely<Tables>) {
    this.#read = read;
  }

  /** What is owed to customers, and what of it is held, in nano-USD. */
  owed(): Promise<{ liabilities: number; held: number }> {
    return this.#read
      .selectFrom('accounts')
      .select((eb) => [
        eb.fn.coalesce(eb.fn.sum<number>('posted'), sql<number>`0`).as('liabilities'),
        eb.fn.coalesce(eb.fn.sum<number>('held'), sql<number>`0`).as('held'),
      ])
      .executeTakeFirstOrThrow();
  }
}
