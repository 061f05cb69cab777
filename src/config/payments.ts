/** `payments`: amounts and their order. */
import { type NanoUsd, parseUsd, ZERO_USD } from '../money.ts';
import type { PaymentsConfig } from './config.ts';
import type { Faults } from './fault.ts';
import type { RawPayments, UsdSetting } from './raw.ts';

/** An account is capped at this. */
const MOST_USD = parseUsd('1000000');

/** From the least to the most; each must not exceed the next. */
const ORDER: UsdSetting[] = [
  'minimum_balance_usd',
  'inline_minimum_usd',
  'minimum_top_up_usd',
  'suggested_top_up_usd',
  'maximum_top_up_usd',
];

/**
 * Reads the amounts. `given` names those that somebody set: a default gives way to them, so that one setting can be changed alone.
 */
export function readAmounts(
  raw: RawPayments,
  given: ReadonlySet<string>,
  faults: Faults,
): Omit<PaymentsConfig, 'networks'> {
  const amounts = new Map(ORDER.map((name) => [name, parseUsd(raw[name])]));
  const set = ORDER.filter((name) => given.has(name));
  set.forEach((name, n) => {
    const next = set[n + 1];
    if (next !== undefined && amounts.get(name)! > amounts.get(next)!) {
      faults.add(['payments', name], `must be at most ${next}`);
    }
  });
  for (const name of set) {
    const path = ['payments', name];
    if (amounts.get(name)! > MOST_USD) faults.add(path, 'must be at most "1000000"');
    if (amounts.get(name) === ZERO_USD && name !== 'minimum_balance_usd')
      faults.add(path, 'must be more than 0');
  }
  giveWay(amounts, given);
  const perPayer = parseUsd(raw.exposure_per_payer_usd);
  const total = parseUsd(raw.exposure_total_usd);
  const isPerPayerGiven = given.has('exposure_per_payer_usd');
  if (perPayer > total && isPerPayerGiven && given.has('exposure_total_usd')) {
    faults.add(['payments', 'exposure_per_payer_usd'], 'must be at most exposure_total_usd');
  }
  return {
    minimumTopUp: amounts.get('minimum_top_up_usd')!,
    inlineMinimum: amounts.get('inline_minimum_usd')!,
    suggestedTopUp: amounts.get('suggested_top_up_usd')!,
    maximumTopUp: amounts.get('maximum_top_up_usd')!,
    minimumBalance: amounts.get('minimum_balance_usd')!,
    exposurePerPayer: isPerPayerGiven ? perPayer : smaller(perPayer, total),
    exposureTotal: isPerPayerGiven && total < perPayer ? perPayer : total,
    adjustConfirm: parseUsd(raw.adjust_confirm_usd),
    adjustDaily: parseUsd(raw.adjust_daily_usd),
  };
}

function giveWay(amounts: Map<UsdSetting, NanoUsd>, given: ReadonlySet<string>): void {
  const from = (names: UsdSetting[], pick: (a: NanoUsd, b: NanoUsd) => NanoUsd) => {
    let bound: NanoUsd | undefined;
    for (const name of names) {
      const own = amounts.get(name)!;
      if (!given.has(name) && bound !== undefined) amounts.set(name, pick(own, bound));
      if (given.has(name) || bound !== undefined) bound = amounts.get(name)!;
    }
  };
  from(ORDER.toReversed(), smaller);
  from(ORDER, larger);
}

function smaller(a: NanoUsd, b: NanoUsd): NanoUsd {
  return a < b ? a : b;
}

function larger(a: NanoUsd, b: NanoUsd): NanoUsd {
  return a > b ? a : b;
}
