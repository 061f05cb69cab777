/** Prices worked out from the text of a settings file, with nothing of ours but the file: what the server charges is held against it. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** What the tests of all modalities sell. */
export const FILE = readFileSync(new URL('../fixtures/modalities.yaml', import.meta.url), 'utf8');

interface Rule {
  unit: string;
  usd: string;
  per?: number;
  included?: number;
  when?: Record<string, string>;
}

export type Counts = Record<string, number>;
export type Facts = Record<string, string>;

export const SOLD = (
  parse(FILE) as { models: { id: string; price: { rules: Rule[]; markup?: string } }[] }
).models;

/** Nano-dollars: a sum of fractions, rounded up once. Counts are whole. */
export function priceByHand(model: string, counts: Counts, facts: Facts = {}): bigint {
  const { rules, markup = '1' } = SOLD.find(({ id }) => id === model)!.price;
  let over = 0n;
  let under = 1n;
  for (const [unit, count] of Object.entries(counts)) {
    const rule = rules.find(
      (each) =>
        each.unit === unit &&
        Object.entries(each.when ?? {}).every(([name, value]) => facts[name] === value),
    );
    if (!rule) throw new Error(`${model} has no price of ${unit}`);
    const billed = BigInt(Math.max(0, count - (rule.included ?? 0)));
    const per = BigInt(rule.per ?? 1);
    over = over * per + tenBillionths(rule.usd) * billed * under;
    under *= per;
  }
  over *= tenBillionths(markup);
  under *= 10n ** 11n;
  return (over + under - 1n) / under;
}

function tenBillionths(decimal: string): bigint {
  const [whole, fraction = ''] = decimal.split('.');
  return BigInt(whole + fraction.padEnd(10, '0'));
}
