/**
 * How the chains are looked at, kept sealed beside what is open on them: a network that leaves the settings takes nobody's payment with
 * it, also when the process ends before it is known what became of that. No key is kept, and nothing once all is known.
 */
import type { Kysely } from 'kysely';
import { lookSettings } from '../chains/look-only.ts';
import type { NetworkConfig } from '../config/config.ts';
import type { Tables } from '../db/tables.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import type { SecretBox } from '../secrets.ts';

/** In `meta`, by network. */
const PREFIX = 'network ';

export interface NetworkMemoryOptions {
  ledger: Ledger;
  box: SecretBox;
  log: Log;
}

/** What is open on a network. */
export interface OpenOn {
  network: string;
  payments: number;
  payouts: number;
}

/** Read at most, those that are due first: what is open is little, or there is an alarm about it already. */
const MOST_ROWS = 10_000;

/** Payments and payouts that somebody has still to look at, by network. */
export async function openByNetwork(db: Kysely<Tables>): Promise<OpenOn[]> {
  const found = new Map<string, OpenOn>();
  for (const table of ['payments', 'payouts'] as const) {
    const rows = await db
      .selectFrom(table)
      .select(['network', 'state'])
      .where('next_check_at', 'is not', null)
      // By the index of what is due, however many are done.
      .orderBy('next_check_at')
      .limit(MOST_ROWS)
      .execute();
    for (const { network, state } of rows) {
      // Taken in and never handed on: nothing of it can have moved.
      if (state === 'received') continue;
      const one = found.get(network) ?? { network, payments: 0, payouts: 0 };
      one[table] += 1;
      found.set(network, one);
    }
  }
  return [...found.values()];
}

/** "2 payments and 1 payout" */
export function openInWords({ payments, payouts }: OpenOn): string {
  const counted = (count: number, what: string) =>
    count ? [`${count} ${what}${count === 1 ? '' : 's'}`] : [];
  return [...counted(payments, 'payment'), ...counted(payouts, 'payout')].join(' and ');
}

export class NetworkMemory {
  readonly #options: NetworkMemoryOptions;

  constructor(options: NetworkMemoryOptions) {
    this.#options = options;
  }

  /** Keeps how these are looked at. One without an endpoint leaves what is kept of it as it is. */
  async keep(networks: readonly NetworkConfig[]): Promise<void> {
    const { ledger, box } = this.#options;
    const known = new Map((await this.#known()).map((one) => [one.network, JSON.stringify(one)]));
    const news = networks.flatMap((config) => {
      const settings = JSON.stringify(lookSettings(config));
      return settings === 'null' || known.get(config.network) === settings
        ? []
        : [{ key: PREFIX + config.network, settings }];
    });
    if (!news.length) return;
    await ledger.write(async ({ db }) => {
      for (const { key, settings } of news) {
        const value = box.seal(`meta/${key}`, settings);
        await db
          .insertInto('meta')
          .values({ key, value })
          .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
          .execute();
      }
    });
  }

  /**
   * How to look at networks that these cannot be asked about, and that something is open on. The others are forgotten; a network that
   * nothing is kept of is said in the log.
   */
  async missing(networks: readonly NetworkConfig[]): Promise<NetworkConfig[]> {
    const { ledger, log } = this.#options;
    const seen = new Set(
      networks.filter((one) => lookSettings(one) !== null).map(({ network }) => network),
    );
    const open = (await openByNetwork(ledger.read)).filter(({ network }) => !seen.has(network));
    const kept = (await this.#known()).filter(({ network }) => !seen.has(network));
    const isOpen = (name: string) => open.some(({ network }) => network === name);
    for (const one of open) {
      const { network } = one;
      // A facilitator is asked instead.
      if (networks.some((config) => config.network === network)) continue;
      const canLook = kept.some((settings) => settings.network === network);
      log.error('network_gone', { network, open: openInWords(one), canLook });
    }
    const over = kept.filter(({ network }) => !isOpen(network));
    if (over.length) {
      const keys = over.map(({ network }) => PREFIX + network);
      await ledger.write(({ db }) => db.deleteFrom('meta').where('key', 'in', keys).execute());
    }
    return kept.filter(({ network }) => isOpen(network));
  }

  async #known(): Promise<NetworkConfig[]> {
    const { ledger, box, log } = this.#options;
    const rows = await ledger.read
      .selectFrom('meta')
      .selectAll()
      .where('key', 'like', `${PREFIX}%`)
      .execute();
    return rows.flatMap(({ key, value }) => {
      try {
        return [JSON.parse(box.open(`meta/${key}`, value)) as NetworkConfig];
      } catch (error) {
        // Sealed under a master key that was lost.
        log.warn('network_not_readable', { network: key.slice(PREFIX.length), error });
        return [];
      }
    });
  }
}
