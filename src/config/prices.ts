/** Price lists of the file: of models, and of what routes cost the operator. */
import { createHash } from 'node:crypto';
import { UNITS_OF } from '../orders/units.ts';
import type { UpstreamPricing } from '../pricing/upstream.ts';
import { femto, type PriceList, type Rule, type When } from '../pricing/rules.ts';
import { TOKEN_UNITS } from '../pricing/tokens.ts';
import type { CostConfig, ModelConfig, RouteConfig } from './config.ts';
import type { Faults, Path } from './fault.ts';
import type { RawPrices, RawRule } from './raw.ts';

const VERSION_HEX = 16;
/** Other catalogues' names. */
const ALIASES: Record<string, string | undefined> = {
  cache_read_token: 'cached_input_token',
  cache_write_5m_token: 'cache_write_token',
};

export interface ReadPrice extends PriceList {
  version: string;
  upstream?: UpstreamPricing;
}

/** Names a price: the same for the same prices however they are spelled ("2", "2.00"). */
export function priceVersion({
  rules,
  markup = '1',
  minCharge = '0',
  upstream,
}: Omit<ReadPrice, 'version'>): string {
  const canonical = rules.map(({ unit, per = 1, usd, when, included, min, step }) => [
    unit,
    per,
    plain(usd),
    ...(when === undefined ? [] : [when]),
    ...(included || min || step ? [{ included, min, step }] : []),
  ]);
  const isPlain = plain(markup) === '1' && plain(minCharge) === '0';
  const more: unknown[] = isPlain ? [] : [[plain(markup), plain(minCharge)]];
  if (upstream) more.push({ from: plain(upstream.markup), most: plain(upstream.maxUsd) });
  return createHash('sha256')
    .update(JSON.stringify([...canonical, ...more]))
    .digest('hex')
    .slice(0, VERSION_HEX);
}

function plain(usd: string): string {
  return usd.replace(/(\.[0-9]*?)0+$/, '$1').replace(/\.$/, '');
}

/** Units that a type of model can be sold by. */
export function unitsFor(type: ModelConfig['type']): readonly string[] {
  if (type === 'text' || type === 'embedding') return TOKEN_UNITS;
  return [...UNITS_OF[type].main, ...UNITS_OF[type].extra];
}

/** What callers pay: rules; or the cost of the first route that has rules for it, marked up; or what the upstream says. */
export function readPrice(
  raw: RawPrices | undefined,
  { type, routes }: Pick<ModelConfig, 'type'> & { routes: readonly RouteConfig[] },
  path: Path,
  faults: Faults,
): ReadPrice {
  const upstream = readUpstream(raw, path, faults);
  const own = {
    rules: readRules(raw, type, path, faults),
    markup: upstream ? '1' : (raw?.markup ?? '1'),
    minCharge: raw?.min_charge ?? '0',
  };
  const list = raw?.rules || upstream || !raw ? own : markedUp(own, routes, path, faults);
  const price = upstream ? { ...list, upstream } : list;
  return { ...price, version: priceVersion(price) };
}

function readUpstream(
  raw: RawPrices | undefined,
  path: Path,
  faults: Faults,
): UpstreamPricing | null {
  if (raw?.from === undefined) {
    if (raw?.max_usd !== undefined)
      faults.add([...path, 'max_usd'], 'must be left out: it goes with from: upstream');
    return null;
  }
  if (femto(raw.min_charge) !== 0n)
    faults.add([...path, 'min_charge'], 'must be left out: it goes with rules');
  const maxUsd = raw.max_usd ?? '0';
  if (femto(maxUsd) === 0n) {
    faults.add(
      [...path, 'max_usd'],
      'must be there, and more than 0: it is what a request holds and is quoted at',
    );
  }
  return { markup: raw.markup, maxUsd };
}

function markedUp(
  { markup, minCharge }: { markup: string; minCharge: string },
  routes: readonly RouteConfig[],
  path: Path,
  faults: Faults,
): PriceList {
  const cost = routes.find((route) => route.cost?.from === 'rules')?.cost;
  if (cost?.from !== 'rules') {
    faults.add(
      [...path, 'rules'],
      'is missing; it must be at least one { unit, per, usd }, or a route must say its cost by rules, or from: upstream',
    );
    return { rules: [], markup, minCharge };
  }
  const { prices } = cost;
  return { rules: prices.rules, markup: product(markup, prices.markup ?? '1'), minCharge };
}

/** Of two decimals, exact; 15 decimals at most, and markups have six. */
function product(a: string, b: string): string {
  const digits = String(femto(a) * femto(b)).padStart(31, '0');
  return plain(`${digits.slice(0, -30)}.${digits.slice(-30, -15)}`);
}

/** What the operator pays over a route. */
export function readCost(
  raw: RawPrices,
  type: ModelConfig['type'],
  path: Path,
  faults: Faults,
): CostConfig {
  if (raw.from === 'upstream' && !raw.rules) return { from: 'upstream' };
  if (!raw.rules) faults.add([...path, 'rules'], 'is missing; it must be rules, or from: upstream');
  const rules = readRules(raw, type, path, faults);
  return { from: 'rules', prices: { rules, markup: raw.markup, minCharge: raw.min_charge } };
}

/** Ordered; a rule behind one of its unit without a condition would never be used, which nobody means. */
function readRules(
  raw: RawPrices | undefined,
  type: ModelConfig['type'],
  path: Path,
  faults: Faults,
): Rule[] {
  const seen = new Set<string>();
  const units = unitsFor(type);
  return (raw?.rules ?? []).flatMap((rule, n) => {
    if (rule?.unit === undefined) return [];
    const unit = ALIASES[rule.unit] ?? rule.unit;
    const at = [...path, 'rules', n, 'unit'];
    if (!units.includes(unit)) {
      const article = /^[aeiou]/.test(type) ? 'an' : 'a';
      faults.add(
        at,
        `must be one of ${units.join(', ')}: ${article} ${type} model is sold by those`,
      );
      return [];
    }
    if (seen.has(unit)) faults.add(at, `must not come twice: an earlier rule prices ${unit}`);
    if (rule.when === undefined) seen.add(unit);
    return [ruleOf(unit, rule)];
  });
}

/** Whether an earlier rule of its unit has no condition, which is said already. */
export function isBehindAll(rules: readonly Rule[], n: number): boolean {
  return rules.slice(0, n).some(({ unit, when }) => unit === rules[n]?.unit && !when);
}

/** Without what the schema took everything out of, which it named. */
function whole(when: Record<string, unknown>): When {
  const isLeft = (wanted: unknown) =>
    typeof wanted !== 'object' || wanted === null || Object.keys(wanted).length > 0;
  return Object.fromEntries(Object.entries(when).filter(([, wanted]) => isLeft(wanted))) as When;
}

function ruleOf(unit: string, { per, usd, when, included, min, step }: RawRule): Rule {
  return {
    unit,
    per,
    usd: usd ?? '0',
    ...(when !== undefined && { when: whole(when) }),
    ...(included !== undefined && { included }),
    ...(min !== undefined && { min }),
    ...(step !== undefined && { step }),
  };
}
