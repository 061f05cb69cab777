/**
 * What the ledger must do, in the plainest words: every question is answered by adding everything up from the beginning, one
 * operation at a time. It shares no code with the ledger.
 */
export type Period = 'EPOCH' | 'MONTH' | 'LIFETIME';

const MOST_ANCESTORS = 5;
const NEVER = Number.POSITIVE_INFINITY;

interface Account {
  creditLine: number;
  isFrozen: boolean;
}

interface Key {
  account: number;
  parent: number | null;
  isRevoked: boolean;
  expiresAt: number;
  period: Period;
  limit: number | null;
}

export interface ModelHold {
  account: number;
  key: number | null;
  amount: number;
  state: 'open' | 'captured' | 'voided' | 'expired';
  charged: number;
  shortfall: number;
  day: string;
  month: string;
  expiresAt: number;
  purpose: string;
}

export interface Ask {
  account: number;
  key: number | null;
  amount: number;
  atLeast: number;
  minimumAvailable: number;
  purpose: string;
  ttlMs: number;
}

export interface Balance {
  posted: number;
  held: number;
}

export interface Refused {
  code: string;
  details?: Record<string, unknown>;
}

export interface Granted {
  hold: number;
  amount: number;
  day: string;
  month: string;
  balance: Balance;
  limitLeft: number | null;
}

export class Model {
  readonly accounts: Account[] = [];
  readonly keys: Key[] = [];
  readonly holds: ModelHold[] = [];
  readonly payments: { account: number; amount: number; isReversed: boolean }[] = [];
  readonly nonces = new Set<number>();
  readonly #movements: { account: number; change: number }[] = [];
  #newestEntry = 0;
  clockMs: number;

  constructor(clockMs: number) {
    this.clockMs = clockMs;
  }

  /** The ledger's time: that of the clock, but never before an entry that stands. */
  get nowMs(): number {
    return Math.max(this.clockMs, this.#newestEntry);
  }

  // What there is.

  balance(account: number): Balance {
    const moved = this.#movements.filter((movement) => movement.account === account);
    const open = this.holds.filter((hold) => hold.account === account && hold.state === 'open');
    return {
      posted: sum(moved.map(({ change }) => change)),
      held: sum(open.map(({ amount }) => amount)),
    };
  }

  unspent(account: number): number {
    const { posted, held } = this.balance(account);
    return Math.max(0, posted - held);
  }

  /** A key and the keys that it comes from, nearest first. */
  lineage(key: number | null): number[] {
    return key === null ? [] : [key, ...this.lineage(this.keys[key]!.parent)];
  }

  works(key: number): boolean {
    const { isRevoked, expiresAt } = this.keys[key]!;
    return !isRevoked && expiresAt > this.nowMs;
  }

  /** Charged and held, now, in the window of the key's period, by the key and all that come from it. */
  used(key: number): number {
    const { period } = this.keys[key]!;
    const counted = this.holds
      .filter((hold) => this.lineage(hold.key).includes(key))
      .filter((hold) => period !== 'EPOCH' || hold.day === dayOf(this.nowMs))
      .filter((hold) => period !== 'MONTH' || hold.month === monthOf(this.nowMs));
    return sum(counted.map((hold) => (hold.state === 'open' ? hold.amount : hold.charged)));
  }

  /** Null without a limit; below zero where it was lowered below what is used. */
  #left(key: number): number | null {
    const { limit } = this.keys[key]!;
    return limit === null ? null : limit - this.used(key);
  }

  limitLeft(key: number | null): number | null {
    const lefts = this.lineage(key).flatMap((id) => this.#left(id) ?? []);
    return lefts.length ? Math.max(0, Math.min(...lefts)) : null;
  }

  // What happens.

  reserve(ask: Ask): Granted | Refused {
    const { account, key, amount, atLeast, minimumAvailable, purpose, ttlMs } = ask;
    for (const id of this.lineage(key)) {
      const left = this.#left(id);
      if (!this.works(id)) return { code: 'invalid_credential' };
      if (left === null || left >= atLeast) continue;
      const details = { limitPeriod: this.keys[id]!.period, leftNano: Math.max(0, left) };
      return { code: 'spend_limit_exceeded', details };
    }
    const { isFrozen, creditLine } = this.accounts[account]!;
    if (isFrozen) return { code: 'account_frozen' };
    const { posted, held } = this.balance(account);
    const available = posted + creditLine - held;
    if (available < atLeast || available < minimumAvailable) {
      return { code: 'insufficient_balance', details: { availableNano: available } };
    }
    const granted = Math.min(amount, available, this.limitLeft(key) ?? NEVER);
    const [day, month] = [dayOf(this.nowMs), monthOf(this.nowMs)];
    const hold = this.#open({ account, key, amount: granted, purpose, day, month, ttlMs });
    const balance = this.balance(account);
    return { hold, amount: granted, day, month, balance, limitLeft: this.limitLeft(key) };
  }

  #open(
    what: Omit<ModelHold, 'state' | 'charged' | 'shortfall' | 'expiresAt'> & { ttlMs: number },
  ) {
    const { ttlMs, ...hold } = what;
    const expiresAt = this.nowMs + ttlMs;
    return this.holds.push({ ...hold, state: 'open', charged: 0, shortfall: 0, expiresAt }) - 1;
  }

