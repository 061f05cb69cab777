/**
 * Requests and tokens a minute and a UTC day, by caller and tier of models. What a key's own rules allow is counted over all tiers
 * together, and a key counts against every key that it comes from. A refused request counts nowhere.
 */
import { type Principal, principalName } from '../auth/principal.ts';
import type { Clock } from '../clock.ts';
import type { ModelConfig, RateTier } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { RateRules } from '../keys/rules.ts';
import { type Counters, createCounters } from './counters.ts';
import type { HitType, Hits } from './hits.ts';

const MINUTE_SECONDS = 60;
const DAY_MS = 86_400_000;
/** Callers that have a balance, times tiers. */
const MAX_COUNTERS = 400_000;

interface Measure {
  field: keyof RateTier;
  of: 'requests' | 'tokens';
  isDaily: boolean;
  name: 'RPM' | 'RPD' | 'TPM' | 'TPD';
  hit: HitType;
  words: string;
}

export const MEASURES: readonly Measure[] = [
  {
    field: 'requestsPerMinute',
    of: 'requests',
    isDaily: false,
    name: 'RPM',
    hit: 'RPM',
    words: 'requests a minute',
  },
  {
    field: 'requestsPerDay',
    of: 'requests',
    isDaily: true,
    name: 'RPD',
    hit: 'RPD',
    words: 'requests a UTC day',
  },
  {
    field: 'tokensPerMinute',
    of: 'tokens',
    isDaily: false,
    name: 'TPM',
    hit: 'TPM',
    words: 'tokens a minute',
  },
  {
    field: 'tokensPerDay',
    of: 'tokens',
    isDaily: true,
    name: 'TPD',
    hit: 'TPM',
    words: 'tokens a UTC day',
  },
];

/** One limit as it stands for a caller. */
export interface Bucket {
  limit: number;
  remaining: number;
  /** When it is whole again. */
  endsAtMs: number;
}

/** The limits that leave least; null where there are none. */
export interface RateStanding {
  requests: Bucket | null;
  tokens: Bucket | null;
}

/** A request that may go on. */
export interface Admission {
  standing: RateStanding;
  /** Once: puts the tokens that were used in the place of those set aside; 0 gives all back. Changes `standing`. */
  settle(usedTokens: number): void;
}

export class RateLimitedError extends AppError {
  readonly standing: RateStanding;

  constructor(message: string, retryAfterSeconds: number, standing: RateStanding) {
    super('rate_limited', message, { retryAfterSeconds });
    this.standing = standing;
  }
}

/** One counter that a request counts in. */
interface Count {
  key: string;
  measure: Measure;
  limit: number;
  amount: number;
  /** As the store has it, this request included. */
  used: number;
  endsAtMs: number;
}

/** Types of models that have no tier of their name. */
const TIER_OF: Partial<Record<ModelConfig['type'], string>> = {
  image_edit: 'image',
  upscale: 'image',
  background_remove: 'image',
  tts: 'audio',
  stt: 'audio',
  music: 'audio',
  sound: 'audio',
};

type LimitedModel = Pick<ModelConfig, 'id' | 'type' | 'tier'>;
type Tiers = Record<string, RateTier>;

export class RateLimits {
  #tiers: Tiers;
  readonly #clock: Clock;
  readonly #hits: Hits;
  readonly #counters: Counters;

  constructor({ tiers, clock, hits }: { tiers: Tiers; clock: Clock; hits: Hits }) {
    this.#tiers = tiers;
    this.#clock = clock;
    this.#hits = hits;
    this.#counters = createCounters({ clock, seconds: MINUTE_SECONDS, most: MAX_COUNTERS });
  }

  /** Other limits from now on; what was counted stays counted. */
  replace(tiers: Tiers): void {
    this.#tiers = tiers;
  }

