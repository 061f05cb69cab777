import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/errors.ts';
import { errorAnswer, toAppError } from '../../src/http/errors.ts';
import { chatBody, MODEL_ID, startApp } from '../support/app.ts';
import { json, raw } from '../support/upstream.ts';

describe('an error', () => {
  it('has the body of its dialect', () => {
    const error = new AppError('model_not_found', 'There is no such model.');
    expect(errorAnswer(error, 'v1', 'req_1')).toEqual({
      status: 404,
      headers: {},
      body: {
        error: {
          message: 'There is no such model.',
          type: 'gateway_error',
          code: 'model_not_found',
        },
      },
    });
    expect(errorAnswer(error, 'venice', 'req_1').body).toEqual({
      error: 'There is no such model.',
      code: 'MODEL_NOT_FOUND',
    });
    expect(errorAnswer(error, 'x402', 'req_1').body).toEqual({
      error: 'MODEL_NOT_FOUND',
      message: 'There is no such model.',
      code: 'MODEL_NOT_FOUND',
    });
  });

  it('of Venice with status 400 always has details, and with 413 a code', () => {
    const wrong = new AppError('invalid_request', 'x: must be y.', { details: { field: 'x' } });
    expect(errorAnswer(wrong, 'venice', 'r').body['details']).toEqual({ field: 'x' });
    const json400 = errorAnswer(new AppError('invalid_json', 'No JSON.'), 'venice', 'r');
    expect(json400.body).toEqual({ error: 'No JSON.', code: 'INVALID_REQUEST', details: {} });
    const large = errorAnswer(new AppError('body_too_large', 'Too large.'), 'venice', 'r');
    expect(large).toMatchObject({ status: 413, body: { code: 'PAYLOAD_TOO_LARGE' } });
  });

  it('with 429 or 503 says when to try again', () => {
    const codes = ['rate_limited', 'upstream_busy', 'no_channel', 'unavailable'] as const;
    for (const code of [...codes, 'not_configured', 'payment_pending'] as const) {
      expect(errorAnswer(new AppError(code, ''), 'v1', 'r').headers).toEqual({
        'retry-after': '5',
      });
      const later = new AppError(code, '', { retryAfterSeconds: 17 });
      expect(errorAnswer(later, 'v1', 'r').headers).toEqual({ 'retry-after': '17' });
    }
  });

  it('that nobody expected keeps its text to itself, and shows where to find it', () => {
    const error = toAppError(new TypeError('secret of the house'));
    for (const dialect of ['v1', 'venice', 'x402'] as const) {
      const { status, body } = errorAnswer(error, dialect, 'req_7');
      expect(status).toBe(500);
      expect(JSON.stringify(body)).toContain('req_7');
      expect(JSON.stringify(body)).not.toContain('secret');
    }
  });
});

