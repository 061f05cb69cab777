/**
 * Binding quotes: a signed note of what a request would cost at most, and by which rule list. For ten minutes a request of that size or
 * smaller is priced by that list and never costs more than the note says, whatever the operator changes meanwhile. A quote is not
 * stored; the price list that it names is.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Catalogue, CatalogueEntry } from './catalogue.ts';
import type { Clock } from './clock.ts';
import { AppError } from './errors.ts';
import { type NanoUsd, nanoUsd } from './money.ts';
import type { PriceLists } from './price-lists.ts';
import type { Circumstances, Units } from './pricing/rules.ts';

export const QUOTE_MS = 10 * 60_000;
const FORM = /^q_([\w-]{1,2000})\.([\w-]{43})$/;

export interface Quote {
  id: string;
  expiresAtMs: number;
}

/** What a quote binds. */
export type Quoted = QuotedTokens | QuotedOrder;

interface QuotedPrice {
  model: string;
  priceVersion: string;
  /** The most that the request costs. */
  max: NanoUsd;
}

export interface QuotedTokens extends QuotedPrice {
  kind: 'tokens';
  inputTokens: number;
  /** Of all choices together. */
  outputTokens: number;
}

export interface QuotedOrder extends QuotedPrice {
  kind: 'media';
  units: Units;
  circumstances: Circumstances;
}

/** As it is signed; the forms differ by their fourth member. */
type Note =
  | [string, string, number, inputTokens: number, outputTokens: number, expiresAtMs: number]
  | [string, string, number, units: Units, Circumstances, expiresAtMs: number];

export interface QuotesOptions {
  priceLists: PriceLists;
  secret: Buffer;
  clock: Clock;
}

export class Quotes {
  readonly #options: QuotesOptions;

  constructor(options: QuotesOptions) {
    this.#options = options;
  }

  /** Signs a quote; the price list it names, that of the entry, is on disk before it is given away. */
  async make(quoted: Quoted, { model }: CatalogueEntry): Promise<Quote> {
    const { clock, priceLists } = this.#options;
    const expiresAtMs = clock.nowMs() + QUOTE_MS;
    await priceLists.keep(model.id, model.price, expiresAtMs);
    const note = Buffer.from(JSON.stringify(noteOf(quoted, expiresAtMs))).toString('base64url');
    return { id: `q_${note}.${this.#sign(note)}`, expiresAtMs };
  }

  /** Errors: invalid_request, naming what is wrong with the quote. */
  open(id: string): Quoted {
    const [, note = '', signature = ''] = FORM.exec(id) ?? [];
    const right = Buffer.from(this.#sign(note));
    const given = Buffer.from(signature);
    if (!note || given.length !== right.length || !timingSafeEqual(given, right)) {
      throw wrong('is not a quote of this server');
    }
    const signed = JSON.parse(Buffer.from(note, 'base64url').toString()) as Note;
    if (signed[5] <= this.#options.clock.nowMs()) {
      throw wrong('has expired: ask POST /v1/credits/estimate for a new one');
    }
    return quotedOf(signed);
  }

  #sign(note: string): string {
    return createHmac('sha256', this.#options.secret).update(note).digest('base64url');
  }
}

function noteOf(quoted: Quoted, expiresAtMs: number): Note {
  const { model, priceVersion, max } = quoted;
  if (quoted.kind === 'tokens') {
    return [model, priceVersion, max, quoted.inputTokens, quoted.outputTokens, expiresAtMs];
  }
  return [model, priceVersion, max, quoted.units, quoted.circumstances, expiresAtMs];
}

function quotedOf(note: Note): Quoted {
  const [model, priceVersion, max] = note;
  const price = { model, priceVersion, max: nanoUsd(max) };
  if (isTokens(note)) {
    return { kind: 'tokens', ...price, inputTokens: note[3], outputTokens: note[4] };
  }
  return { kind: 'media', ...price, units: note[3], circumstances: note[4] };
}

function isTokens(note: Note): note is Note & [string, string, number, number, number, number] {
  return typeof note[3] === 'number';
}

/** The model at the prices of the quote. */
export function quotedEntry(catalogue: Catalogue, model: string, quoted: Quoted): CatalogueEntry {
  if (quoted.model !== catalogue.find(model).id) throw wrong(`is for the model ${quoted.model}`);
  const entry = catalogue.entryAt(quoted.model, quoted.priceVersion);
  if (entry) return entry;
  throw wrong('is for prices that are not known any more: ask for a new one');
}

export function wrong(problem: string): AppError {
  return new AppError('invalid_request', `quote_id: ${problem}.`, {
    details: { field: 'quote_id' },
  });
}
