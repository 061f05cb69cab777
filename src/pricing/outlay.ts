/** What serving a request cost the operator: what its upstream says, else what the rules of its route come to. */
import type { CostConfig } from '../config/config.ts';
import { type NanoUsd, ZERO_USD } from '../money.ts';
import type { Usage } from '../providers/provider.ts';
import { type Circumstances, Prices, type Units } from './rules.ts';
import { readCost } from './upstream.ts';
import { type CompiledPrice, compilePrice, priceOf } from './tokens.ts';

export interface Outlay {
  /** Null where neither says. */
  nano: NanoUsd | null;
  /** By the rules. */
  listed: NanoUsd | null;
  /** By the upstream. */
  reported: NanoUsd | null;
}

/** Over a key of the caller's own. */
export const NO_OUTLAY: Outlay = { nano: ZERO_USD, listed: null, reported: null };

const tokenRules = new WeakMap<CostConfig, CompiledPrice | null>();
const mediaRules = new WeakMap<CostConfig, Prices | null>();

/** `reportedUsd`: decimal. */
export function tokenOutlay(
  cost: CostConfig | undefined,
  usage: Usage,
  reportedUsd: string | null | undefined,
): Outlay {
  const rules = cost && known(tokenRules, cost, compileTokens);
  return outlay(rules ? priceOf(rules, usage) : null, reportedUsd);
}

export function mediaOutlay(
  cost: CostConfig | undefined,
  { units, circumstances }: { units: Units; circumstances: Circumstances },
  reportedUsd: string | null | undefined,
): Outlay {
  const rules = cost && known(mediaRules, cost, compileMedia);
  let listed: NanoUsd | null = null;
  try {
    // An order says itself in every unit; a list is about some of them.
    const priced = Object.entries(units).filter(([unit]) => rules?.has(unit));
    if (rules && priced.length) {
      listed = rules.price(Object.fromEntries(priced), circumstances).amount;
    }
  } catch (error) {
    // Circumstances that the operator wrote no cost for: then nobody knows.
    if (!(error instanceof RangeError)) throw error;
  }
  return outlay(listed, reportedUsd);
}

/** As the hold's row keeps it, for the sums by channel. */
export function outlayFields(
  channel: string,
  { nano }: Outlay,
): { channel: string; upstream_nano?: number } {
  return nano === null ? { channel } : { channel, upstream_nano: nano };
}

function outlay(listed: NanoUsd | null, reportedUsd: string | null | undefined): Outlay {
  const reported = typeof reportedUsd === 'string' ? readCost(reportedUsd) : null;
  return { nano: reported ?? listed, listed, reported };
}

function known<T>(
  cache: WeakMap<CostConfig, T | null>,
  cost: CostConfig,
  compile: (cost: CostConfig) => T | null,
): T | null {
  let rules = cache.get(cost);
  if (rules === undefined) {
    try {
      rules = compile(cost);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      rules = null;
    }
    cache.set(cost, rules);
  }
  return rules;
}

function compileTokens(cost: CostConfig): CompiledPrice | null {
  // What the operator wrote no cost for costs nothing.
  if (cost.from !== 'rules') return null;
  return compilePrice({ ...cost.prices, version: '' }, ['input_token', 'output_token']);
}

function compileMedia(cost: CostConfig): Prices | null {
  return cost.from === 'rules' ? new Prices(cost.prices) : null;
}
