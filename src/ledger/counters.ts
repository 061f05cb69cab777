/** What the writer committed since the start, for metrics. */
import type { EntryKind } from '../db/tables.ts';
import { Tally } from '../tally.ts';
import type { EntryTuple } from './operations.ts';

const BATCH_SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256];

export class WriterCounters {
  batches = 0;
  operations = 0;
  /** Operations a batch. */
  readonly sizes = new Tally(BATCH_SIZES);
  readonly entries = new Map<EntryKind, { count: number; nano: bigint }>();

  /** One batch. */
  add(operations: number, entries: readonly EntryTuple[]): void {
    this.batches += 1;
    this.operations += operations;
    this.sizes.add(operations);
    for (const [, , kind, , , , amount] of entries) {
      let sum = this.entries.get(kind);
      if (!sum) this.entries.set(kind, (sum = { count: 0, nano: 0n }));
      sum.count += 1;
      sum.nano += BigInt(amount);
    }
  }
}
