import { LLMock } from '@copilotkit/aimock';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { parseUsd } from '../../src/money.ts';
import { startApp, textOf } from '../support/app.ts';
import { json } from '../support/upstream.ts';

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const BODY = { model: 'demo-embed', input: 'The food was delicious.' };
const vectors = (tokens: number | null, more: object = {}) =>
  json(200, {
    object: 'list',
    data: [{ object: 'embedding', index: 0, embedding: [0.1, -0.2] }],
    model: 'up',
    ...(tokens !== null && { usage: { prompt_tokens: tokens, total_tokens: tokens } }),
    ...more,
  });

describe('embeddings', () => {
  it('pass on under both prefixes as they are, and cost their input', async () => {
    await using app = await startApp();
    const { secret } = await app.key('1');
    for (const prefix of ['/v1', '/api/v1']) {
      app.upstream.next(vectors(10));
      const body = { ...BODY, max_credits: 5, dimensions: 2, encoding_format: 'float', user: 'u' };
      const answer = await app.post(`${prefix}/embeddings`, body, bearer(secret));
      expect(answer.status).toBe(200);
      expect(answer.headers.get('x-request-cost')).toBe('0.0000002');
      expect(answer.text).toContain('[0.1,-0.2]');
      const sent = app.upstream.requests.at(-1)!;
      expect(sent.path).toBe('/v1/embeddings');
      expect(sent.json).toEqual({ ...BODY, dimensions: 2, encoding_format: 'float', user: 'u' });
    }
    await app.check();
  });

  it.each([
    ['text', 'hello'],
    ['texts', ['hello', 'world']],
    ['tokens', [1, 2, 3]],
    ['lists of tokens', [[1, 2], [3]]],
  ])('take %s', async (_name, input) => {
    await using app = await startApp();
    const { secret } = await app.key('1');
    app.upstream.next(vectors(3));
    expect((await app.post('/v1/embeddings', { ...BODY, input }, bearer(secret))).status).toBe(200);
    await app.check();
  });

  it('name what is wrong, and charge nothing', async () => {
    await using app = await startApp();
    const { secret, accountId } = await app.key('1');
    const wrong: [object, string][] = [
      [{ input: '' }, 'input'],
      [{ input: [] }, 'input'],
      [{ input: ['a', ''] }, 'input'],
      [{ input: [1.5] }, 'input'],
      [{ input: ['a', 1] }, 'input'],
      [{ input: Array.from({ length: 2_049 }, () => 'a') }, 'input'],
      [{ model: 'demo-chat' }, 'model'],
      [{ max_credits: 0 }, 'max_credits'],
      [{ previous_response_id: 'x' }, 'previous_response_id'],
    ];
    for (const [change, field] of wrong) {
      const answer = await app.post('/v1/embeddings', { ...BODY, ...change }, bearer(secret));
      expect([answer.status, field]).toEqual([400, field]);
      expect(answer.text).toContain(field);
    }
    const chat = { model: 'demo-embed', messages: [{ role: 'user', content: 'x' }] };
    expect((await app.post('/v1/chat/completions', chat, bearer(secret))).status).toBe(400);
    expect(app.upstream.requests).toHaveLength(0);
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(parseUsd('1'));
    await app.check();
  });

  it('that fail cost nothing; without usage they are counted, and never above what was held', async () => {
    await using app = await startApp();
    const { secret, accountId } = await app.key('1');
    const post = () => app.post('/v1/embeddings', BODY, bearer(secret));
    app.upstream.next(
      json(500, {}),
      json(200, {}),
      json(200, { data: [] }),
      vectors(null, { error: { message: 'x' }, data: [] }),
    );
    for (let at = 0; at < 4; at += 1) expect((await post()).status).toBe(502);
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(parseUsd('1'));
    app.upstream.next(vectors(null));
    const counted = await post();
    expect(counted.status).toBe(200);
    expect(Number(counted.headers.get('x-request-cost'))).toBeGreaterThan(0);
    await app.check();
  });

  it('are paid for by a wallet that has no key, priced before anything is sent', async () => {
    await using app = await startApp();
    const wallet = await app.evm();
    const asked = await app.post('/v1/embeddings', BODY);
    expect(asked.status).toBe(402);
    app.upstream.next(vectors(5));
    const paid = await app.post('/v1/embeddings', BODY, {
      'payment-signature': await wallet.pay('0.05'),
    });
    expect(paid.status).toBe(200);
    expect(await app.balanceOf(wallet)).toBe(parseUsd('0.05') - 5 * 20);
    await app.check();
  });

  it('are estimated, and a quote binds them', async () => {
    await using app = await startApp();
    const { secret } = await app.key('1');
    const { json: estimate } = await app.post('/v1/credits/estimate', BODY);
    expect(estimate).toMatchObject({ modality: 'embedding', units: { output_tokens: 0 } });
    app.upstream.next(vectors(3));
    const quote_id = textOf(estimate['quote']?.['id']);
    expect((await app.post('/v1/embeddings', { ...BODY, quote_id }, bearer(secret))).status).toBe(
      200,
    );
    await app.check();
  });

  it('reach OpenAI’s client through a server that nobody here wrote', async () => {
    const mock = new LLMock({ port: 0, host: '127.0.0.1' });
    await mock.start();
    try {
      await using app = await startApp({ demoUrl: `${mock.url}/v1` });
      const { secret, accountId } = await app.key('1');
      const client = new OpenAI({ baseURL: `${app.url}/v1`, apiKey: secret, maxRetries: 0 });
      const answer = await client.embeddings.create({ model: 'demo-embed', input: ['a', 'b'] });
      expect(answer.data).toHaveLength(2);
      expect(answer.data[0]!.embedding.length).toBeGreaterThan(10);
      const { posted } = await app.app.store.accounts.balance(accountId);
      expect(posted).toBeLessThanOrEqual(parseUsd('1'));
      await app.check();
    } finally {
      await mock.stop();
    }
  });

  it('come from the demo upstream, too', async () => {
    await using app = await startApp({ demoUrl: undefined as unknown as string });
    const { secret } = await app.key('1');
    const answer = await app.post(
      '/api/v1/embeddings',
      { ...BODY, input: ['a', 'b'] },
      bearer(secret),
    );
    expect(answer.status).toBe(200);
    expect(answer.json['data']).toHaveLength(2);
    expect(
      (
        await app.post(
          '/api/chat',
          { model: 'demo-chat', messages: [{ role: 'user', content: 'x' }] },
          bearer(secret),
        )
      ).status,
    ).toBe(200);
    await app.check();
  });
});
