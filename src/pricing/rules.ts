/**
 * Ordered price rules over what a request is made of (units: tokens, images, seconds …) and how it is made (resolution, quality …).
 * For each unit the first rule whose conditions hold applies; a unit without one has no price, and what has no price is not sold.
 * Exact fractions in BigInt inside; one rounding, up, at the end (docs/money.md).
 */
import { type NanoUsd, nanoUsd } from '../money.ts';

export type Scalar = string | number | boolean;

/** Bounds of a number; all of them must hold. */
export interface Range {
  gt?: number;
  gte?: number;
  lt?: number;
  lte?: number;
}

/** A value, one of several, or a range; every field must match. A circumstance that is not known matches nothing. */
export type When = Readonly<Record<string, Scalar | readonly Scalar[] | Range>>;

export interface Rule {
  unit: string;
  /** Decimal US dollars for `per` units. */
  usd: string;
  /** 1 by default. */
  per?: number;
  when?: When;
  /** That many units cost nothing. */
  included?: number;
  /** Fewer units are charged as that many. */
  min?: number;
  /** Units are charged in whole steps of that many, rounded up. */
  step?: number;
}

export interface PriceList {
  rules: readonly Rule[];
  /** What the sum is multiplied with, decimal; "1" by default. */
  markup?: string;
  /** The least that a request costs, decimal US dollars; nothing by default. */
  minCharge?: string;
}

/** How many of each unit; fractions down to a millionth count. */
export type Units = Readonly<Record<string, number>>;
export type Circumstances = Readonly<Record<string, Scalar | undefined>>;

export interface Line {
  unit: string;
  quantity: number;
  /** After `included`, `step` and `min`. */
  billed: number;
  usd: string;
  per: number;
}

export interface Priced {
  amount: NanoUsd;
  /** The rules that were used, in the order of the units. */
  lines: Line[];
}

/** A unit that no rule prices in these circumstances. */
export class UnpricedError extends RangeError {
  readonly unit: string;

  constructor(unit: string, circumstances: Circumstances) {
    super(`no rule prices ${unit} with ${JSON.stringify(circumstances)}`);
    this.unit = unit;
  }
}

interface CompiledRule {
  rule: Rule;
  conditions: [name: string, holds: (value: Scalar) => boolean][];
  /** 10^-15 US dollars. */
  femto: bigint;
  per: bigint;
}

const DECIMAL = /^(0|[1-9][0-9]{0,6})(?:\.([0-9]{1,15}))?$/;
const FEMTO_DIGITS = 15;
const MICRO = 1_000_000;
/** femto-dollars times micro-units are 10^-21 dollars; a nano-dollar is 10^12 of those. */
const PER_NANO = 10n ** 12n;
const ONE = 10n ** 15n;
const MOST_NANO = BigInt(Number.MAX_SAFE_INTEGER);
/** Beyond this a quantity is somebody's mistake, and floats lose millionths. */
const MOST_UNITS = 2 ** 33;

export class Prices {
  readonly #rules = new Map<string, CompiledRule[]>();
  readonly #markup: bigint;
  readonly #minCharge: bigint;

  /** Throws RangeError, naming what is wrong, for a rule that is no rule. */
  constructor({ rules, markup = '1', minCharge = '0' }: PriceList) {
    for (const rule of rules) {
      const others = this.#rules.get(rule.unit);
      const compiled = compileRule(rule);
      if (others) others.push(compiled);
      else this.#rules.set(rule.unit, [compiled]);
    }
    this.#markup = femto(markup, 'markup');
    this.#minCharge = femto(minCharge, 'min_charge');
  }

  /** Whether any rule is about this unit. */
  has(unit: string): boolean {
    return this.#rules.has(unit);
  }

  /** The rule that prices a unit here; null where none does. */
  find(unit: string, circumstances: Circumstances): Rule | null {
    return this.#matching(unit, circumstances)?.rule ?? null;
  }

  /** The rule that prices a unit here. Throws UnpricedError where none does. */
  ruleOf(unit: string, circumstances: Circumstances): Rule {
    return this.#find(unit, circumstances).rule;
  }

