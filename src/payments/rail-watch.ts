/** Keeps the rails' word on whether they can settle fresh: what cannot be settled is not asked for. */
import type { Rail } from '../chains/chain.ts';
import type { Rails } from '../chains/rails.ts';
import type { Log } from '../log.ts';

/** A rail that cannot settle is asked again at every look, one that can at every tenth. */
const LOOK_MS = 30_000;
const LOOKS_PER_REFRESH = 10;

export class RailWatch {
  readonly #rails: Rails;
  readonly #log: Log;
  readonly #problems = new Map<string, string | null>();
  #timer: NodeJS.Timeout | null = null;
  #isLooking = false;
  #looks = 0;

  constructor({ rails, log }: { rails: Rails; log: Log }) {
    this.#rails = rails;
    this.#log = log;
  }

  async start(): Promise<void> {
    this.#timer = setInterval(() => {
      this.#look().catch((error: unknown) => this.#log.error('rail_refresh_failed', { error }));
    }, LOOK_MS);
    this.#timer.unref();
    await this.look(this.#rails.list());
  }

  /** Asks these now, said like any other look. */
  async look(rails: readonly Rail[]): Promise<void> {
    await Promise.all(rails.map((rail) => this.#refresh(rail)));
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#looks += 1;
    const isFull = this.#looks % LOOKS_PER_REFRESH === 0;
    const due = this.#rails.list().filter((rail) => isFull || !rail.status().canSettle);
    await this.look(due).finally(() => {
      this.#isLooking = false;
    });
  }

  /** Said once when it changes. */
  async #refresh(rail: Rail): Promise<void> {
    const { canSettle, problem } = await rail.refresh();
    const { network } = rail;
    const before = this.#problems.get(network);
    this.#problems.set(network, problem);
    if (!canSettle && before !== problem) this.#log.warn('rail_not_offered', { network, problem });
    if (canSettle && before) this.#log.info('rail_offered', { network });
  }
}
