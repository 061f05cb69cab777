/** Which channels serve a model, best first: by group, priority, then chance in the share of their weights; the unfit left out. */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.ts';
import type { ChannelConfig, CostConfig, ModelConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { Breaker, type BreakerState, type Outcome } from './breaker.ts';
import { Sticky } from './sticky.ts';
import { type ChannelTraffic, Traffic } from './traffic.ts';

export interface Route {
  channel: ChannelConfig;
  /** The model's name at the upstream. */
  upstreamModel: string;
  breaker: Breaker;
  /** What the operator pays there; absent: not known. */
  cost?: CostConfig;
  /** Of its channel; absent over another key than the operator's. */
  traffic?: ChannelTraffic;
  /** Whose key it goes over, where that is not the operator's. */
  own?: OwnWay;
}

export interface OwnWay {
  vendor: string;
  /** The channel with that key in it: requests are written with this one and sent over the channel's own connections. */
  keyed: ChannelConfig;
}

export interface ChannelHealth {
  channel: string;
  model: string;
  state: BreakerState;
}

export interface RoutingOptions {
  clock: Clock;
  /** In [0, 1); seeded in tests. */
  random?: () => number;
  /** Whether an operator turned a channel off. */
  isOff?: (channelId: string) => boolean;
  /** Whether every connection of a channel is in use. */
  isBusy?: (channel: ChannelConfig) => boolean;
  traffic?: Traffic;
  /** See Sticky; 0, the default here, turns it off. */
  stickyMs?: number;
}

const RETRY_AFTER_SECONDS = 5;
/** One request tries at most that many channels. */
const MAX_CANDIDATES = 8;

export class Routing {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #isOff: (channelId: string) => boolean;
  readonly #isBusy: (channel: ChannelConfig) => boolean;
  readonly #traffic: Traffic;
  readonly sticky: Sticky;
  #channels: Map<string, ChannelConfig>;
  /** By channel and model id: at most as many as there are routes. */
  #breakers = new Map<string, Breaker>();

  constructor(channels: ChannelConfig[], options: RoutingOptions) {
    this.#clock = options.clock;
    this.#random = options.random ?? Math.random;
    this.#isOff = options.isOff ?? (() => false);
    this.#isBusy = options.isBusy ?? (() => false);
    this.#traffic = options.traffic ?? new Traffic();
    this.sticky = new Sticky({
      clock: options.clock,
      stickyMs: options.stickyMs ?? 0,
      isBusy: ({ channel }) => this.#isBusy(channel),
    });
    this.#channels = byId(channels);
  }

  /**
   * A reload: what is known of a channel's health stays where it leads to the same server. A channel that did not change stays the very
   * same, with its connections and those that wait for them.
   */
  replace(channels: readonly ChannelConfig[]): void {
    const next = byId(
      channels.map((channel) => {
        const old = this.#channels.get(channel.id);
        return old && isDeepStrictEqual(old, channel) ? old : channel;
      }),
    );
    for (const key of this.#breakers.keys()) {
      const id = key.slice(0, key.indexOf(' '));
      if (next.get(id)?.baseUrl !== this.#channels.get(id)?.baseUrl) this.#breakers.delete(key);
    }
    this.#channels = next;
    this.#traffic.keepOnly(new Set(next.keys()));
  }

  /**
   * A snapshot for one request, never empty: each of them is tried once at most, in this order. AppError no_channel where none is
   * there or fit at the moment. `serves`: whether a channel takes such requests at all; all of them by default.
   */
  candidates(
    model: ModelConfig,
    groups: readonly string[],
    serves?: (channel: ChannelConfig) => boolean,
  ): [Route, ...Route[]] {
    const all = this.#routes(model, groups, serves);
    const [only] = all;
    if (!only) throw noChannel(model, RETRY_AFTER_SECONDS);
    // The usual case of one channel costs nothing.
    if (all.length === 1 && only.breaker.waitMs() === 0) return [only];
    const waits = all.map((route) => route.breaker.waitMs());
    const fit = all.filter((_route, index) => waits[index] === 0);
    const [first, ...others] = this.#idleFirst(this.#shuffled(fit, groups));
    if (first) return [first, ...others.slice(0, MAX_CANDIDATES - 1)];
    const soonest = Math.min(...waits);
    throw noChannel(
      model,
      Number.isFinite(soonest) ? Math.max(1, Math.ceil(soonest / 1_000)) : RETRY_AFTER_SECONDS,
    );
  }

  /** A worse channel with a free connection serves sooner than a better one without. */
  #idleFirst(routes: Route[]): Route[] {
    const [first] = routes;
    if (!first || !this.#isBusy(first.channel)) return routes;
    return routes.toSorted(
      (a, b) => Number(this.#isBusy(a.channel)) - Number(this.#isBusy(b.channel)),
    );
  }

  /**
   * For a request that goes over keys of its owner's own: the channels that such a key fits, whatever their health, which is that of
   * the operator's key. Null where the model has none, turned off or not; AppError no_channel where all of them are off.
   */
  owned(
    model: ModelConfig,
    groups: readonly string[],
    fits: (channel: ChannelConfig) => boolean,
  ): Route[] | null {
    const routes: Route[] = [];
    let isAny = false;
    for (const { channel: id, model: upstreamModel } of model.routes) {
      const channel = this.#channels.get(id);
      if (!channel || !groups.includes(channel.group) || !fits(channel)) continue;
      isAny = true;
      if (this.#isOff(id)) continue;
      routes.push({ channel, upstreamModel, breaker: new Breaker(this.#clock) });
    }
    if (isAny && !routes.length) throw noChannel(model, RETRY_AFTER_SECONDS);
    return isAny ? this.#shuffled(routes, groups).slice(0, MAX_CANDIDATES) : null;
  }

  /** Whether any channel of the model takes such requests, fit at the moment or not; true where it has none at all. */
  isServed({ routes }: ModelConfig, serves: (channel: ChannelConfig) => boolean): boolean {
    const channels = routes.flatMap(({ channel }) => this.#channels.get(channel) ?? []);
    return !channels.length || channels.some(serves);
  }

  /** All that are configured, turned off or not. */
  channels(): ChannelConfig[] {
    return [...this.#channels.values()];
  }

  /** What is known of every route that was used. */
  health(): ChannelHealth[] {
    return Array.from(this.#breakers, ([key, { state }]) => {
      const at = key.indexOf(' ');
      return { channel: key.slice(0, at), model: key.slice(at + 1), state };
    });
  }

  #routes(
    model: ModelConfig,
    groups: readonly string[],
    serves?: (channel: ChannelConfig) => boolean,
  ): Route[] {
    const routes: Route[] = [];
    for (const { channel: id, model: upstreamModel, cost } of model.routes) {
      const channel = this.#channels.get(id);
      if (!channel || !groups.includes(channel.group) || this.#isOff(id)) continue;
      if (serves && !serves(channel)) continue;
      const breaker = this.#breaker(id, model.id);
      const traffic = this.#traffic.of(id);
      routes.push({ channel, upstreamModel, breaker, traffic, ...(cost && { cost }) });
    }
    return routes;
  }

  #breaker(channelId: string, modelId: string): Breaker {
    const key = `${channelId} ${modelId}`;
    let breaker = this.#breakers.get(key);
    if (!breaker) {
      breaker = new Breaker(this.#clock, this.#traffic.of(channelId));
      this.#breakers.set(key, breaker);
    }
    return breaker;
  }

  /** Groups in the caller's order, priorities from the highest, and inside one level each next by the share of its weight. */
  #shuffled(routes: Route[], groups: readonly string[]): Route[] {
    const levels = Map.groupBy(
      routes,
      ({ channel }) => `${groups.indexOf(channel.group)} ${channel.priority}`,
    );
    const ordered = [...levels.values()].toSorted(([a], [b]) => {
      const group = groups.indexOf(a!.channel.group) - groups.indexOf(b!.channel.group);
      return group || b!.channel.priority - a!.channel.priority;
    });
    return ordered.flatMap((level) => this.#byChance(level));
  }

  #byChance(level: Route[]): Route[] {
    const left = [...level];
    const ordered: Route[] = [];
    while (left.length > 1) {
      const total = left.reduce((sum, { channel }) => sum + channel.weight, 0);
      // A weight of 0 is a channel of last resort inside its level.
      let at = total === 0 ? 0 : left.length - 1;
      let ticket = this.#random() * total;
      for (const [index, { channel }] of left.entries()) {
        ticket -= channel.weight;
        if (total > 0 && ticket < 0) {
          at = index;
          break;
        }
      }
      ordered.push(...left.splice(at, 1));
    }
    return [...ordered, ...left];
  }
}

/** How long all of them may take, one after the other. */
export function longestMs(routes: readonly Route[]): number {
  return routes.reduce(
    (sum, { channel }) => sum + channel.queue.waitMs + channel.timeout.totalMs,
    0,
  );
}

/** What an attempt's error says of its channel. */
export function outcomeOf(error: AppError): Outcome | 'unknown' {
  switch (error.code) {
    case 'upstream_busy':
      return 'busy';
    case 'upstream_failed':
    case 'upstream_timeout':
      return 'sick';
    default:
      return 'unknown';
  }
}

function noChannel(model: ModelConfig, retryAfterSeconds: number): AppError {
  return new AppError('no_channel', `No channel serves the model ${model.id} at the moment.`, {
    retryAfterSeconds,
  });
}

function byId(channels: ChannelConfig[]): Map<string, ChannelConfig> {
  return new Map(channels.map((channel) => [channel.id, channel]));
}
