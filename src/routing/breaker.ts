/**
 * Whether one channel is fit to serve one model: closed while enough of its answers are good, open for a while when too many are not,
 * then half-open for one request that finds out. A 429 is not sickness: it only asks for a pause.
 */
import type { Clock } from '../clock.ts';
import type { ChannelTraffic } from './traffic.ts';

export type Outcome = 'good' | 'sick' | 'busy';

/** Failures are counted in buckets of this length … */
const BUCKET_MS = 5_000;
/** … over this many of them. */
const BUCKETS = 12;
/** Fewer answers than that say nothing. */
const LEAST_ANSWERS = 5;
const SICK_SHARE = 0.5;
const FIRST_OPEN_MS = 15_000;
const LONGEST_OPEN_MS = 300_000;
const USUAL_PAUSE_MS = 1_000;
/** An upstream that asks for more is asked again all the same. */
const LONGEST_PAUSE_MS = 300_000;

export type BreakerState = 'closed' | 'open' | 'half-open';

interface Bucket {
  startMs: number;
  good: number;
  sick: number;
}

export class Breaker {
  readonly #clock: Clock;
  #buckets: Bucket[] = [];
  #openUntilMs = 0;
  #openForMs = 0;
  #isProbing = false;
  #pausedUntilMs = 0;
  readonly #traffic: Pick<ChannelTraffic, 'attempts' | 'ended'> | null;

  /** `traffic`: where its channel's attempts are counted. */
  constructor(clock: Clock, traffic: Pick<ChannelTraffic, 'attempts' | 'ended'> | null = null) {
    this.#clock = clock;
    this.#traffic = traffic;
  }

  get state(): BreakerState {
    if (this.#openForMs === 0) return 'closed';
    return this.#clock.nowMs() < this.#openUntilMs ? 'open' : 'half-open';
  }

  /** How long until it may be tried again; 0 for now. Infinity while somebody else's request finds out. */
  waitMs(): number {
    const nowMs = this.#clock.nowMs();
    const paused = this.#pausedUntilMs - nowMs;
    if (this.#openForMs === 0) return Math.max(0, paused);
    const open = this.#openUntilMs - nowMs;
    if (open > 0) return Math.max(open, paused);
    return this.#isProbing ? Infinity : Math.max(0, paused);
  }

  /** Takes the one place of a half-open breaker; whoever began tells the end. */
  begin(): void {
    if (this.#traffic) this.#traffic.attempts += 1;
    if (this.state === 'half-open') this.#isProbing = true;
  }

  /** `retryAfterMs`: how long the upstream asked to be left alone. */
  end(outcome: Outcome | 'unknown', retryAfterMs?: number): void {
    const wasProbe = this.#isProbing;
    this.#isProbing = false;
    if (this.#traffic) this.#traffic.ended[outcome] += 1;
    const nowMs = this.#clock.nowMs();
    switch (outcome) {
      case 'good':
        this.#count('good', nowMs);
        if (wasProbe) this.#close();
        return;
      case 'sick':
        if (retryAfterMs !== undefined) this.#pause(nowMs, retryAfterMs);
        this.#count('sick', nowMs);
        if (wasProbe || (this.#openForMs === 0 && this.#isSick(nowMs))) this.#open(nowMs);
        return;
      case 'busy':
        this.#pause(nowMs, retryAfterMs ?? USUAL_PAUSE_MS);
        return;
      case 'unknown':
        // The caller left, or its request was at fault: that says nothing of the channel.
        return;
    }
  }

  #pause(nowMs: number, ms: number): void {
    this.#pausedUntilMs = nowMs + Math.min(ms, LONGEST_PAUSE_MS);
  }

  #count(kind: 'good' | 'sick', nowMs: number): void {
    const startMs = Math.floor(nowMs / BUCKET_MS) * BUCKET_MS;
    let bucket = this.#buckets.at(-1);
    if (bucket?.startMs !== startMs) {
      bucket = { startMs, good: 0, sick: 0 };
      this.#buckets.push(bucket);
      if (this.#buckets.length > BUCKETS) this.#buckets.shift();
    }
    bucket[kind] += 1;
  }

  #isSick(nowMs: number): boolean {
    let good = 0;
    let sick = 0;
    for (const bucket of this.#buckets) {
      if (bucket.startMs <= nowMs - BUCKETS * BUCKET_MS) continue;
      good += bucket.good;
      sick += bucket.sick;
    }
    return good + sick >= LEAST_ANSWERS && sick >= SICK_SHARE * (good + sick);
  }

  #open(nowMs: number): void {
    this.#openForMs = Math.min(this.#openForMs * 2 || FIRST_OPEN_MS, LONGEST_OPEN_MS);
    this.#openUntilMs = nowMs + this.#openForMs;
  }

  #close(): void {
    this.#openForMs = 0;
    this.#openUntilMs = 0;
    this.#buckets = [];
  }
}
