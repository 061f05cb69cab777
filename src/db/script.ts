/** Several set-based statements that run as one: a batch of the writer is a few hand-overs to the database, not a dozen. */
import type { CompiledQuery } from 'kysely';

export interface ScriptStep {
  /** Of its rows, in order. */
  columns: readonly string[];
  /** The statement over its rows. */
  text(rows: string): string;
  /** Whether it must touch as many rows as it is given. */
  isExact: boolean;
}

/** Takes the rows of each step, [] for none. Running it throws GuardMiss, and nothing is written, where an exact step is not. */
export type Script = (rows: readonly (readonly unknown[])[]) => CompiledQuery;
