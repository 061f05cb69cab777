import { describe, expect, it } from 'vitest';
import { formatUsd, parseUsd } from '../../../src/money.ts';
import { chatBody, startApp } from '../../support/app.ts';

const PATH = '/v1/credits/estimate';
const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

describe('POST /v1/credits/estimate', () => {
  it('answers anybody what a chat costs at least, usually and at most, in credits and dollars', async () => {
    await using app = await startApp();
    const { status, json } = await app.post(PATH, chatBody({ max_tokens: 1_000 }));
    expect(status).toBe(200);
    const { units } = json as unknown as { units: { input_tokens: number; output_tokens: number } };
    expect(units.output_tokens).toBe(1_000);
    const nano = (output: number) => units.input_tokens * 250 + output * 2_000;
    expect(json).toMatchObject({
      object: 'credits.estimate',
      model: 'demo-chat',
      modality: 'text',
      currency: 'USD',
      credit_usd: '0.01',
      usd: { min: usd(nano(1)), expected: usd(nano(256)), max: usd(nano(1_000)) },
      credits: { max: nano(1_000) / 1e7 },
      assumed: {},
      within_max_credits: null,
      affordable: null,
    });
    expect(json['price_version']).toMatch(/^[0-9a-f]{16}$/);
  });

  it('says the very ceiling that the request then holds and the 402 asks for', async () => {
    await using app = await startApp();
    const body = chatBody({ max_tokens: 700 });
    const { json } = await app.post(PATH, body);
    const max = parseUsd((json['usd'] as unknown as { max: string }).max);
    const { secret } = await app.key();
    let heldNano = 0;
    app.upstream.usually(async (response) => {
      const row = await app.app.store.ledger.read
        .selectFrom('holds')
        .select('amount')
        .executeTakeFirstOrThrow();
      heldNano = row.amount;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({
          choices: [
            { index: 0, message: { role: 'assistant', content: 'x' }, finish_reason: 'stop' },
          ],
          usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
        }),
      );
    });
    expect((await app.post('/v1/chat/completions', body, bearer(secret))).status).toBe(200);
    expect(heldNano).toBe(max);
    await app.check();
  });

  it.each([
    ['as it was', (text: string) => text],
    ['with spaces', (text: string) => text.replaceAll(',"', ', "').replaceAll('":', '": ')],
    ['line by line', (text: string) => JSON.stringify(JSON.parse(text), null, 2)],
    ['with a space at the beginning', (text: string) => ` ${text.replace('{', '{ ')}`],
    ['with whole numbers like fractions', (text: string) => text.replace('ture":1', 'ture":1.0')],
    ['with slashes like escapes', (text: string) => text.replaceAll('/', '\\/')],
    ['in ASCII', (text: string) => text.replace(/[\u0080-\uffff]/g, escaped)],
  ])('covers the request that then comes with it as max_credits, %s', async (_, write) => {
    await using app = await startApp();
    const content = 'Käyttäjä pyysi: 你好，世界 🦊, and/or https://example.com/.';
    const messages = [{ role: 'user', content }];
    const body = chatBody({ temperature: 1, max_tokens: 700, messages });
    const { json } = await app.post(PATH, body);
    const { max } = json['credits'] as unknown as { max: number };
    const { secret } = await app.key();
    const send = (max_credits: number) =>
      app.post(
        '/v1/chat/completions',
        write(JSON.stringify({ ...body, max_credits })),
        bearer(secret),
      );
    expect((await send(max)).status).toBe(200);
    expect((await send(max - 0.000_001)).json['error']).toMatchObject({
      code: 'max_credits_exceeded',
    });
    await app.check();
  });

  it('says what it assumed, and whether max_credits covers the most', async () => {
    await using app = await startApp();
    const bare = await app.post(PATH, { model: 'demo-chat', max_credits: 250 });
    expect(bare.json).toMatchObject({
      assumed: { input_tokens: 1_000, max_tokens: 512 },
      units: { input_tokens: 1_000, output_tokens: 512 },
      within_max_credits: true,
    });
    const little = await app.post(PATH, { model: 'demo-chat', max_credits: '0.1' });
    expect(little.json['within_max_credits']).toBe(false);
    const said = {
      model: 'demo-chat',
      modality: 'chat',
      input_tokens: 40,
      max_completion_tokens: 9,
      n: 2,
    };
    expect((await app.post(PATH, said)).json).toMatchObject({
      assumed: {},
      units: { input_tokens: 40, output_tokens: 18 },
    });
  });

  it('counts the input as limits.tokenizer says', async () => {
    const counted = async (tokenizer: 'weighed' | 'heuristic') => {
      await using app = await startApp({
        change: (config) => {
          config.limits.tokenizer = tokenizer;
        },
      });
      const { json } = await app.post(PATH, chatBody({ messages: [{ role: 'user', content }] }));
      return (json['units'] as unknown as { input_tokens: number }).input_tokens;
    };
    const content = 'Twelve quick foxes jump over a lazy dog. '.repeat(100);
    const bytes = JSON.stringify(chatBody({ messages: [{ role: 'user', content }] })).length;
    expect(await counted('heuristic')).toBe(Math.ceil(bytes * 0.75) + 8);
    expect(await counted('weighed')).toBeLessThan(bytes * 0.6);
  });

  it('tells a caller what it can afford, by its balance and by its limits', async () => {
    await using app = await startApp();
    const wallet = await app.evm('0.003');
    const asked = { model: 'demo-chat', input_tokens: 1_000, max_tokens: 2_000 };
    const as = async () => ({ 'sign-in-with-x': await wallet.signIn() });
    const { json } = await app.post(PATH, asked, await as());
    // 250,000 nano for the input; the rest buys tokens at 2,000 each.
    const tokens = (nano: number) => (nano - 250_000) / 2_000;
    expect(json['affordable']).toEqual({
      available_usd: '0.003',
      is_affordable: false,
      max_tokens: tokens(3_000_000),
    });
    const made = await app.post('/api/v1/keys', { limit: { usd: 0.001 } }, await as());
    const key = bearer(String(made.json['key'] as unknown));
    const limited = await app.post(PATH, asked, key);
    expect(limited.json['affordable']).toEqual({
      available_usd: '0.001',
      is_affordable: false,
      max_tokens: tokens(1_000_000),
    });
    const stranger = await app.evm();
    const poor = await app.post(PATH, asked, { 'sign-in-with-x': await stranger.signIn() });
    expect(poor.json['affordable']).toEqual({
      available_usd: '0.00',
      is_affordable: false,
      max_tokens: null,
    });
    expect((await app.post(PATH, asked, bearer('ck_wrong'))).status).toBe(401);
  });

  it('names what is wrong', async () => {
    await using app = await startApp();
    const wrong: [object, number, string][] = [
      [{}, 400, 'model'],
      [{ model: 'nope' }, 404, 'nope'],
      [{ model: 'demo-chat', modality: 'video' }, 400, 'modality'],
      [{ model: 'demo-chat', max_tokens: -1 }, 400, 'max_tokens'],
      [{ model: 'demo-chat', input_tokens: 1.5 }, 400, 'input_tokens'],
      [{ model: 'demo-chat', n: 1_000 }, 400, '"n"'],
      [{ model: 'demo-chat', max_credits: 'lots' }, 400, 'max_credits'],
      [{ model: 'demo-chat', messages: 'hi' }, 400, 'messages'],
    ];
    for (const [body, status, said] of wrong) {
      const answer = await app.post(PATH, body);
      expect([answer.status, said]).toEqual([status, said]);
      expect(answer.text).toContain(said.replaceAll('"', '\\"'));
    }
  });
});

function usd(nano: number): string {
  return formatUsd(parseUsd((nano / 1e9).toFixed(9)));
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