describe('the running server', () => {
  it('answers in the dialect of the path, every time with a request id', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    const headers = { authorization: `Bearer ${secret}` };
    const v1 = await shop.post('/v1/chat/completions', chatBody({ model: 'x' }), headers);
    expect(v1.json['error']).toMatchObject({ type: 'gateway_error', code: 'model_not_found' });
    const venice = await shop.post('/api/v1/chat/completions', chatBody({ model: 'x' }), headers);
    expect(venice.json['code']).toBe('MODEL_NOT_FOUND');
    expect(typeof venice.json['error']).toBe('string');
    const ids = [v1, venice].map((answer) => answer.headers.get('x-request-id'));
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(id).toMatch(/^req_[0-9a-f]{28}$/);
  });

  it("never passes an upstream's own 401, 402 or 403 on, and charges nothing", async () => {
    await using shop = await startApp();
    const { secret, accountId } = await shop.key('1');
    for (const status of [401, 402, 403]) {
      shop.upstream.next(json(status, { error: { message: 'billing of the operator' } }));
      const answer = await shop.chat({ 'x-api-key': secret });
      expect(answer.status).toBe(502);
      expect(answer.text).not.toContain('billing');
    }
    shop.upstream.next(raw(200, 'text/html', '<h1>Welcome</h1>'));
    expect((await shop.chat({ 'x-api-key': secret })).status).toBe(502);
    shop.upstream.next(json(429, {}, { 'retry-after': '9' }));
    const busy = await shop.chat({ 'x-api-key': secret });
    expect([busy.status, busy.headers.get('retry-after')]).toEqual([429, '9']);
    expect((await shop.app.store.accounts.balance(accountId)).posted).toBe(1_000_000_000);
    await shop.check();
  });

  it('knows paths that are there under another method, and those that are not', async () => {
    await using shop = await startApp();
    const wrong = await shop.get('/v1/chat/completions');
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST']);
    expect(wrong.json['error']!['code']).toBe('method_not_allowed');
    expect((await shop.post('/v1/models', {})).headers.get('allow')).toContain('GET');
    for (const path of ['/nothing', '/v1', '/V1/models', '/v1//models', '/api/v1/x402', '/%00']) {
      expect([path, (await shop.get(path)).status]).toEqual([path, 404]);
    }
    const venice = await shop.get('/api/v1/nothing');
    expect(venice.json['code']).toBe('NOT_FOUND');
  });

  it('lists its models in both shapes', async () => {
    await using shop = await startApp({
      change: ({ models }) => {
        models.splice(1, models.length, { ...models[0]!, id: 'maker/model-1' });
      },
    });
    const list = await shop.get('/v1/models');
    expect(list.json['data']![0]).toMatchObject({ id: MODEL_ID, object: 'model' });
    for (const id of ['maker/model-1', 'maker%2Fmodel-1', MODEL_ID]) {
      expect((await shop.get(`/v1/models/${id}`)).json['id']).toBe(decodeURIComponent(id));
    }
    expect((await shop.get('/v1/models/nothing')).status).toBe(404);
    expect((await shop.get('/v1/models/%E0%A4%A')).status).toBe(404);
    const venice = await shop.get('/api/v1/models?type=text');
    expect(venice.json).toMatchObject({ object: 'list', type: 'text' });
    expect(venice.json['data']![0]!['model_spec']!['pricing']).toEqual({
      input: { usd: 0.25, diem: 0.25 },
      output: { usd: 2, diem: 2 },
    });
    expect((await shop.get('/api/v1/models?type=image')).json['data']).toEqual([]);
    expect((await shop.get('/api/v1/models?type=nonsense')).status).toBe(400);
  });

  it('lets pages of any origin read what they need', async () => {
    await using shop = await startApp();
    const origin = 'https://app.example.com';
    const answer = await shop.post('/v1/chat/completions', chatBody(), { origin });
    expect(answer.status).toBe(402);
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    const exposed = answer.headers.get('access-control-expose-headers')!.toLowerCase();
    for (const name of [
      'payment-required',
      'payment-response',
      'x-payment-response',
      'x-balance-remaining',
      'x-request-cost',
      'retry-after',
    ]) {
      expect(exposed).toContain(name);
    }
    const preflight = await fetch(`${shop.url}/v1/chat/completions`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'payment-signature,x-stainless-lang',
      },
    });
    expect(preflight.status).toBe(204);
    const allowed = preflight.headers.get('access-control-allow-headers')!.toLowerCase();
    for (const name of [
      'sign-in-with-x',
      'x-sign-in-with-x',
      'payment-signature',
      'x-payment',
      'x-402-payment',
      'authorization',
      'x-stainless-lang',
    ]) {
      expect(allowed).toContain(name);
    }
  });

  it('lets only the pages in that the settings name', async () => {
    await using shop = await startApp({
      change: ({ server }) => {
        server.corsOrigins = ['https://app.example.com'];
      },
    });
    const from = async (origin: string) =>
      (await shop.get('/v1/models', { origin })).headers.get('access-control-allow-origin');
    expect(await from('https://app.example.com')).toBe('https://app.example.com');
    expect(await from('https://evil.example')).toBeNull();
  });
});
