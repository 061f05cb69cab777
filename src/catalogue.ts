/** What is for sale. A reload replaces the whole list at once; a request keeps the entry that it began with. */
import type { ModelConfig } from './config/config.ts';
import { AppError } from './errors.ts';
import { type CompiledPrice, compilePrice, type TokenPrices } from './pricing/tokens.ts';

export interface CatalogueEntry {
  model: ModelConfig;
  price: CompiledPrice;
}

/** Rule lists of models times reloads within the life of a quote. */
const MAX_EARLIER = 20_000;

export class Catalogue {
  #entries: Map<string, CatalogueEntry>;
  /** Earlier prices that a quote may name, by model and version; the newest last. */
  readonly #earlier = new Map<string, CatalogueEntry>();

  /** Throws RangeError, naming the model, where a price cannot be read or is missing. */
  constructor(models: ModelConfig[]) {
    this.#entries = compile(models);
  }

  /** Takes new models and prices, or throws as the constructor does and keeps the old ones. */
  replace(models: ModelConfig[]): void {
    const entries = compile(models);
    for (const entry of this.#entries.values()) this.#remember(entry);
    this.#entries = entries;
  }

  /** Prices of a model for sale that were in force before, for quotes that name them. */
  keep(id: string, prices: TokenPrices): void {
    const model = this.#entries.get(id)?.model;
    if (model) this.#remember(compileEntry({ ...model, price: prices }));
  }

  /** A model at the prices of a quote: those of today, or earlier ones; null where they are not known any more. */
  entryAt(id: string, version: string): CatalogueEntry | null {
    const entry = this.entry(id);
    if (entry.price.version === version) return entry;
    const earlier = this.#earlier.get(`${id} ${version}`);
    // Everything else about the model is as it is now.
    return earlier ? { model: entry.model, price: earlier.price } : null;
  }

  #remember(entry: CatalogueEntry): void {
    const key = `${entry.model.id} ${entry.price.version}`;
    this.#earlier.delete(key);
    this.#earlier.set(key, entry);
    const oldest = this.#earlier.keys().next();
    if (this.#earlier.size > MAX_EARLIER && !oldest.done) this.#earlier.delete(oldest.value);
  }

  models(): ModelConfig[] {
    return Array.from(this.#entries.values(), (entry) => entry.model);
  }

  find(id: string): ModelConfig {
    return this.entry(id).model;
  }

  entry(id: string): CatalogueEntry {
    const entry = this.#entries.get(id);
    if (entry) return entry;
    const name = JSON.stringify(id.slice(0, 100));
    throw new AppError(
      'model_not_found',
      `The model ${name} is not for sale here. GET /v1/models lists those that are.`,
    );
  }
}

function compile(models: ModelConfig[]): Map<string, CatalogueEntry> {
  const entries = new Map<string, CatalogueEntry>();
  for (const model of models) {
    entries.set(model.id, compileEntry(model));
  }
  return entries;
}

function compileEntry(model: ModelConfig): CatalogueEntry {
  try {
    const price = compilePrice(model.price, model.type === 'embedding' ? ['output_token'] : []);
    return { model, price };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new RangeError(`The price of the model ${model.id} cannot be used: ${why}.`, {
      cause: error,
    });
  }
}
