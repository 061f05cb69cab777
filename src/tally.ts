/** Counts values in classes, for metrics: cheap to add to, and bounded. */

/** The newest values, which quantiles are told from. */
const KEPT = 512;

export class Tally {
  /** Upper bounds of the classes, ascending; one more class has none. */
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum = 0;
  #count = 0;
  readonly #newest = new Float64Array(KEPT);

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  get count(): number {
    return this.#count;
  }

  add(value: number): void {
    const { bounds } = this;
    let index = 0;
    while (index < bounds.length && value > bounds[index]!) index += 1;
    this.counts[index]! += 1;
    this.sum += value;
    this.#newest[this.#count % KEPT] = value;
    this.#count += 1;
  }

  /** Of the newest few hundred; null where there are none. `share` from 0 to 1. */
  quantile(share: number): number | null {
    const newest = this.#newest.slice(0, Math.min(this.#count, KEPT)).toSorted();
    return newest[Math.max(0, Math.ceil(share * newest.length) - 1)] ?? null;
  }
}

/** From a call answered at once to a long one, in milliseconds. */
const DURATIONS_MS = [
  50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 204_800,
];

/** Of durations in milliseconds. */
export function durations(): Tally {
  return new Tally(DURATIONS_MS);
}
