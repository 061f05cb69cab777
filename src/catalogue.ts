/** What is for sale. A reload replaces the whole list at once; a request keeps the entry that it began with. */
import type { MediaModel, MediaType, ModelConfig, TokenModel } from './config/config.ts';
import { AppError } from './errors.ts';
import { compileMediaPrice, type MediaPrice } from './pricing/media.ts';
import { type CompiledPrice, compilePrice } from './pricing/tokens.ts';
import type { Tokenizer } from './tokens.ts';

export type CatalogueEntry = TokenEntry | MediaEntry;

export interface TokenEntry {
  kind: 'tokens';
  model: TokenModel;
  price: CompiledPrice;
  /** How its input is counted. */
  tokenizer: Tokenizer;
}

export interface MediaEntry {
  kind: 'media';
  model: MediaModel;
  price: MediaPrice;
}

/** Rule lists of models times reloads within the life of a quote. */
const MAX_EARLIER = 20_000;

export class Catalogue {
  tokenizer: Tokenizer;
  /** Grows with each reload, for those who keep what they made of the list. */
  revision = 0;
  #entries: Map<string, CatalogueEntry>;
  #aliases: Map<string, CatalogueEntry>;
  /** Earlier prices that a quote may name, by model and version; the newest last. */
  readonly #earlier = new Map<string, CatalogueEntry>();

  /** Throws RangeError, naming the model, where a price cannot be read or is missing. */
  constructor(models: ModelConfig[], tokenizer: Tokenizer = 'weighed') {
    this.tokenizer = tokenizer;
    this.#entries = compile(models, tokenizer);
    this.#aliases = aliasesOf(this.#entries);
  }

  /** Takes new models and prices, or throws as the constructor does and keeps the old ones. */
  replace(models: ModelConfig[], tokenizer: Tokenizer = this.tokenizer): void {
    const entries = compile(models, tokenizer);
    for (const entry of this.#entries.values()) this.#remember(entry);
    this.tokenizer = tokenizer;
    this.#entries = entries;
    this.#aliases = aliasesOf(entries);
    this.revision += 1;
  }

  /** Prices of a model that were in force before, for quotes and tasks that name them. */
  keep(id: string, price: ModelConfig['price']): void {
    const model = this.#entries.get(id)?.model;
    if (!model) return;
    try {
      this.#remember(compileEntry({ ...model, price } as ModelConfig, this.tokenizer));
    } catch (error) {
      // Of the time when the model was of another kind: nothing that names it can be used any more.
      if (!(error instanceof RangeError)) throw error;
    }
  }

  /** A model at the prices of a quote: those of today, or earlier ones; null where they are not known any more. */
  entryAt(id: string, version: string): CatalogueEntry | null {
    const entry = this.entry(id);
    if (entry.price.version === version) return entry;
    const earlier = this.#earlier.get(`${entry.model.id} ${version}`);
    // Everything else about the model is as it is now.
    return earlier?.kind === entry.kind
      ? ({ ...entry, price: earlier.price } as CatalogueEntry)
      : null;
  }

  #remember(entry: CatalogueEntry): void {
    const key = `${entry.model.id} ${entry.price.version}`;
    this.#earlier.delete(key);
    this.#earlier.set(key, entry);
    const oldest = this.#earlier.keys().next();
    if (this.#earlier.size > MAX_EARLIER && !oldest.done) this.#earlier.delete(oldest.value);
  }

  /** None where the model is not for sale any more. */
  routes(id: string): ModelConfig['routes'] {
    return this.#entries.get(id)?.model.routes ?? [];
  }

  models(): ModelConfig[] {
    return Array.from(this.#entries.values(), (entry) => entry.model);
  }

  entries(): CatalogueEntry[] {
    return [...this.#entries.values()];
  }

  find(id: string): ModelConfig {
    return this.entry(id).model;
  }

  tokenEntry(id: string): TokenEntry {
    return requireTokens(this.entry(id));
  }

  mediaEntry(id: string, ...types: MediaType[]): MediaEntry {
    return requireMedia(this.entry(id), ...types);
  }

  /** By its id, or by another name that it is asked for by. */
  entry(id: string): CatalogueEntry {
    const entry = this.#entries.get(id) ?? this.#aliases.get(id);
    if (entry) return entry;
    const name = JSON.stringify(id.slice(0, 100));
    throw new AppError(
      'model_not_found',
      `The model ${name} is not for sale here. GET /v1/models lists those that are.`,
    );
  }
}

/** A model that is sold by tokens. AppError invalid_request for another. */
export function requireTokens(entry: CatalogueEntry): TokenEntry {
  if (entry.kind === 'tokens') return entry;
  throw wrongKind(`must be a text or embedding model; ${entry.model.id} makes ${entry.model.type}`);
}

/** A media model of one of these types. AppError invalid_request for another. */
export function requireMedia(entry: CatalogueEntry, ...types: MediaType[]): MediaEntry {
  const isRight =
    entry.kind === 'media' && (types.length === 0 || types.includes(entry.model.type));
  if (isRight) return entry;
  const wanted = types.length ? types.join(' or ') : 'media';
  throw wrongKind(
    `must be the name of a model of type ${wanted}; ${entry.model.id} is of type ${entry.model.type}`,
  );
}

function wrongKind(rule: string): AppError {
  return new AppError('invalid_request', `The field "model" ${rule}.`, {
    details: { field: 'model' },
  });
}

function compile(models: ModelConfig[], tokenizer: Tokenizer): Map<string, CatalogueEntry> {
  const entries = new Map<string, CatalogueEntry>();
  for (const model of models) {
    entries.set(model.id, compileEntry(model, tokenizer));
  }
  return entries;
}

/** The first model that has a name keeps it. */
function aliasesOf(entries: Map<string, CatalogueEntry>): Map<string, CatalogueEntry> {
  const pairs = [...entries.values()].flatMap((entry) =>
    entry.model.aliases.map((name) => [name, entry] as const),
  );
  return new Map(pairs.toReversed());
}

export function isMedia(model: ModelConfig): model is MediaModel {
  return model.type !== 'text' && model.type !== 'embedding';
}

function compileEntry(model: ModelConfig, tokenizer: Tokenizer): CatalogueEntry {
  try {
    if (isMedia(model)) return { kind: 'media', model, price: compileMediaPrice(model.price) };
    const price = compilePrice(model.price, model.type === 'embedding' ? ['output_token'] : []);
    return { kind: 'tokens', model, price, tokenizer };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new RangeError(`The price of the model ${model.id} cannot be used: ${why}.`, {
      cause: error,
    });
  }
}
