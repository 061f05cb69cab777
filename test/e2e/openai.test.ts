import { LLMock } from '@copilotkit/aimock';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MODEL_ID, startApp, type TestApp } from '../support/app.ts';

describe('the openai SDK with a key, in front of another’s upstream', () => {
  const upstream = new LLMock({ port: 0, host: '127.0.0.1' });
  let app: TestApp;

  beforeAll(async () => {
    upstream.onMessage('hello', { content: 'Hi there, how are you today?' });
    await upstream.start();
    app = await startApp({ demoUrl: `${upstream.url}/v1` });
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await upstream.stop();
  });

  const priceOf = (usage: { prompt_tokens: number; completion_tokens: number }) =>
    usage.prompt_tokens * 250 + usage.completion_tokens * 2_000;
  const messages = [{ role: 'user' as const, content: 'hello' }];

  async function customer() {
    const { secret, accountId } = await app.key('1');
    const client = new OpenAI({ baseURL: `${app.url}/v1`, apiKey: secret, maxRetries: 0 });
    const left = async () => {
      const { posted, held } = await app.app.store.accounts.balance(accountId);
      return posted - held;
    };
    return { client, left };
  }

  it('answers whole and falls by exactly what was used', async () => {
    const { client, left } = await customer();
    const call = client.chat.completions.create({ model: MODEL_ID, messages });
    const { data, response } = await call.withResponse();
    expect(data.choices[0]?.message.content).toBe('Hi there, how are you today?');
    const cost = priceOf(data.usage!);
    expect(cost).toBeGreaterThan(0);
    expect(await left()).toBe(1_000_000_000 - cost);
    const shown = Number(response.headers.get('x-balance-remaining'));
    expect(shown).toBe(Math.floor((1_000_000_000 - cost) / 1_000) / 1_000_000);
    expect(Number(response.headers.get('x-request-cost'))).toBe(cost / 1_000_000_000);
    await app.check();
  });

  it('streams, and lists what is for sale', async () => {
    const { client, left } = await customer();
    const stream = await client.chat.completions.create({
      model: MODEL_ID,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let cost = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      if (chunk.usage) cost = priceOf(chunk.usage);
    }
    expect(text).toBe('Hi there, how are you today?');
    expect(await left()).toBe(1_000_000_000 - cost);
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).toContain(MODEL_ID);
    await app.check();
  });

  it('gets errors in the shape that it knows', async () => {
    const { client } = await customer();
    await expect(
      client.chat.completions.create({ model: 'nobody-sells-this', messages }),
    ).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
    const stranger = new OpenAI({ baseURL: `${app.url}/v1`, apiKey: 'ck_wrong', maxRetries: 0 });
    await expect(stranger.models.list()).resolves.toBeDefined();
    await expect(
      stranger.chat.completions.create({ model: MODEL_ID, messages }),
    ).rejects.toMatchObject({ status: 401, code: 'invalid_credential' });
  });
});