  /** Counts one request and sets its tokens aside, or throws RateLimitedError and counts nothing. */
  async admit(principal: Principal, model: LimitedModel, tokens: number): Promise<Admission> {
    // Who has no account yet cannot be served anyway, and would fill the counters for nothing.
    const counts = principal.accountId === null ? [] : this.#countsOf(principal, model, tokens);
    if (!counts.length) return UNLIMITED;
    const nowMs = this.#clock.nowMs();
    await this.#take(counts, nowMs);
    if (counts.some(isOver)) throw await this.#refusal(principal, model, counts, nowMs);
    const standing = standingOf(counts);
    return { standing, settle: (used) => this.#settle(counts, used, standing) };
  }

  /** The limits that hold for a caller and a model: of its tier, or lower by its own rules and those above it; null: none. */
  limitsOf(principal: Principal, model: LimitedModel): Record<keyof RateTier, number | null> {
    const { tier } = this.#tierOf(model);
    const least = (field: keyof RateTier): number | null => {
      const own = ratesOf(principal).flatMap(({ limits }) => limits[field] ?? []);
      const all = tier[field] > 0 ? [tier[field], ...own] : own;
      return all.length ? Math.min(...all) : null;
    };
    return {
      requestsPerMinute: least('requestsPerMinute'),
      requestsPerDay: least('requestsPerDay'),
      tokensPerMinute: least('tokensPerMinute'),
      tokensPerDay: least('tokensPerDay'),
    };
  }

  /** One that is not known is the usual one of the model's type. */
  #tierOf({ tier: named, type }: LimitedModel): { name: string; tier: RateTier } {
    const isNamed = named !== undefined && Object.hasOwn(this.#tiers, named);
    const name = isNamed ? named : (TIER_OF[type] ?? type);
    return { name, tier: this.#tiers[name] ?? NO_LIMITS };
  }

  #countsOf(principal: Principal, model: LimitedModel, tokens: number): Count[] {
    const { name, tier } = this.#tierOf(model);
    const counts: Count[] = [];
    const add = (scope: string, measure: Measure, limit: number) => {
      const amount = measure.of === 'requests' ? 1 : tokens;
      const key = `${scope} ${measure.name}`;
      counts.push({ key, measure, limit, amount, used: 0, endsAtMs: 0 });
    };
    const callers = [principalName(principal), ...ancestorsOf(principal)];
    for (const measure of MEASURES) {
      const limit = tier[measure.field];
      if (limit > 0) for (const caller of callers) add(`${caller} ${name}`, measure, limit);
    }
    for (const { keyId, limits } of ratesOf(principal)) {
      for (const measure of MEASURES) {
        const limit = limits[measure.field];
        if (limit !== undefined) add(keyId, measure, limit);
      }
    }
    return counts;
  }

  /** All at once: what comes meanwhile is counted before or after them. */
  async #take(counts: Count[], nowMs: number): Promise<void> {
    const today = { customDuration: secondsOfDayLeft(nowMs) };
    const results = await Promise.all(
      counts.map(({ key, measure, amount }) =>
        this.#counters.penalty(key, amount, measure.isDaily ? today : A_MINUTE),
      ),
    );
    results.forEach(({ consumedPoints, msBeforeNext }, n) => {
      const count = counts[n]!;
      count.used = consumedPoints;
      count.endsAtMs = nowMs + msBeforeNext;
    });
  }

  async #refusal(
    principal: Principal,
    model: LimitedModel,
    counts: Count[],
    nowMs: number,
  ): Promise<RateLimitedError> {
    await Promise.all(counts.map(({ key, amount }) => this.#counters.reward(key, amount)));
    for (const count of counts) count.used -= count.amount;
    // The one that lasts longest: before its end no other matters.
    const [worst] = counts.filter(wouldBeOver).toSorted((a, b) => b.endsAtMs - a.endsAtMs);
    const { measure, limit, amount, endsAtMs } = worst!;
    this.#hits.add(principal, model.id, measure.hit);
    const waitSeconds = Math.max(1, Math.ceil((endsAtMs - nowMs) / 1_000));
    const message =
      amount > limit && measure.of === 'tokens'
        ? `This request may use ${amount} tokens, more than the ${limit} ${measure.words} that are allowed: ask for fewer (max_tokens).`
        : `Over the limit of ${limit} ${measure.words}. Please wait ${waitSeconds}s and try again.`;
    return new RateLimitedError(message, waitSeconds, standingOf(counts));
  }

  #settle(counts: Count[], usedTokens: number, standing: RateStanding): void {
    const nowMs = this.#clock.nowMs();
    for (const count of counts) {
      const less = count.amount - usedTokens;
      // What began in a window that is over is not given back to the next one.
      if (count.measure.of === 'requests' || less === 0 || count.endsAtMs <= nowMs) continue;
      count.used -= less;
      const { key } = count;
      const change =
        less > 0 ? this.#counters.reward(key, less) : this.#counters.penalty(key, -less, A_MINUTE);
      // A store that cannot be reached costs the caller at most one window; the request itself is done.
      change.catch(() => {});
    }
    standing.tokens = tightest(counts, 'tokens');
  }
}

const A_MINUTE = { customDuration: MINUTE_SECONDS };
const NO_LIMITS: RateTier = {
  requestsPerMinute: 0,
  requestsPerDay: 0,
  tokensPerMinute: 0,
  tokensPerDay: 0,
};
const UNLIMITED: Admission = { standing: { requests: null, tokens: null }, settle: () => {} };
const NO_KEYS: readonly string[] = [];
const NO_RATES: readonly { keyId: string; limits: RateRules }[] = [];

function ancestorsOf(principal: Principal): readonly string[] {
  return principal.kind === 'key' ? principal.ancestors : NO_KEYS;
}

function ratesOf(principal: Principal): readonly { keyId: string; limits: RateRules }[] {
  return principal.kind === 'key' ? principal.rates : NO_RATES;
}

function secondsOfDayLeft(nowMs: number): number {
  return (DAY_MS - (nowMs % DAY_MS)) / 1_000;
}

function isOver({ used, limit }: Count): boolean {
  return used > limit;
}

function wouldBeOver({ used, amount, limit }: Count): boolean {
  return used + amount > limit;
}

function standingOf(counts: Count[]): RateStanding {
  return { requests: tightest(counts, 'requests'), tokens: tightest(counts, 'tokens') };
}

function tightest(counts: Count[], of: Measure['of']): Bucket | null {
  let least: Bucket | null = null;
  for (const { measure, limit, used, endsAtMs } of counts) {
    const remaining = Math.max(0, limit - used);
    if (measure.of !== of || (least && least.remaining <= remaining)) continue;
    least = { limit, remaining, endsAtMs };
  }
  return least;
}
