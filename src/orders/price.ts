/** Units and circumstances of one media request, by the rules of its model. */
import type { MediaType } from '../config/config.ts';
import {
  type Circumstances,
  type Priced,
  type Prices,
  type Units,
  UnpricedError,
} from '../pricing/rules.ts';
import { UNITS_OF } from './units.ts';

/** The units that these rules are about. Throws UnpricedError where one of them is not known or has no price here: it is never free. */
export function priceUnits(
  type: MediaType,
  rules: Prices,
  units: Units,
  circumstances: Circumstances,
): Priced {
  const { main, extra } = UNITS_OF[type];
  const priced: Record<string, number> = {};
  for (const unit of [...main, ...extra]) {
    if (!rules.has(unit)) continue;
    const quantity = units[unit];
    if (quantity === undefined) throw new UnpricedError(unit, circumstances);
    priced[unit] = quantity;
  }
  return rules.price(eachInSteps(rules, priced, circumstances, units['image'] ?? 1), circumstances);
}

/** Steps are of one image: two of 1.05 megapixels are two of two. */
function eachInSteps(rules: Prices, units: Units, circumstances: Circumstances, n: number): Units {
  const { megapixel } = units;
  if (megapixel === undefined || n <= 1) return units;
  const { step } = rules.ruleOf('megapixel', circumstances);
  if (step === undefined) return units;
  const each = Math.ceil(Number((megapixel / n / step).toFixed(9))) * step;
  return { ...units, megapixel: each * n };
}
