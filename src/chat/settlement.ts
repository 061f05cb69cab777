/** The end of one hold: whoever comes first captures or voids it, everybody else gets the same answer. */
import type { LastPart, Run } from '../idempotency/run.ts';
import type { Hold, Ledger, Resolution } from '../ledger/ledger.ts';
import type { Admission } from '../limits/rates.ts';
import type { Log } from '../log.ts';
import type { NanoUsd } from '../money.ts';
import { currentSpan, type Span, traced } from '../traces/trace.ts';

type Rate = Pick<Admission, 'settle'>;
type LastOf = (resolution: Resolution) => LastPart;

/** What is charged for. */
export interface Bill {
  cost: NanoUsd;
  /** That count in its caller's rates. */
  tokens: number;
  /** JSON, for the hold's row. */
  usage: string;
}

export class Settlement {
  readonly #ledger: Ledger;
  readonly #log: Log;
  readonly hold: Hold;
  readonly #keep: Run | null;
  readonly #rate: Rate;
  /** It ends where the upstream's bytes come in, which is nobody's span. */
  readonly #under: Span | null = currentSpan();
  #finished: Promise<Resolution | null> | null = null;

  constructor(
    { ledger, log, rate }: { ledger: Ledger; log: Log; rate: Rate },
    hold: Hold,
    keep: Run | null = null,
  ) {
    this.#ledger = ledger;
    this.#log = log;
    this.hold = hold;
    this.#keep = keep;
    this.#rate = rate;
  }

  /**
   * Charges, or gives the hold back for null. Null where the storage failed: the caller's answer ends all the same, and the hold
   * is given back when its time is over. `last`: what goes out after it, where the answer is kept.
   */
  finish(bill: Bill | null, last: LastOf | null = null): Promise<Resolution | null> {
    this.#finished ??= this.#resolveInSpan(bill, last);
    return this.#finished;
  }

  #resolveInSpan(bill: Bill | null, last: LastOf | null): Promise<Resolution | null> {
    return traced(
      () => this.#spec(),
      async (span) => {
        const resolution = await this.#resolve(bill, last);
        span?.set({ 'farebox.charged_nano_usd': resolution?.charged ?? null });
        if (!resolution) span?.fail('settlement_failed');
        return resolution;
      },
    );
  }

  #spec() {
    const { id, model, requestId } = this.hold;
    const attributes = {
      'farebox.hold': id,
      'farebox.model': model,
      'farebox.request_id': requestId,
    };
    return { name: 'settle', parent: this.#under, attributes };
  }

  async #resolve(bill: Bill | null, last: LastOf | null): Promise<Resolution | null> {
    const { hold } = this;
    this.#rate.settle(bill ? bill.tokens : 0);
    try {
      if (!bill) return await this.#ledger.void(hold);
      const resolution = await this.#capture(bill, last);
      if (resolution.shortfall > 0) {
        this.#log.error('charge_above_hold', {
          hold: hold.id,
          requestId: hold.requestId,
          model: hold.model,
          heldNano: hold.amount,
          costNano: bill.cost,
        });
      }
      return resolution;
    } catch (error) {
      this.#log.error('settlement_failed', { hold: hold.id, requestId: hold.requestId, error });
      return null;
    }
  }

  #capture({ cost, usage }: Bill, last: LastOf | null): Promise<Resolution> {
    const { hold } = this;
    if (this.#keep && last) return this.#keep.capture(hold, cost, usage, last);
    return this.#ledger.capture(hold, cost, usage);
  }
}
