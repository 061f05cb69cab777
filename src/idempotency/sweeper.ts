/** Forgets keys whose time is over, in small steps, and keeps answers within the room that they may take. */
import type { Clock } from '../clock.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** Rows in one step, and how much of answers: a step holds up every other write. */
const MAX_ROWS = 500;
const MAX_STEP_BYTES = 16 * 1024 * 1024;
/** All answers together; beyond it the oldest are dropped before their time, and replay as gone. */
const MAX_KEPT_BYTES = 2 * 1024 * 1024 * 1024;

export interface SweeperOptions {
  ledger: Ledger;
  clock: Clock;
  maxKeptBytes?: number;
}

interface Step {
  expires_at: number;
  bytes: number;
}

export class Sweeper {
  readonly #options: SweeperOptions;
  /** What answers take; null until it was counted. */
  #kept: number | null = null;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  add(bytes: number): void {
    if (this.#kept !== null) this.#kept += bytes;
  }

  async sweep(): Promise<void> {
    const { ledger, clock, maxKeptBytes = MAX_KEPT_BYTES } = this.#options;
    const due = await ledger.read
      .selectFrom('idempotency_keys')
      .select(['expires_at', 'bytes'])
      .where('expires_at', '<=', clock.nowMs())
      .orderBy('expires_at')
      .limit(MAX_ROWS)
      .execute();
    await this.#forget(due);
    this.#kept ??= await this.#count();
    if (this.#kept > maxKeptBytes) await this.#drop(this.#kept - maxKeptBytes);
  }

  async #forget(due: Step[]): Promise<void> {
    const last = lastOf(due, MAX_STEP_BYTES);
    if (!last) return;
    const gone = await this.#options.ledger.write(({ db }) =>
      db
        .deleteFrom('idempotency_keys')
        .where('expires_at', '<=', last.expires_at)
        .returning('bytes')
        .execute(),
    );
    this.add(-sum(gone));
  }

  async #drop(excess: number): Promise<void> {
    const oldest = await this.#options.ledger.read
      .selectFrom('idempotency_keys')
      .select(['expires_at', 'bytes'])
      .where('bytes', '>', 0)
      .orderBy('expires_at')
      .limit(MAX_ROWS)
      .execute();
    const last = lastOf(oldest, Math.min(excess, MAX_STEP_BYTES));
    if (!last) return;
    const dropped = await this.#options.ledger.write(async ({ db }) => {
      const rows = db.selectFrom('idempotency_keys').select('bytes');
      const these = rows.where('bytes', '>', 0).where('expires_at', '<=', last.expires_at);
      const sizes = await these.execute();
      await db
        .updateTable('idempotency_keys')
        .set({ answer: null, bytes: 0 })
        .where('bytes', '>', 0)
        .where('expires_at', '<=', last.expires_at)
        .execute();
      return sizes;
    });
    this.add(-sum(dropped));
  }

  async #count(): Promise<number> {
    const row = await this.#options.ledger.read
      .selectFrom('idempotency_keys')
      .select((eb) => eb.fn.sum<number | null>('bytes').as('bytes'))
      .where('bytes', '>', 0)
      .executeTakeFirst();
    return row?.bytes ?? 0;
  }
}

/** The row up to which a step of so many bytes goes: at least the first. */
function lastOf(rows: Step[], bytes: number): Step | undefined {
  let taken = 0;
  for (const row of rows) {
    taken += row.bytes;
    if (taken >= bytes) return row;
  }
  return rows.at(-1);
}

function sum(rows: { bytes: number }[]): number {
  return rows.reduce((total, { bytes }) => total + bytes, 0);
}