  /** Capture (with a cost), void and expire (without). A hold is resolved once; later ones are told what the first did. */
  resolve(index: number, state: 'captured' | 'voided' | 'expired', cost: number) {
    const hold = this.holds[index]!;
    const wasResolvedBefore = hold.state !== 'open';
    if (!wasResolvedBefore) {
      hold.state = state;
      hold.charged = Math.min(cost, hold.amount);
      hold.shortfall = cost - hold.charged;
      if (hold.charged > 0) this.post(hold.account, -hold.charged);
      if (hold.shortfall > 0) this.#newestEntry = this.nowMs;
    }
    const { charged, shortfall } = hold;
    const limitLeft = wasResolvedBefore ? null : this.limitLeft(hold.key);
    return {
      charged,
      shortfall,
      balance: this.balance(hold.account),
      limitLeft,
      wasResolvedBefore,
    };
  }

  post(account: number, change: number): number {
    this.#newestEntry = this.nowMs;
    this.#movements.push({ account, change });
    return this.balance(account).posted;
  }

  deposit(account: number, amount: number): number {
    this.payments.push({ account, amount, isReversed: false });
    return this.post(account, amount);
  }

  /** What is still there is taken, the rest is lost; the account is frozen. Null for one that was taken back before. */
  reverse(payment: number): { taken: number; lost: number } | null {
    const { account, amount, isReversed } = this.payments[payment]!;
    if (isReversed) return null;
    this.payments[payment]!.isReversed = true;
    this.accounts[account]!.isFrozen = true;
    const taken = this.take(account, amount);
    this.#newestEntry = this.nowMs;
    return { taken, lost: amount - taken };
  }

  /** Takes what is unspent, at most `amount`. */
  take(account: number, amount: number): number {
    const taken = Math.min(amount, this.unspent(account));
    if (taken > 0) this.post(account, -taken);
    return taken;
  }

  setAside(account: number, amount: number): number | null {
    const { posted, held } = this.balance(account);
    if (posted - held < amount) return null;
    const [day, month] = [dayOf(this.nowMs), monthOf(this.nowMs)];
    return this.#open({ account, key: null, amount, purpose: 'aside', day, month, ttlMs: NEVER });
  }

  giveBack(index: number): boolean {
    if (this.holds[index]!.state !== 'open') return false;
    this.resolve(index, 'voided', 0);
    return true;
  }

  /** A key of a key of the same account ends with it. Answers its number, or why there is none. */
  mint(account: number, parent: number | null): number | Refused {
    const above = this.lineage(parent);
    if (!above.every((key) => this.works(key))) return { code: 'invalid_credential' };
    if (above.length >= MOST_ANCESTORS) return { code: 'forbidden' };
    const expiresAt = Math.min(NEVER, ...above.map((key) => this.keys[key]!.expiresAt));
    const owner = parent === null ? account : this.keys[parent]!.account;
    const key: Key = {
      account: owner,
      parent,
      isRevoked: false,
      expiresAt,
      period: 'EPOCH',
      limit: null,
    };
    return this.keys.push(key) - 1;
  }

  /** And every key that comes from it. */
  revoke(key: number): void {
    if (this.keys[key]!.isRevoked) return;
    for (const [index, other] of this.keys.entries()) {
      if (this.lineage(index).includes(key)) other.isRevoked = true;
    }
  }

  sweep(): void {
    for (const [index, hold] of this.holds.entries()) {
      if (hold.state === 'open' && hold.expiresAt <= this.clockMs)
        this.resolve(index, 'expired', 0);
    }
  }

  /** What belonged to a request ends with its process; what belongs to something longer does not. */
  restart(): void {
    for (const [index, hold] of this.holds.entries()) {
      if (hold.state === 'open' && hold.purpose === 'chat') this.resolve(index, 'voided', 0);
    }
  }
}

function sum(amounts: number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0);
}

export function dayOf(ms: number): string {
  return `${monthOf(ms)}-${two(new Date(ms).getUTCDate())}`;
}

export function monthOf(ms: number): string {
  const date = new Date(ms);
  return `${date.getUTCFullYear()}-${two(date.getUTCMonth() + 1)}`;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
