/** What a request costs that goes over a key of its owner's own: the operator's fee, as a price like any other. */
import { addUsd, type NanoUsd, nanoUsd } from '../money.ts';
import type { CompiledPrice, Tier } from './tokens.ts';

export interface ByokFee {
  /** Of the model's price, in percent: a decimal from 0 to 100. */
  percent: string;
  /** For each request, besides. */
  perRequest: NanoUsd;
}

/** So hold, fit to balance, charge and limits work for it as they do for the price itself. Exact: rates become larger fractions. */
export function feePrice(price: CompiledPrice, fee: ByokFee): CompiledPrice {
  const { version, tiers, hears, upstream } = price;
  const [whole = '0', decimals = ''] = fee.percent.split('.');
  const share = BigInt(whole + decimals);
  const over = 100n * 10n ** BigInt(decimals.length);
  const [first, ...others] = tiers;
  const feeTier = (tier: Tier): Tier => {
    const denominator = tier.denominator * over;
    const flat = BigInt(fee.perRequest) * denominator;
    return {
      from: tier.from,
      denominator,
      input: tier.input * share,
      cachedInput: tier.cachedInput * share,
      cacheWrite: tier.cacheWrite * share,
      longCacheWrite: tier.longCacheWrite * share,
      inputAudio: tier.inputAudio * share,
      output: tier.output * share,
      reasoning: tier.reasoning * share,
      request: tier.request * share + flat,
      least: tier.least * share + flat,
    };
  };
  return {
    version: `${version} byok ${fee.percent}% ${fee.perRequest}`,
    tiers: [feeTier(first), ...others.map(feeTier)],
    hears,
    ...(upstream && { upstream: feeUpstream(upstream, share, over, fee) }),
  };
}

function feeUpstream(
  { numerator, denominator, most, rules }: NonNullable<CompiledPrice['upstream']>,
  share: bigint,
  over: bigint,
  fee: ByokFee,
): NonNullable<CompiledPrice['upstream']> {
  const part = (BigInt(most) * share + over - 1n) / over;
  return {
    numerator: numerator * share,
    denominator: denominator * over,
    flat: fee.perRequest,
    most: addUsd(nanoUsd(part), fee.perRequest),
    rules: rules && feePrice(rules, fee),
  };
}

/** The fee for what has a price already, rounded up. */
export function feeOf(price: NanoUsd, { percent, perRequest }: ByokFee): NanoUsd {
  const [whole = '0', decimals = ''] = percent.split('.');
  const over = 100n * 10n ** BigInt(decimals.length);
  const part = (BigInt(price) * BigInt(whole + decimals) + over - 1n) / over;
  return addUsd(nanoUsd(part), perRequest);
}
