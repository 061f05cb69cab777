/** Tells those that wait in this process that something happened to a task. The rows are the truth; this only says when to look. */
export class Bell {
  /** By task id and by account id. */
  readonly #listeners = new Map<string, Set<() => void>>();

  ring(...names: string[]): void {
    for (const name of names) for (const listener of this.#listeners.get(name) ?? []) listener();
  }

  ringAll(): void {
    this.ring(...this.#listeners.keys());
  }

  /** Answers what takes the listener back. */
  listen(name: string, listener: () => void): () => void {
    const all = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, all.add(listener));
    return () => {
      all.delete(listener);
      if (!all.size && this.#listeners.get(name) === all) this.#listeners.delete(name);
    };
  }

  /** Resolves at the next ring, after `ms`, or when the signal fires. */
  async wait(name: string, ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = this.listen(name, resolve);
    try {
      await within(promise, ms, signal);
    } finally {
      stop();
    }
  }
}

/** Waits for the work, for `ms` at most, and not when the signal fires. Leaves nothing behind on a signal that lives long. */
export async function within(work: Promise<void>, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted || ms <= 0) return;
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, ms);
  const onAbort = () => over.resolve();
  signal.addEventListener('abort', onAbort);
  await Promise.race([work, over.promise]);
  clearTimeout(timer);
  signal.removeEventListener('abort', onAbort);
}
