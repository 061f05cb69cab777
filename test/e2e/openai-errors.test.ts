import OpenAI, { APIError, AuthenticationError, NotFoundError } from 'openai';
import { describe, expect, it } from 'vitest';
import { MODEL_ID, startApp, type TestApp } from '../support/app.ts';
import { json } from '../support/upstream.ts';

function client(shop: TestApp, apiKey: string, maxRetries = 0): OpenAI {
  return new OpenAI({ baseURL: `${shop.url}/v1`, apiKey, maxRetries });
}

function ask(openai: OpenAI, model = MODEL_ID) {
  return openai.chat.completions.create({
    model,
    messages: [{ role: 'user', content: 'Hello?' }],
  });
}

describe('the openai client', () => {
  it('reads our errors as its own', async () => {
    await using shop = await startApp();
    const [poor, rich] = [await shop.key('0'), await shop.key('1')];
    await expect(ask(client(shop, 'ck_wrong'))).rejects.toBeInstanceOf(AuthenticationError);
    const refused = await ask(client(shop, poor.secret)).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(APIError);
    expect(refused).toMatchObject({ status: 402, code: 'insufficient_credits' });
    const openai = client(shop, rich.secret);
    await expect(ask(openai, 'nothing')).rejects.toBeInstanceOf(NotFoundError);
    await expect(openai.models.retrieve('nothing')).rejects.toBeInstanceOf(NotFoundError);
    shop.upstream.next(json(400, { error: { message: 'temperature: must be below 2' } }));
    const wrong = await ask(openai).catch((error: unknown) => error);
    expect(wrong).toMatchObject({ status: 400, code: 'upstream_rejected' });
    expect(String(wrong)).toContain('temperature');
  });

  it('tries again by itself when the upstream is busy, and is charged once', async () => {
    await using shop = await startApp();
    const { secret, accountId } = await shop.key('1');
    shop.upstream.next(json(429, {}, { 'retry-after': '0' }));
    expect((await ask(client(shop, secret, 1))).choices).toHaveLength(1);
    expect((await shop.app.store.accounts.balance(accountId)).posted).toBe(999_985_000);
    await shop.check();
  });
});
