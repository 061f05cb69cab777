/**
 * Requests that go over a key of their owner's own (BYOK): over which channels, with which credentials, at which fee. Who stored a key
 * for a vendor of the model goes over it or gets an error: never over the operator's key instead, which costs the price.
 */
import type { TokenEntry } from '../catalogue.ts';
import type { ChannelConfig, ModelConfig } from '../config/config.ts';
import { BUILT_IN_VENDORS } from '../config/vendors.ts';
import { AppError } from '../errors.ts';
import type { NanoUsd } from '../money.ts';
import { type ByokFee, feeOf, feePrice } from '../pricing/byok.ts';
import type { Route, Routing } from '../routing/routing.ts';
import type { OwnKey, OwnKeys, Vault } from '../vault.ts';

/** Headers that a channel sends for its operator: whose account, and by what right. */
const CREDENTIAL =
  /auth|key|token|secret|cookie|session|password|credential|organi[sz]ation|project|account|workspace|tenant/i;
/** What some vendors answer with status 400. */
const BAD_KEY = /api[ _]key[ _](?:not valid|invalid)|(?:incorrect|invalid) api[ _]key/i;

export interface OwnChoice {
  entry: TokenEntry;
  routes: readonly Route[];
}

export class Byok {
  readonly #vault: Vault;
  readonly #routing: Routing;
  #fee: ByokFee;
  #entries = new WeakMap<TokenEntry, TokenEntry>();
  /** They go with the vault's cache, which every change empties. */
  readonly #keyed = new WeakMap<OwnKey, WeakMap<ChannelConfig, ChannelConfig>>();

  constructor({ vault, routing, fee }: { vault: Vault; routing: Routing; fee: ByokFee }) {
    this.#vault = vault;
    this.#routing = routing;
    this.#fee = fee;
  }

  /** A reload. */
  replace(fee: ByokFee): void {
    this.#fee = fee;
    this.#entries = new WeakMap();
  }

  /** Whose keys can be stored: those that everybody knows, and those of the channels. */
  vendors(): string[] {
    return [...new Set([...BUILT_IN_VENDORS, ...this.#inUse()])];
  }

  /** Whether any channel takes keys of this vendor. */
  isInUse(vendor: string): boolean {
    return this.#inUse().includes(vendor);
  }

  #inUse(): string[] {
    return this.#routing.channels().flatMap((channel) => channel.vendor ?? []);
  }

  /** Null, at once and from memory, for whoever stored none. */
  keysOf(accountId: string | null): Promise<OwnKeys> | null {
    return this.#vault.mayHaveKeys(accountId) ? this.#vault.keysOf(accountId) : null;
  }

  /** Null where none of the keys is for a vendor of this model. Errors: provider_key_refused, no_channel. */
  choose(entry: TokenEntry, groups: readonly string[], keys: OwnKeys): OwnChoice | null {
    if (!keys.size) return null;
    const fits = ({ vendor }: ChannelConfig) => vendor !== null && keys.has(vendor);
    const routes = this.#routing.owned(entry.model, groups, fits);
    return routes && { entry: this.#atFee(entry), routes: routes.map((r) => this.#over(r, keys)) };
  }

  /** As `choose`, for what is no chat: `fee` tells what it costs instead of its price. */
  chooseMedia(
    model: ModelConfig,
    groups: readonly string[],
    keys: OwnKeys,
  ): { routes: readonly Route[]; terms: ByokFee; fee(price: NanoUsd): NanoUsd } | null {
    if (!keys.size) return null;
    const fits = ({ vendor }: ChannelConfig) => vendor !== null && keys.has(vendor);
    const routes = this.#routing.owned(model, groups, fits);
    const fee = this.#fee;
    return (
      routes && {
        routes: routes.map((route) => this.#over(route, keys)),
        terms: fee,
        fee: (price) => feeOf(price, fee),
      }
    );
  }

  /** A channel with its owner's key in it; null where none of the keys fits. Errors: provider_key_refused. */
  keyed(channel: ChannelConfig, keys: OwnKeys): ChannelConfig | null {
    const key = keys.get(channel.vendor ?? '');
    return key ? this.#withKey(channel, key) : null;
  }

  #over(route: Route, keys: OwnKeys): Route {
    const key = keys.get(route.channel.vendor ?? '')!;
    return { ...route, own: { vendor: key.vendor, keyed: this.#withKey(route.channel, key) } };
  }

  #withKey(channel: ChannelConfig, key: OwnKey): ChannelConfig {
    let byChannel = this.#keyed.get(key);
    if (!byChannel) this.#keyed.set(key, (byChannel = new WeakMap()));
    let keyed = byChannel.get(channel);
    if (!keyed) byChannel.set(channel, (keyed = withKey(channel, key)));
    return keyed;
  }

  #atFee(entry: TokenEntry): TokenEntry {
    let atFee = this.#entries.get(entry);
    if (!atFee) {
      atFee = { ...entry, price: feePrice(entry.price, this.#fee) };
      this.#entries.set(entry, atFee);
    }
    return atFee;
  }
}

/** The channel as its request is written: with this key, and with nothing that stands for the operator. */
function withKey(channel: ChannelConfig, { vendor, secret }: OwnKey): ChannelConfig {
  const apiKey = secret();
  if (apiKey === null) {
    throw new AppError(
      'provider_key_refused',
      `Your stored key for ${vendor} cannot be opened any more: store it again (POST /api/v1/provider-keys), or remove it. Nothing was charged.`,
      { details: { vendor } },
    );
  }
  const headers = Object.entries(channel.headers).filter(([name]) => !CREDENTIAL.test(name));
  return { ...channel, apiKey, headers: Object.fromEntries(headers) };
}

/** Where an answer says that the vendor does not take the owner's key; null for any other answer. */
export function refusedKey(route: Route, status: number, body: Buffer): AppError | null {
  if (!route.own) return null;
  const isRefusal = status === 401 || status === 402 || status === 403;
  if (!isRefusal && !(status === 400 && BAD_KEY.test(body.toString('latin1')))) return null;
  const { vendor } = route.own;
  return new AppError(
    'provider_key_refused',
    `${vendor} refused your stored key (its answer was ${status}): check the key and its credit there, store another one (POST /api/v1/provider-keys), or remove it. Nothing was charged.`,
    { details: { vendor, status } },
  );
}
