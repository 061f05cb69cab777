/** The end of one hold: whoever comes first captures or voids it, everybody else gets the same answer. */
import type { LastPart, Run } from '../idempotency/run.ts';
import type { Hold, Ledger, Resolution } from '../ledger/ledger.ts';
import type { Admission } from '../limits/rates.ts';
import type { Log } from '../log.ts';
import { type Charge, usageJson } from './charge.ts';

type Rate = Pick<Admission, 'settle'>;
type LastOf = (resolution: Resolution) => LastPart;

export class Settlement {
  readonly #ledger: Ledger;
  readonly #log: Log;
  readonly hold: Hold;
  readonly #keep: Run | null;
  readonly #rate: Rate;
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
  finish(charge: Charge | null, last: LastOf | null = null): Promise<Resolution | null> {
    this.#finished ??= this.#resolve(charge, last);
    return this.#finished;
  }

  async #resolve(charge: Charge | null, last: LastOf | null): Promise<Resolution | null> {
    const { hold } = this;
    this.#rate.settle(charge ? charge.usage.inputTokens + charge.usage.outputTokens : 0);
    try {
      if (!charge) return await this.#ledger.void(hold);
      const resolution = await this.#capture(charge, last);
      if (resolution.shortfall > 0) {
        this.#log.error('charge_above_hold', {
          hold: hold.id,
          requestId: hold.requestId,
          model: hold.model,
          heldNano: hold.amount,
          costNano: charge.cost,
        });
      }
      return resolution;
    } catch (error) {
      this.#log.error('settlement_failed', { hold: hold.id, requestId: hold.requestId, error });
      return null;
    }
  }

  #capture(charge: Charge, last: LastOf | null): Promise<Resolution> {
    const { hold } = this;
    const usage = usageJson(charge);
    if (this.#keep && last) return this.#keep.capture(hold, charge.cost, usage, last);
    return this.#ledger.capture(hold, charge.cost, usage);
  }
}
