import { expect, it } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { priceVersion } from '../../../src/config/prices.ts';
import { textOf } from '../../support/app.ts';
import { startMediaApp } from '../../support/media-app.ts';

const VIDEO = { model: 'seedance-2-fast', prompt: 'A boat', duration: 6, resolution: '720p' };

/** The same models, ten times as dear. */
function dearer(config: Config): Config {
  return {
    ...config,
    models: config.models.map((model) => {
      const price = { ...model.price, markup: '10' };
      return { ...model, price: { ...price, version: priceVersion(price) } } as typeof model;
    }),
  };
}

it('makes a video at its quote when the price changes under it, and charges no more', async () => {
  await using app = await startMediaApp();
  const { secret, accountId } = await app.key('20');
  const headers = { authorization: `Bearer ${secret}` };
  const estimate = await app.post('/v1/credits/estimate', VIDEO);
  const usd = textOf(estimate.json['usd']!['max']);
  const quoteId = textOf(estimate.json['quote']!['id']);
  await app.app.reload(dearer(app.app.config));
  const plain = await app.post('/v1/videos', VIDEO, headers);
  const quoted = await app.post('/v1/videos', { ...VIDEO, quote_id: quoteId }, headers);
  const byHeader = await app.post('/v1/videos', VIDEO, { ...headers, 'x-quote-id': quoteId });
  const held = (answer: typeof plain) => Number(answer.json['credits_held']);
  expect(held(plain)).toBe(Number(usd) * 1_000);
  expect([held(quoted), held(byHeader)]).toEqual([Number(usd) * 100, Number(usd) * 100]);
  const longer = { ...VIDEO, duration: 10, quote_id: quoteId };
  expect((await app.post('/v1/videos', longer, headers)).status).toBe(400);
  for (let looks = 0; looks < 4; looks++) await app.pass(5_000);
  const { posted, held: left } = await app.app.store.accounts.balance(accountId);
  expect([posted, left]).toEqual([Math.round((20 - 12 * Number(usd)) * 1e9), 0]);
  await app.check();
});
