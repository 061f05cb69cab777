import { LLMock } from '@copilotkit/aimock';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDemoUpstream } from '../../src/demo-upstream.ts';
import { MODEL_ID, startApp, type TestApp } from '../support/app.ts';
import { last, named, opening, response } from '../support/dialects.ts';
import { json } from '../support/upstream.ts';

const NANO = 1_000_000_000;
/** Of config/demo-models.yaml, in nano-dollars a token. */
const priceOf = (usage: { input_tokens: number; output_tokens: number }) =>
  usage.input_tokens * 250 + usage.output_tokens * 2_000;

async function customer(app: TestApp, prefix = '/v1') {
  const { secret, accountId } = await app.key('1');
  const client = new OpenAI({ baseURL: `${app.url}${prefix}`, apiKey: secret, maxRetries: 0 });
  const left = async () => {
    const { posted, held } = await app.app.store.accounts.balance(accountId);
    return posted - held;
  };
  return { client, left };
}

describe('the openai SDK’s responses, in front of another’s upstream', () => {
  const upstream = new LLMock({ port: 0, host: '127.0.0.1' });
  let app: TestApp;

  beforeAll(async () => {
    upstream.onMessage('hello', {
      content: 'Hi there, how are you today?',
      usage: { input_tokens: 9, output_tokens: 7 },
    });
    await upstream.start();
    app = await startApp({ demoUrl: `${upstream.url}/v1` });
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await upstream.stop();
  });

  it.each(['/v1', '/api/v1'])('answer whole under %s and cost what was used', async (prefix) => {
    const { client, left } = await customer(app, prefix);
    const input = [{ role: 'user' as const, content: 'hello' }];
    const { data, response: raw } = await client.responses
      .create({ model: MODEL_ID, input, instructions: 'Be brief.', max_output_tokens: 100 })
      .withResponse();
    expect(data.output_text).toBe('Hi there, how are you today?');
    const cost = priceOf(data.usage!);
    expect(cost).toBeGreaterThan(0);
    expect(await left()).toBe(NANO - cost);
    expect(Number(raw.headers.get('x-request-cost')) * NANO).toBeCloseTo(cost, 3);
    await app.check();
  });

  it('stream to their end and cost what it says', async () => {
    const { client, left } = await customer(app);
    const stream = await client.responses.create({ model: MODEL_ID, input: 'hello', stream: true });
    let text = '';
    let cost = 0;
    for await (const event of stream) {
      if (event.type === 'response.output_text.delta') text += event.delta;
      if (event.type === 'response.completed') cost = priceOf(event.response.usage!);
    }
    expect(text).toBe('Hi there, how are you today?');
    expect(cost).toBeGreaterThan(0);
    expect(await left()).toBe(NANO - cost);
    await app.check();
  });

  it('get errors in the shape that the SDK knows', async () => {
    const { client, left } = await customer(app);
    await expect(
      client.responses.create({ model: MODEL_ID, input: 'x', previous_response_id: 'resp_1' }),
    ).rejects.toMatchObject({ status: 400, code: 'unsupported_parameter' });
    await expect(client.responses.create({ model: 'nobody', input: 'x' })).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    });
    expect(await left()).toBe(NANO);
  });
});

describe('the openai SDK’s response stream, over an upstream that misbehaves', () => {
  it('ends in an error where the upstream broke off, and the helper hears of it', async () => {
    await using app = await startApp();
    const { client } = await customer(app);
    app.upstream.next(named(opening(), 'cut'));
    const stream = client.responses.stream({ model: MODEL_ID, input: 'hello' });
    await expect(stream.finalResponse()).rejects.toThrow(/upstream/);
    // The caller left with the error; what it owes is settled behind its back.
    await app.stop();
    await app.check();
  });

  it('reads the whole of a good one, with our comment in it', async () => {
    await using app = await startApp();
    const { client, left } = await customer(app);
    app.upstream.next(named([...opening(), last('completed')]));
    const final = await client.responses
      .stream({ model: MODEL_ID, input: 'hello' })
      .finalResponse();
    expect(final.output_text).toBe('Hello there.');
    expect(await left()).toBe(NANO - priceOf(final.usage!));
    await app.check();
  });
});

describe('a response under a quote', () => {
  it('costs no more than it says, and is refused where it is larger', async () => {
    await using app = await startApp();
    const { secret } = await app.key('1');
    const as = { authorization: `Bearer ${secret}` };
    const input = [{ role: 'user', content: [{ type: 'input_text', text: 'Say hello.' }] }];
    const body = { model: MODEL_ID, input, instructions: 'Be kind.', max_output_tokens: 64 };
    const { json: estimate } = await app.post('/v1/credits/estimate', body);
    expect(estimate['units']).toMatchObject({ output_tokens: 64 });
    const quote_id = (estimate['quote'] as unknown as { id: string }).id;
    app.upstream.next(json(200, response()));
    const good = await app.post('/v1/responses', { ...body, quote_id }, as);
    expect(good.status).toBe(200);
    expect(app.upstream.requests[0]!.json).not.toHaveProperty('quote_id');
    const more = { ...body, max_output_tokens: 65, quote_id };
    const refused = await app.post('/v1/responses', more, as);
    expect(refused.status).toBe(400);
    expect(refused.json['error']).toMatchObject({ details: { field: 'quote_id' } });
    const capped = await app.post('/v1/responses', { ...body, max_credits: '0.000001' }, as);
    expect(capped.json['error']).toMatchObject({ code: 'max_credits_exceeded' });
    await app.check();
  });
});

it('the sandbox makes up responses and messages, too', async () => {
  const demo = await startDemoUpstream();
  await using app = await startApp({ demoUrl: demo.url });
  const { client, left } = await customer(app);
  const stream = client.responses.stream({
    model: MODEL_ID,
    input: 'hello',
    max_output_tokens: 16,
  });
  const final = await stream.finalResponse();
  expect(final.output_text).toMatch(/^This answer was made up/);
  expect(final.status).toBe('incomplete');
  const whole = await client.responses.create({ model: MODEL_ID, input: 'hello' });
  expect(whole.status).toBe('completed');
  expect(await left()).toBe(NANO - priceOf(final.usage!) - priceOf(whole.usage!));
  const { secret } = await app.key('1');
  const body = { model: MODEL_ID, max_tokens: 64, messages: [{ role: 'user', content: 'hello' }] };
  const message = await app.post('/v1/messages', body, { 'x-api-key': secret });
  expect(message.json).toMatchObject({ type: 'message', stop_reason: 'end_turn' });
  await app.check();
  await demo[Symbol.asyncDispose]();
});
