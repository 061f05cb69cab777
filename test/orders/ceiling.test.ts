/** Thousands of models and of orders to them: whatever is delivered inside of what was ordered costs no more than was held. */
import { describe, expect, it } from 'vitest';
import { MEDIA_TYPES, type MediaType } from '../../src/config/config.ts';
import { estimateOrder } from '../../src/orders/estimate.ts';
import { ceilingOfOrder, deliveredCost, orderOf } from '../../src/orders/order.ts';
import { askOf, measuredOf, mediaModelOf, randomOf } from '../support/generated.ts';
import { catalogueOf } from '../support/media-model.ts';

const MODELS = 2_000;
const ORDERS_EACH = 5;

describe('the ceiling of an order', () => {
  const random = randomOf(20_261_121);
  const catalogue = catalogueOf(
    ...Array.from({ length: MODELS }, (_, n) => mediaModelOf(random, `m${n}`)),
  );
  const entries = Array.from({ length: MODELS }, (_, n) => catalogue.mediaEntry(`m${n}`));

  it('covers whatever is delivered, and is the most of the estimate', () => {
    const types = new Set<MediaType>();
    let isLess = 0;
    for (const entry of entries) {
      types.add(entry.model.type);
      for (let times = 0; times < ORDERS_EACH; times++) {
        const asked = askOf(random, entry);
        const order = orderOf(entry.model, asked);
        const most = ceilingOfOrder(entry, order).amount;
        const measured = measuredOf(random, entry, order);
        const cost = deliveredCost(entry, order, measured).amount;
        const told = () => JSON.stringify({ model: entry.model, asked, order, measured }, null, 1);
        expect(cost, cost > most ? told() : '').toBeLessThanOrEqual(most);
        if (cost < most) isLess++;
      }
    }
    expect(types.size).toBe(MEDIA_TYPES.length);
    expect(isLess).toBeGreaterThan(MODELS);
  });

  it('is what the estimate of the same body says at most', () => {
    for (const entry of entries) {
      const { duration: range, durations } = entry.model.params;
      const body = {
        duration: range?.min ?? durations[0],
        n: entry.model.params.maxN,
        prompt: 'a fox',
        ...(entry.model.type === 'tts' && { input: 'hello' }),
      };
      const { order, min, expected, max } = estimateOrder(body, entry);
      expect(max).toBe(ceilingOfOrder(entry, order).amount);
      expect(min).toBeLessThanOrEqual(expected);
      expect(expected).toBeLessThanOrEqual(max);
    }
  });
});
