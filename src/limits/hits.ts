/** The last times that callers of an account were over a limit: what GET /api/v1/api_keys/rate_limits/log answers. In memory. */
import type { Clock } from '../clock.ts';
import { type Principal, principalName } from '../auth/principal.ts';

/** Venice's names. Tokens a day count as TPM, for which it has no name of their own. */
export type HitType = 'RPD' | 'RPM' | 'TPM' | 'FAILED_REQUESTS';

export interface Hit {
  /** Key, or wallet, that was over it. */
  name: string;
  /** Keys that it comes from. */
  ancestors: readonly string[];
  /** Model id; '' where none was read. */
  model: string;
  type: HitType;
  atMs: number;
}

const KEPT = 50;
const MAX_ACCOUNTS = 2_000;

export class Hits {
  readonly #clock: Clock;
  /** By account, oldest first; the account that was hit last comes last. */
  readonly #hits = new Map<string, Hit[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(principal: Principal, model: string, type: HitType): void {
    const { accountId } = principal;
    if (accountId === null) return;
    const hits = this.#hits.get(accountId) ?? [];
    hits.push({
      name: principalName(principal),
      ancestors: principal.kind === 'key' ? principal.ancestors : [],
      model,
      type,
      atMs: this.#clock.nowMs(),
    });
    if (hits.length > KEPT) hits.shift();
    this.#hits.delete(accountId);
    this.#hits.set(accountId, hits);
    const [oldest] = this.#hits.keys();
    if (this.#hits.size > MAX_ACCOUNTS && oldest !== undefined) this.#hits.delete(oldest);
  }

  /** Newest first. `under`: only those of this key and of keys that come from it; null for the whole account. */
  list(accountId: string | null, under: string | null): Hit[] {
    const hits = this.#hits.get(accountId ?? '') ?? [];
    return hits
      .filter(
        ({ name, ancestors }) => under === null || name === under || ancestors.includes(under),
      )
      .toReversed();
  }
}
