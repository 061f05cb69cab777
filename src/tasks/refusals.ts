/**
 * Upstreams that are asked to let go of a task: once at a time, and after a refusal not for a while, longer each time. Each asking takes
 * the task away from whoever copies its result just then, so an owner who asks without end would else keep it from ever being done.
 */
interface Refused {
  error: unknown;
  pauseMs: number;
  untilMs: number;
}

const PAUSE_MS = 10_000;
const MAX_PAUSE_MS = 10 * 60_000;
/** The oldest are forgotten. */
const MAX_REFUSED = 10_000;

export class Refusals<Answer> {
  readonly #asking = new Map<string, Promise<Answer>>();
  readonly #refused = new Map<string, Refused>();

  /** What `ask` comes to, for all who come meanwhile; what it threw, until its time is over. */
  async ask(id: string, nowMs: () => number, ask: () => Promise<Answer>): Promise<Answer> {
    const asking = this.#asking.get(id);
    if (asking) return asking;
    const before = this.#refused.get(id);
    if (before && nowMs() < before.untilMs) throw before.error;
    const answer = ask();
    this.#asking.set(id, answer);
    try {
      return await answer;
    } catch (error) {
      const pauseMs = before ? Math.min(2 * before.pauseMs, MAX_PAUSE_MS) : PAUSE_MS;
      this.#refused.delete(id);
      this.#refused.set(id, { error, pauseMs, untilMs: nowMs() + pauseMs });
      if (this.#refused.size > MAX_REFUSED) {
        this.#refused.delete(this.#refused.keys().next().value!);
      }
      throw error;
    } finally {
      this.#asking.delete(id);
    }
  }
}
