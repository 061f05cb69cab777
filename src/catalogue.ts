/** What is for sale. A reload replaces the whole list at once; a request keeps the entry that it began with. */
import type { ModelConfig } from './config/config.ts';
import { AppError } from './errors.ts';
import { type CompiledPrice, compilePrice } from './pricing/tokens.ts';

export interface CatalogueEntry {
  model: ModelConfig;
  price: CompiledPrice;
}

export class Catalogue {
  #entries: Map<string, CatalogueEntry>;

  /** Throws RangeError, naming the model, where a price cannot be read or is missing. */
  constructor(models: ModelConfig[]) {
    this.#entries = compile(models);
  }

  /** Takes new models and prices, or throws as the constructor does and keeps the old ones. */
  replace(models: ModelConfig[]): void {
    this.#entries = compile(models);
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
    try {
      const unpriced = model.type === 'embedding' ? (['output_token'] as const) : [];
      const price = compilePrice(model.price, [...unpriced]);
      entries.set(model.id, { model, price });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new RangeError(`The price of the model ${model.id} cannot be used: ${why}.`, {
        cause: error,
      });
    }
  }
  return entries;
}
