import { describe, expect, it } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { priceVersion } from '../../../src/config/prices.ts';
import { parseUsd } from '../../../src/money.ts';
import { type Answer, chatBody, startApp, type TestApp, textOf } from '../../support/app.ts';
import { manualClock } from '../../support/store.ts';
import { whole } from '../../support/upstream.ts';

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

interface Quote {
  id: string;
  maxNano: number;
}

async function quoteFor(app: TestApp, body: object): Promise<Quote> {
  const { json } = await app.post('/v1/credits/estimate', body);
  const { id, max_usd } = json['quote'] as unknown as { id: string; max_usd: string };
  return { id, maxNano: parseUsd(max_usd) };
}

const costOf = ({ headers }: Answer) => parseUsd(headers.get('x-request-cost')!);

/** The same models, ten times as dear. */
function dearer(config: Config): Config {
  return {
    ...config,
    models: config.models.map((model) => {
      const price = { ...model.price, markup: '10' };
      return { ...model, price: { ...price, version: priceVersion(price) } };
    }),
  };
}

describe('a quote', () => {
  it('holds when the price changes under it, also over a restart, and not for anybody without it', async () => {
    const clock = manualClock();
    const first = await startApp({ clock });
    const { secret } = await first.key('5');
    const body = chatBody({ max_tokens: 100 });
    const plain = costOf(await first.chat(bearer(secret), body));
    const quote = await quoteFor(first, body);
    await first.app.reload(dearer(first.app.config));
    expect(costOf(await first.chat(bearer(secret), body))).toBe(10 * plain);
    const quoted = { ...body, quote_id: quote.id };
    expect(costOf(await first.chat(bearer(secret), quoted))).toBe(plain);
    expect(costOf(await first.chat({ ...bearer(secret), 'x-quote-id': quote.id }, body))).toBe(
      plain,
    );
    expect(first.upstream.requests.at(-2)!.json).not.toHaveProperty('quote_id');
    await first.check();
    await first.stop();
    await using again = await startApp({
      clock,
      dataDir: first.dataDir,
      change: (config) => Object.assign(config, dearer(config)),
    });
    expect(costOf(await again.chat(bearer(secret), body))).toBe(10 * plain);
    expect(costOf(await again.chat(bearer(secret), quoted))).toBe(plain);
    await again.check();
  });

  it('never costs more than it said, whatever the upstream reports', async () => {
    await using app = await startApp();
    const { secret, accountId } = await app.key('5');
    const body = chatBody({ max_tokens: 10 });
    const quote = await quoteFor(app, body);
    const usage = { prompt_tokens: 500, completion_tokens: 900, total_tokens: 1_400 };
    app.upstream.next(whole({ usage }));
    expect(costOf(await app.chat(bearer(secret), { ...body, quote_id: quote.id }))).toBe(
      quote.maxNano,
    );
    const { posted } = await app.app.store.accounts.balance(accountId);
    expect(posted).toBe(parseUsd('5') - quote.maxNano);
    await app.check();
  });

  it('binds for ten minutes, one model, and a request of its size or smaller', async () => {
    const clock = manualClock();
    await using app = await startApp({ clock });
    const { secret } = await app.key('5');
    const body = chatBody({ max_tokens: 100 });
    const { id } = await quoteFor(app, body);
    const status = async (change: object, quoteId = id) => {
      const answer = await app.chat(bearer(secret), { ...body, ...change, quote_id: quoteId });
      return [
        answer.status,
        answer.status === 200 ? '' : textOf(answer.json['error']?.['message']),
      ];
    };
    expect(await status({ max_tokens: 50 })).toEqual([200, '']);
    expect(await status({ max_tokens: 101 })).toEqual([400, expect.stringContaining('larger')]);
    expect(await status({ n: 2 })).toEqual([400, expect.stringContaining('larger')]);
    const long = [{ role: 'user', content: 'much more than was estimated '.repeat(50) }];
    expect(await status({ messages: long })).toEqual([400, expect.stringContaining('larger')]);
    expect(await status({}, `${id.slice(0, -1)}x`)).toEqual([
      400,
      expect.stringContaining('quote_id'),
    ]);
    expect(await status({}, 'nonsense')).toEqual([400, expect.stringContaining('quote_id')]);
    expect((await status({ quote_id: 5 }, 5 as unknown as string))[0]).toBe(400);
    clock.ms += 10 * 60_000;
    expect(await status({})).toEqual([400, expect.stringContaining('expired')]);
    await app.check();
  });

  it('is what the 402 of that very request asks for', async () => {
    await using app = await startApp();
    const body = chatBody({ max_tokens: 4_096, n: 16 });
    const quote = await quoteFor(app, body);
    await app.app.reload(dearer(app.app.config));
    const units = async (more: object) => {
      const { json } = await app.post('/v1/chat/completions', { ...body, ...more });
      return Number(textOf((json['accepts'] as unknown as { amount: never }[])[0]!.amount));
    };
    expect(await units({ quote_id: quote.id })).toBe(Math.ceil(quote.maxNano / 1e7) * 10_000);
    expect(await units({})).toBe(Math.ceil((10 * quote.maxNano) / 1e7) * 10_000);
  });
});
