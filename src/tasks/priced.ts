/** What prices a task, kept on its row: models and prices may change or go while it is made. */
import type { MediaEntry } from '../catalogue.ts';
import type { MediaModel } from '../config/config.ts';
import { type NanoUsd, nanoUsd } from '../money.ts';
import { deliveredCost, type Measured, type Order } from '../orders/order.ts';
import type { OrderPlan } from '../orders/plan.ts';
import { type ByokFee, feeOf } from '../pricing/byok.ts';
import { compileMediaPrice, type MediaPrices } from '../pricing/media.ts';

export interface PricedTask {
  order: Order;
  model: Pick<MediaModel, 'id' | 'type' | 'params'>;
  prices: MediaPrices;
  /** What a quote promised; null without one. */
  most: NanoUsd | null;
  /** Instead of the price, for a task over a key of its owner; null over the operator's. */
  fee: ByokFee | null;
}

export function pricedJson({ entry, order, most }: OrderPlan, fee: ByokFee | null): string {
  const { id, type, params } = entry.model;
  const priced: PricedTask = {
    order,
    model: { id, type, params },
    prices: entry.price.list,
    most,
    fee,
  };
  return JSON.stringify(priced);
}

export function readPriced(json: string): PricedTask {
  return JSON.parse(json) as PricedTask;
}

/** What a result costs, by the prices that its task was held at. */
export function costOf(
  { order, model, prices, most, fee }: PricedTask,
  measured: Measured,
): NanoUsd {
  const price = compileMediaPrice(prices);
  const entry = { kind: 'media', model, price } as MediaEntry;
  const { amount } = deliveredCost(entry, order, measured);
  const agreed = most !== null && amount > most ? nanoUsd(most) : amount;
  return fee ? feeOf(agreed, fee) : agreed;
}
