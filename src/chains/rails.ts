/**
 * The rails in use, one a network. A reload exchanges them; what was begun on one that is gone is carried to its end on it, for as long
 * as the process lives. What an earlier process began on a network that is gone is looked for by a rail that can do nothing else.
 */
import { isDeepStrictEqual } from 'node:util';
import type { NetworkConfig } from '../config/config.ts';
import type { Rail } from './chain.ts';
import { createRail } from './index.ts';
import { createLookOnlyRail } from './look-only.ts';
import { newRailMemory, type RailOptions } from './rail-options.ts';

interface Made {
  /** Null for one that was made elsewhere (tests). */
  config: NetworkConfig | null;
  rail: Rail;
}

export interface NextRails {
  /** Those that are not in use yet. */
  added: readonly Rail[];
  /** Takes them into use; never throws. */
  exchange(): void;
}

/** Of rails that were in use, the newest of them. */
const MOST_FORMER = 32;

export class Rails {
  #offered: readonly Made[];
  #former: readonly Made[] = [];
  /** See lookAfter. */
  #looking: readonly Rail[] = [];
  readonly #options: RailOptions | null;

  constructor(rails: readonly Rail[] | readonly Made[], options: RailOptions | null = null) {
    this.#offered = rails.map((one) => ('rail' in one ? one : { config: null, rail: one }));
    this.#options = options;
  }

  /** Throws AppError('not_configured') where the settings of a network cannot work. */
  static async make(networks: readonly NetworkConfig[], options: RailOptions): Promise<Rails> {
    const remembering = { memory: newRailMemory(), ...options };
    const made = await Promise.all(networks.map((config) => makeOne(config, remembering)));
    return new Rails(made, remembering);
  }

  /** In the order of the settings. */
  list(): readonly Rail[] {
    return this.#offered.map(({ rail }) => rail);
  }

  get(network: string): Rail | undefined {
    return this.#offered.find(({ rail }) => rail.network === network)?.rail;
  }

  /**
   * Where something that was begun is carried to its end: the rail in use, or the last one that was. `payTo`: rather one that pays there,
   * since a facilitator is told of no other recipient.
   */
  toEnd(network: string, payTo?: string): Rail | undefined {
    const able = this.#able(network);
    return able.find((rail) => rail.payTo === payTo) ?? able[0] ?? this.#lookingAt(network)[0];
  }

  /** Where the chain is asked: rather a rail that was in use, and has an endpoint, than one in use that must take a facilitator's word. */
  toLook(network: string): Rail | undefined {
    const all = [...this.#able(network), ...this.#lookingAt(network)];
    return all.find(({ canLookUp }) => canLookUp) ?? all[0];
  }

  /** What hands transfers of ours on, by whichever key they were signed; facilitators know nothing of them. */
  toPayOut(network: string): Rail | undefined {
    return this.#able(network).find(({ treasury }) => treasury !== null);
  }

  /** Looks after what an earlier process began on networks that are not set up any more. Settings that do not work are left out. */
  async lookAfter(networks: readonly NetworkConfig[]): Promise<void> {
    const options = this.#options;
    if (!options) throw new Error('these rails cannot be added to');
    const made = networks.map((settings) =>
      createLookOnlyRail(settings, options).catch((error: unknown) => {
        options.log.error('network_not_looked_at', { network: settings.network, error });
        return [];
      }),
    );
    this.#looking = (await Promise.all(made)).flat();
  }

  #able(network: string): Rail[] {
    return [...this.#offered, ...this.#former.toReversed()]
      .map(({ rail }) => rail)
      .filter((rail) => rail.network === network);
  }

  #lookingAt(network: string): Rail[] {
    return this.#looking.filter((rail) => rail.network === network);
  }

  /** Makes the rails of other settings beside those in use; nothing changes before `exchange`. Throws as `make`. */
  async prepare(networks: readonly NetworkConfig[]): Promise<NextRails> {
    const options = this.#options;
    if (!options) throw new Error('these rails cannot be exchanged');
    const known = [...this.#offered, ...this.#former.toReversed()];
    const next = await Promise.all(
      networks.map(
        async (config) =>
          known.find((made) => isDeepStrictEqual(made.config, config)) ?? makeOne(config, options),
      ),
    );
    const inUse = new Set(this.#offered);
    const added = next.filter((made) => !inUse.has(made)).map(({ rail }) => rail);
    const exchange = () => {
      const gone = this.#offered.filter((made) => !next.includes(made));
      const before = this.#former.filter((made) => !next.includes(made));
      this.#former = [...before, ...gone].slice(-MOST_FORMER);
      this.#offered = next;
    };
    return { added, exchange };
  }

  async close(): Promise<void> {
    const all = [...this.#offered, ...this.#former].map(({ rail }) => rail);
    await Promise.all([...all, ...this.#looking].map((rail) => rail.close()));
  }
}

async function makeOne(config: NetworkConfig, options: RailOptions): Promise<Made> {
  return { config, rail: await createRail(config, options) };
}
