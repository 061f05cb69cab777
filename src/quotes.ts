/**
 * Binding quotes: a signed note of what a request would cost at most, and by which rule list. For ten minutes a request of that size or
 * smaller is priced by that list and never costs more than the note says, whatever the operator changes meanwhile. A quote is not
 * stored; the rule list that it names is.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Catalogue } from './catalogue.ts';
import type { Clock } from './clock.ts';
import { AppError } from './errors.ts';
import type { Ledger } from './ledger/ledger.ts';
import { type NanoUsd, nanoUsd } from './money.ts';
import type { TokenPrices } from './pricing/tokens.ts';

export const QUOTE_MS = 10 * 60_000;
/** A rule list is written again only when what was written would not outlive a new quote. */
const KEPT_MS = 2 * QUOTE_MS;
const MAX_LISTS = 10_000;
const FORM = /^q_([\w-]{1,400})\.([\w-]{43})$/;

export interface Quote {
  id: string;
  expiresAtMs: number;
}

/** What a quote binds. */
export interface Quoted {
  model: string;
  priceVersion: string;
  /** The most that the request costs. */
  max: NanoUsd;
  inputTokens: number;
  /** Of all choices together. */
  outputTokens: number;
}

export interface QuotesOptions {
  ledger: Ledger;
  catalogue: Catalogue;
  secret: Buffer;
  clock: Clock;
}

export class Quotes {
  readonly #options: QuotesOptions;
  /** Until when each rule list is kept, by model and version. */
  readonly #kept = new Map<string, number>();

  constructor(options: QuotesOptions) {
    this.#options = options;
  }

  /** Takes up the rule lists that quotes of earlier processes may name. */
  async start(): Promise<void> {
    const { ledger, catalogue, clock } = this.#options;
    const nowMs = clock.nowMs();
    await ledger.write(({ db }) =>
      db.deleteFrom('price_lists').where('quoted_until', '<=', nowMs).execute(),
    );
    const rows = await ledger.read.selectFrom('price_lists').selectAll().limit(MAX_LISTS).execute();
    for (const row of rows) catalogue.keep(row.model, JSON.parse(row.prices) as TokenPrices);
  }

  /** Signs a quote; the rule list it names is on disk before it is given away. */
  async make(quoted: Quoted, prices: TokenPrices): Promise<Quote> {
    const nowMs = this.#options.clock.nowMs();
    const expiresAtMs = nowMs + QUOTE_MS;
    await this.#keep(quoted, prices, nowMs, expiresAtMs);
    const { model, priceVersion, max, inputTokens, outputTokens } = quoted;
    const fields = [model, priceVersion, max, inputTokens, outputTokens, expiresAtMs];
    const note = Buffer.from(JSON.stringify(fields)).toString('base64url');
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
    const [model, priceVersion, max, inputTokens, outputTokens, expiresAtMs] = JSON.parse(
      Buffer.from(note, 'base64url').toString(),
    ) as [string, string, number, number, number, number];
    if (expiresAtMs <= this.#options.clock.nowMs()) {
      throw wrong('has expired: ask POST /v1/credits/estimate for a new one');
    }
    return { model, priceVersion, max: nanoUsd(max), inputTokens, outputTokens };
  }

  async #keep(
    { model, priceVersion }: Quoted,
    prices: TokenPrices,
    nowMs: number,
    untilMs: number,
  ): Promise<void> {
    const key = `${model} ${priceVersion}`;
    if ((this.#kept.get(key) ?? 0) >= untilMs) return;
    const quoted_until = nowMs + KEPT_MS;
    const row = { model, version: priceVersion, prices: JSON.stringify(prices), quoted_until };
    await this.#options.ledger.write(({ db }) =>
      db
        .insertInto('price_lists')
        .values(row)
        .onConflict((conflict) =>
          conflict.columns(['model', 'version']).doUpdateSet({ quoted_until }),
        )
        .execute(),
    );
    if (this.#kept.size >= MAX_LISTS) this.#kept.clear();
    this.#kept.set(key, quoted_until);
  }

  #sign(note: string): string {
    return createHmac('sha256', this.#options.secret).update(note).digest('base64url');
  }
}

export function wrong(problem: string): AppError {
  return new AppError('invalid_request', `quote_id: ${problem}.`, {
    details: { field: 'quote_id' },
  });
}
