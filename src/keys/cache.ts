import type { AuthenticatedKey, KeyInfo } from './keys.ts';

export interface KeyWithAncestors {
  row: KeyInfo;
  /** Nearest first. */
  above: KeyInfo[];
  principal: AuthenticatedKey;
}

const MAX_CACHED = 10_000;

/** Keys seen in this process, by secret. Every change of any key empties it; money is decided on the rows themselves. */
export class KeyCache {
  readonly #found = new Map<string, KeyWithAncestors>();
  #changes = 0;

  /** Counts changes, so that rows read before one are not kept after it. */
  get changes(): number {
    return this.#changes;
  }

  get(secret: string): KeyWithAncestors | undefined {
    return this.#found.get(secret);
  }

  keep(secret: string, found: KeyWithAncestors, changes: number): void {
    if (changes !== this.#changes) return;
    if (this.#found.size >= MAX_CACHED) this.#found.clear();
    this.#found.set(secret, found);
  }

  clear(): void {
    this.#changes += 1;
    this.#found.clear();
  }
}
