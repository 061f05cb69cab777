import { afterEach, describe, expect, it } from 'vitest';
import { Catalogue } from '../../src/catalogue.ts';
import type { KeyRules } from '../../src/keys/rules.ts';
import { parseUsd } from '../../src/money.ts';
import { estimateOrder, quotedOrder } from '../../src/orders/estimate.ts';
import { type OrderTerms, planOrder } from '../../src/orders/plan.ts';
import { PriceLists } from '../../src/price-lists.ts';
import { Quotes } from '../../src/quotes.ts';
import { load } from '../support/config.ts';
import { type DescribedModel, fileOf } from '../support/media-model.ts';
import { type TestStore, testStore } from '../support/store.ts';

const clip = (usd: string): DescribedModel => ({
  id: 'clip',
  type: 'video',
  params: { duration: { min: 1, max: 60 }, resolutions: ['720p', '1080p'], max_n: 4 },
  price: {
    rules: [
      { unit: 'output_second', usd, when: { resolution: '720p' } },
      { unit: 'output_second', usd: '9', when: { resolution: '1080p' } },
    ],
  },
});
const PICTURE: DescribedModel = {
  id: 'picture',
  type: 'image',
  price: { rules: [{ unit: 'image', usd: '0.04' }] },
};

let store: TestStore;
afterEach(() => store[Symbol.asyncDispose]());

async function shop(models = [clip('0.1'), PICTURE]) {
  store = await testStore();
  return open(models);
}

/** As a start does, on what earlier ones left. */
async function open(models: DescribedModel[]) {
  const { ledger, clock } = store;
  const catalogue = new Catalogue(load(fileOf(...models)).models);
  const priceLists = new PriceLists({ ledger, catalogue, clock });
  await priceLists.start();
  const quotes = new Quotes({ priceLists, secret: store.secretFor('quotes'), clock });
  const tools = { catalogue, quotes, creditUsd: parseUsd('0.01') };
  const plan = (terms: Partial<OrderTerms>, rules: KeyRules[] = []) => {
    const {
      entry: _,
      order: __,
      ...money
    } = planOrder(
      tools,
      { model: 'clip', asked: { duration: 10 }, quoteId: null, maxCredits: [], ...terms },
      rules,
    );
    return money;
  };
  const quote = async (body: Record<string, unknown>) => {
    const entry = catalogue.mediaEntry('clip');
    return (await quotes.make(quotedOrder(estimateOrder(body, entry)), entry)).id;
  };
  return { catalogue, plan, quote };
}

describe('the plan of an order', () => {
  it('holds the most, and promises nothing without a quote', async () => {
    const { plan } = await shop();
    expect(plan({})).toEqual({ ceiling: parseUsd('1'), most: null });
    expect(plan({ asked: {} })).toEqual({ ceiling: parseUsd('6'), most: null });
  });

  it('is of a model of the kind that is asked for', async () => {
    const { plan } = await shop();
    const wrong = expect.objectContaining({ details: { field: 'model' } });
    expect(() => plan({ types: ['image', 'image_edit'] })).toThrow(wrong);
    expect(() => plan({ model: 'nope' })).toThrow(
      expect.objectContaining({ code: 'model_not_found' }),
    );
    expect(plan({ model: 'picture', types: ['image'], asked: {} }).ceiling).toBe(parseUsd('0.04'));
  });

  it('is refused above max_credits, of the body or the header, and above what its key may spend', async () => {
    const { plan } = await shop();
    const tooMuch = expect.objectContaining({ code: 'max_credits_exceeded' });
    expect(plan({ maxCredits: [100, '100', null, undefined] }).ceiling).toBe(parseUsd('1'));
    expect(() => plan({ maxCredits: [99.9] })).toThrow(tooMuch);
    expect(() => plan({ maxCredits: [null, '99'] })).toThrow(tooMuch);
    expect(() => plan({}, [{ maxRequestUsd: '0.99' }])).toThrow(tooMuch);
    const forbidden = expect.objectContaining({ code: 'forbidden' });
    expect(() => plan({}, [{ models: ['picture'] }])).toThrow(forbidden);
    expect(() => plan({}, [{ modalities: ['image'] }])).toThrow(forbidden);
  });

  it('is priced by its quote when the price changes under it, also over a restart', async () => {
    const { catalogue, plan, quote } = await shop();
    const quoteId = await quote({ duration: 10, resolution: '720p' });
    catalogue.replace(load(fileOf(clip('1'), PICTURE)).models);
    const promised = { ceiling: parseUsd('1'), most: parseUsd('1') };
    expect(plan({}).ceiling).toBe(parseUsd('10'));
    expect(plan({ quoteId })).toEqual(promised);
    expect(plan({ quoteId, asked: { duration: 4 } }).ceiling).toBe(parseUsd('0.4'));
    const again = await open([clip('2'), PICTURE]);
    expect(again.plan({ quoteId })).toEqual(promised);
    expect(again.plan({}).ceiling).toBe(parseUsd('20'));
  });

  it('is priced by its quote where units changed, too', async () => {
    const { catalogue, plan, quote } = await shop();
    const quoteId = await quote({ duration: 10 });
    const flat = { ...clip('1'), price: { rules: [{ unit: 'generation', usd: '7' }] } };
    catalogue.replace(load(fileOf(flat, PICTURE)).models);
    expect(plan({}).ceiling).toBe(parseUsd('7'));
    expect(plan({ quoteId }).ceiling).toBe(parseUsd('1'));
  });

  it('is of the quoted request or a smaller one, for ten minutes', async () => {
    const { plan, quote } = await shop();
    const quoteId = await quote({ duration: 10 });
    const refusal = (terms: Partial<OrderTerms>) => {
      try {
        plan({ quoteId, ...terms });
      } catch (error) {
        return (error as Error).message;
      }
      return null;
    };
    expect(refusal({})).toBeNull();
    expect(refusal({ asked: { duration: 11 } })).toMatch(/is for 10 of output_second/);
    expect(refusal({ asked: { duration: 10, n: 2 } })).toMatch(/this request has 20/);
    expect(refusal({ asked: { duration: 5, n: 2 } })).toBeNull();
    expect(refusal({ asked: { duration: 1, resolution: '1080p' } })).toMatch(/resolution 720p/);
    expect(refusal({ asked: {} })).toMatch(/output_second/);
    expect(refusal({ model: 'picture', asked: {} })).toMatch(/is for the model clip/);
    expect(refusal({ quoteId: `${quoteId.slice(0, -1)}_` })).toMatch(/not a quote/);
    store.clock.ms += 10 * 60_000;
    expect(refusal({})).toMatch(/expired/);
  });
});
