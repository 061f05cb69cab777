/** The end of one hold: whoever comes first captures or voids it, everybody else gets the same answer. */
import type { Hold, Ledger, Resolution } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import { type Charge, usageJson } from './charge.ts';

export class Settlement {
  readonly #ledger: Ledger;
  readonly #log: Log;
  readonly hold: Hold;
  #finished: Promise<Resolution | null> | null = null;

  constructor(ledger: Ledger, log: Log, hold: Hold) {
    this.#ledger = ledger;
    this.#log = log;
    this.hold = hold;
  }

  /**
   * Charges, or gives the hold back for null. Null where the storage failed: the caller's answer ends all the same, and the hold
   * is given back when its time is over.
   */
  finish(charge: Charge | null): Promise<Resolution | null> {
    this.#finished ??= this.#resolve(charge);
    return this.#finished;
  }

  async #resolve(charge: Charge | null): Promise<Resolution | null> {
    const { hold } = this;
    try {
      if (!charge) return await this.#ledger.void(hold);
      const resolution = await this.#ledger.capture(hold, charge.cost, usageJson(charge));
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
}
