/** How long tasks of a model take: what was seen lately, else what the catalogue says. */
import type { MediaModel } from '../config/config.ts';

/** Of each model, the last so many. */
const KEPT = 50;
/** Fewer say less than the catalogue. */
const LEAST = 5;
const SHARE = 0.8;
const MAX_MODELS = 2_000;

export class Typical {
  readonly #seen = new Map<string, number[]>();

  add(model: string, ms: number): void {
    const all = this.#seen.get(model) ?? [];
    all.push(Math.max(0, ms));
    if (all.length > KEPT) all.shift();
    if (this.#seen.size >= MAX_MODELS && !this.#seen.has(model)) this.#seen.clear();
    this.#seen.set(model, all);
  }

  /** Four of five take no longer; null where nothing is known. */
  of(model: string, params: Pick<MediaModel['params'], 'typicalRuntimeMs'> | null): number | null {
    const seen = this.#seen.get(model) ?? [];
    if (seen.length < LEAST && params?.typicalRuntimeMs != null) return params.typicalRuntimeMs;
    if (!seen.length) return null;
    const sorted = seen.toSorted((a, b) => a - b);
    return sorted[Math.ceil(SHARE * sorted.length) - 1] ?? null;
  }
}
