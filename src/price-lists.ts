/** Price lists that a quote or a task names, on disk: a reload may change prices, and what was promised holds after a restart too. */
import type { Catalogue } from './catalogue.ts';
import type { Clock } from './clock.ts';
import type { ModelConfig } from './config/config.ts';
import type { Ledger } from './ledger/ledger.ts';

/** A list is written again only when what was written would not outlive what names it. */
const SPARE_MS = 10 * 60_000;
const MAX_LISTS = 10_000;

export interface PriceListsOptions {
  ledger: Ledger;
  catalogue: Catalogue;
  clock: Clock;
}

export class PriceLists {
  readonly #options: PriceListsOptions;
  /** Until when each list is kept, by model and version. */
  readonly #kept = new Map<string, number>();

  constructor(options: PriceListsOptions) {
    this.#options = options;
  }

  /** Takes up the lists that quotes and tasks of earlier processes may name. */
  async start(): Promise<void> {
    const { ledger, catalogue, clock } = this.#options;
    const nowMs = clock.nowMs();
    await ledger.write(({ db }) =>
      db.deleteFrom('price_lists').where('quoted_until', '<=', nowMs).execute(),
    );
    const rows = await ledger.read.selectFrom('price_lists').selectAll().limit(MAX_LISTS).execute();
    for (const row of rows) catalogue.keep(row.model, JSON.parse(row.prices) as Price);
  }

  /** On disk when it resolves, at least until then. */
  async keep(model: string, price: Price, untilMs: number): Promise<void> {
    const { version } = price;
    const key = `${model} ${version}`;
    if ((this.#kept.get(key) ?? 0) >= untilMs) return;
    const quoted_until = untilMs + SPARE_MS;
    const row = { model, version, prices: JSON.stringify(price), quoted_until };
    await this.#options.ledger.write(({ db }) =>
      db
        .insertInto('price_lists')
        .values(row)
        .onConflict((conflict) =>
          conflict
            .columns(['model', 'version'])
            .doUpdateSet({ quoted_until })
            .where('price_lists.quoted_until', '<', quoted_until),
        )
        .execute(),
    );
    if (this.#kept.size >= MAX_LISTS) this.#kept.clear();
    this.#kept.set(key, quoted_until);
  }
}

type Price = ModelConfig['price'];