  /** Numbers that rules compare this circumstance with, each once. */
  boundsOf(circumstance: string): number[] {
    const wanted = [...this.#rules.values()]
      .flat()
      .flatMap(({ rule }) => rule.when?.[circumstance] ?? []);
    const numbers = wanted.flatMap((value) =>
      typeof value === 'object' ? (Object.values(value) as unknown[]) : [value],
    );
    return [...new Set(numbers.filter((value) => typeof value === 'number'))];
  }

  /** The circumstances that any rule depends on. */
  circumstances(): Set<string> {
    const rules = [...this.#rules.values()].flat();
    return new Set(rules.flatMap(({ rule }) => Object.keys(rule.when ?? {})));
  }

  /** Throws UnpricedError where a unit of the request has no price. */
  price(units: Units, circumstances: Circumstances): Priced {
    const lines: Line[] = [];
    let numerator = 0n;
    let denominator = 1n;
    for (const [unit, quantity] of Object.entries(units)) {
      if (quantity === 0) continue;
      const found = this.#find(unit, circumstances);
      const { rule, per } = found;
      const billed = billedMicro(rule, micro(quantity, unit));
      lines.push({
        unit,
        quantity,
        billed: Number(billed) / MICRO,
        usd: rule.usd,
        per: rule.per ?? 1,
      });
      numerator = numerator * per + found.femto * billed * denominator;
      denominator *= per;
    }
    return { amount: this.#charge(numerator, denominator), lines };
  }

  #find(unit: string, circumstances: Circumstances): CompiledRule {
    const found = this.#matching(unit, circumstances);
    if (found) return found;
    throw new UnpricedError(unit, circumstances);
  }

  #matching(unit: string, circumstances: Circumstances): CompiledRule | undefined {
    return this.#rules.get(unit)?.find(({ conditions }) =>
      conditions.every(([name, holds]) => {
        const value = circumstances[name];
        return value !== undefined && holds(value);
      }),
    );
  }

  #charge(numerator: bigint, denominator: bigint): NanoUsd {
    const whole = PER_NANO * denominator * ONE;
    const sum = numerator * this.#markup;
    const least = this.#minCharge * BigInt(MICRO) * denominator * ONE;
    const most = sum > least ? sum : least;
    const nano = (most + whole - 1n) / whole;
    return nanoUsd(nano > MOST_NANO ? MOST_NANO : nano);
  }
}

function compileRule(rule: Rule): CompiledRule {
  const { unit, per = 1, included = 0, min = 0, step } = rule;
  if (!Number.isSafeInteger(per) || per < 1)
    throw wrong(unit, '"per" must be a whole number from 1');
  if (!(included >= 0)) throw wrong(unit, '"included" must be at least 0');
  if (!(min >= 0)) throw wrong(unit, '"min" must be at least 0');
  if (step !== undefined && !(step > 0)) throw wrong(unit, '"step" must be above 0');
  const conditions = Object.entries(rule.when ?? {}).map(
    ([name, wanted]): CompiledRule['conditions'][number] => [name, condition(wanted, unit, name)],
  );
  return { rule, conditions, femto: femto(rule.usd, `the price of ${unit}`), per: BigInt(per) };
}

function condition(wanted: When[string], unit: string, name: string): (value: Scalar) => boolean {
  if (typeof wanted !== 'object') return (value) => value === wanted;
  if (isList(wanted)) return (value) => wanted.includes(value);
  const { gt = -Infinity, gte = -Infinity, lt = Infinity, lte = Infinity, ...unknown } = wanted;
  const bounds = Object.values(wanted);
  const isRange = bounds.length > 0 && Object.keys(unknown).length === 0;
  if (!isRange || !bounds.every((bound) => typeof bound === 'number')) {
    throw wrong(unit, `"when.${name}" must be a value, a list, or bounds gt, gte, lt, lte`);
  }
  return (value) =>
    typeof value === 'number' && value > gt && value >= gte && value < lt && value <= lte;
}

function isList(wanted: readonly Scalar[] | Range): wanted is readonly Scalar[] {
  return Array.isArray(wanted);
}

function billedMicro({ included = 0, min = 0, step }: Rule, quantity: bigint): bigint {
  let left = quantity - micro(included);
  if (left < 0n) left = 0n;
  if (step !== undefined) {
    const size = micro(step);
    left = ((left + size - 1n) / size) * size;
  }
  const least = micro(min);
  return left > least ? left : least;
}

/** Millionths of a unit, rounded up: what a provider measures in floats is never charged too little for it. */
function micro(quantity: number, unit = 'a unit'): bigint {
  if (!(quantity >= 0 && quantity <= MOST_UNITS)) {
    throw new RangeError(`${quantity} is no quantity of ${unit}`);
  }
  if (Number.isInteger(quantity)) return BigInt(quantity) * BigInt(MICRO);
  // A binary float may lie a hair above the decimal that was meant.
  return BigInt(Math.ceil(Number((quantity * MICRO).toFixed(3))));
}

/** A decimal as a whole number of 10^-15. */
export function femto(text: string, what = 'a price'): bigint {
  const match = DECIMAL.exec(text);
  if (!match) {
    const shown = JSON.stringify(String(text).slice(0, 40));
    throw new RangeError(`${what} is not a decimal number: ${shown}`);
  }
  return BigInt(match[1]! + (match[2] ?? '').padEnd(FEMTO_DIGITS, '0'));
}

function wrong(unit: string, problem: string): RangeError {
  return new RangeError(`the rule of ${unit}: ${problem}`);
}
