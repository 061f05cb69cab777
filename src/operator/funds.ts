/** What lies on the chains, beside what is owed: read behind whoever asks, so that no page waits for a chain. */
import type { Rail } from '../chains/chain.ts';
import type { Rails } from '../chains/rails.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { fromUsdcUnits, type NanoUsd } from '../money.ts';

const KEPT_MS = 60_000;

export interface NetworkFunds {
  network: string;
  /** Null where it is not known: no RPC, not read yet, or it does not answer. */
  held: NanoUsd | null;
  readAtMs: number | null;
}

export class Funds {
  readonly #rails: Rails;
  readonly #clock: Clock;
  readonly #log: Pick<Log, 'warn'>;
  readonly #known = new Map<string, { held: NanoUsd; readAtMs: number }>();
  readonly #askedAt = new Map<string, number>();

  constructor(options: { rails: Rails; clock: Clock; log: Pick<Log, 'warn'> }) {
    this.#rails = options.rails;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** What was read last. Anything older than a minute is read again meanwhile. */
  all(): NetworkFunds[] {
    const nowMs = this.#clock.nowMs();
    return this.#rails.list().map((rail) => {
      const { network } = rail;
      if ((this.#askedAt.get(network) ?? -Infinity) + KEPT_MS <= nowMs)
        void this.#read(rail, nowMs);
      const known = this.#known.get(network);
      return { network, held: known?.held ?? null, readAtMs: known?.readAtMs ?? null };
    });
  }

  async #read(rail: Rail, nowMs: number): Promise<void> {
    const { network } = rail;
    this.#askedAt.set(network, nowMs);
    try {
      const units = await rail.funds();
      if (units !== null) this.#known.set(network, { held: fromUsdcUnits(units), readAtMs: nowMs });
    } catch (error) {
      this.#known.delete(network);
      this.#log.warn('funds_not_read', { network, error });
    }
  }
}
