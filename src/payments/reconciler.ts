/** Asks about payments whose outcome is not known, and about credited ones until they are final. */
import type { Rail } from '../chains/chain.ts';
import type { Rails } from '../chains/rails.ts';
import type { Clock } from '../clock.ts';
import type { PaymentRow } from '../db/tables.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import { formatUsd } from '../money.ts';
import { within } from './in-flight.ts';
import {
  isLate,
  keepAsking,
  missed,
  MISSES_TO_REVERSE,
  reversePayment,
  seenAgain,
  takeUp,
} from './outcome.ts';
import { forgetIdentifiers } from './rows.ts';
import type { Settler } from './settler.ts';

export interface ReconcilerOptions {
  ledger: Ledger;
  rails: Rails;
  settler: Settler;
  clock: Clock;
  log: Log;
}

const SWEEP_MS = 1_000;
const FORGET_MS = 3_600_000;
/** Rows looked at in one sweep, and rows under way at once: one network that does not answer must not hold up the others. */
const MAX_PER_SWEEP = 50;
const MAX_AT_ONCE = 50;

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #busy = new Map<string, Promise<void>>();
  #timer: NodeJS.Timeout | null = null;
  #tick: Promise<unknown> | null = null;
  #forgottenAtMs = 0;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Takes up what an earlier process left, at once, and goes on by itself. */
  async start(): Promise<void> {
    await this.takeUp(this.#options.rails.list());
    this.#beat();
    this.#timer = setInterval(() => this.#beat(), SWEEP_MS);
    this.#timer.unref();
  }

  /** What waits for a chain that can be asked now. */
  async takeUp(rails: readonly Pick<Rail, 'network' | 'canLookUp'>[]): Promise<void> {
    const withChain = rails.filter(({ canLookUp }) => canLookUp);
    await takeUp(
      this.#options.ledger,
      withChain.map(({ network }) => network),
    );
  }

  #beat(): void {
    this.#tick ??= this.#begin()
      .catch((error: unknown) => this.#options.log.error('reconcile_failed', { error }))
      .finally(() => {
        this.#tick = null;
      });
  }

  async stop(withinMs: number): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    await this.#tick;
    await within(Promise.allSettled(this.#busy.values()), withinMs);
  }

  /** Looks at the payments that are due, and waits for what comes of it; answers how many. */
  async sweep(): Promise<number> {
    const begun = await this.#begin();
    await Promise.all(begun);
    return begun.length;
  }

  async #begin(): Promise<Promise<void>[]> {
    const { ledger, settler, clock, log } = this.#options;
    await this.#forget();
    const free = MAX_AT_ONCE - this.#busy.size;
    if (free <= 0) return [];
    const due = await ledger.read
      .selectFrom('payments')
      .selectAll()
      .where('next_check_at', '<=', clock.nowMs())
      .orderBy('next_check_at')
      .limit(MAX_PER_SWEEP + this.#busy.size)
      .execute();
    const idle = due.filter(({ id }) => !this.#busy.has(id) && !settler.inFlight.get(id));
    return idle.slice(0, free).map((row) => {
      const work = this.#reconcile(row)
        .catch((error: unknown) => log.error('reconcile_failed', { payment: row.id, error }))
        .finally(() => this.#busy.delete(row.id));
      this.#busy.set(row.id, work);
      return work;
    });
  }

  async #reconcile(row: PaymentRow): Promise<void> {
    const { ledger, settler, log } = this.#options;
    try {
      if (row.state === 'settled') await this.#recheck(row);
      else await settler.advance(row, 'reconciler');
    } catch (error) {
      log.error('reconcile_failed', { payment: row.id, error });
      // Later, so that a row which always fails does not stand before the others.
      const transaction = row.transaction_id;
      await keepAsking(ledger, row.id, {
        state: 'unknown',
        reason: 'reconcile_failed',
        transaction,
      });
    }
  }

  /** A credited payment until it is final. */
  async #recheck(row: PaymentRow): Promise<void> {
    const { ledger, settler, log, clock } = this.#options;
    const evidence = await settler.look(row);
    const what = { payment: row.id, network: row.network, transaction: row.transaction_id };
    if (evidence.state === 'settled') {
      await seenAgain(ledger, row.id, evidence);
    } else if (evidence.state === 'failed') {
      await this.#reverse(row, evidence.reason);
    } else if (evidence.reason !== 'not_found') {
      await keepAsking(ledger, row.id, evidence);
    } else {
      log.warn('credited_payment_not_on_chain', what);
      const misses = await missed(ledger, row.id);
      if (misses >= MISSES_TO_REVERSE && isLate(row, clock.nowMs())) {
        await this.#reverse(row, evidence.reason);
      }
    }
  }

  async #reverse(row: PaymentRow, why: string): Promise<void> {
    const { ledger, log } = this.#options;
    const reversed = await reversePayment(ledger, row.id);
    if (!reversed) return;
    log.error('payment_reversed', {
      payment: row.id,
      network: row.network,
      account: row.account_id,
      transaction: row.transaction_id,
      why,
      taken: formatUsd(reversed.taken),
      lost: formatUsd(reversed.lost),
    });
  }

  async #forget(): Promise<void> {
    const { ledger, clock } = this.#options;
    if (clock.nowMs() < this.#forgottenAtMs + FORGET_MS) return;
    this.#forgottenAtMs = clock.nowMs();
    await ledger.write(({ db, nowMs }) => forgetIdentifiers(db, nowMs));
  }
}
