import Anthropic from '@anthropic-ai/sdk';
import { LLMock } from '@copilotkit/aimock';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MODEL_ID, startApp, type TestApp } from '../support/app.ts';
import { message, messageEvents, named } from '../support/dialects.ts';
import { DONE, event, json, ROLE, STOP, stream, usageEvent } from '../support/upstream.ts';

const NANO = 1_000_000_000;
type Usage = Pick<Anthropic.Usage, 'input_tokens' | 'output_tokens'> & {
  cache_read_input_tokens?: number | null;
  cache_creation_input_tokens?: number | null;
};
/** Of config/demo-models.yaml, in nano-dollars a token: what goes through the cache costs what other input costs. */
const priceOf = (usage: Usage) =>
  (usage.input_tokens +
    (usage.cache_read_input_tokens ?? 0) +
    (usage.cache_creation_input_tokens ?? 0)) *
    250 +
  usage.output_tokens * 2_000;

async function customer(app: TestApp) {
  const { secret, accountId } = await app.key('1');
  const client = new Anthropic({ baseURL: app.url, apiKey: secret, maxRetries: 0 });
  const left = async () => {
    const { posted, held } = await app.app.store.accounts.balance(accountId);
    return posted - held;
  };
  return { client, left, secret };
}

/** Of the answers, in the words of both dialects. */
const usage = { prompt_tokens: 9, completion_tokens: 7, input_tokens: 9, output_tokens: 7 };
const over = (provider: string) => (config: { channels: { provider: string }[] }) => {
  for (const channel of config.channels) channel.provider = provider;
};
const tools: Anthropic.Tool[] = [
  {
    name: 'weather',
    description: 'Says the weather.',
    input_schema: { type: 'object', properties: { city: { type: 'string' } } },
  },
];
const asked = (content: Anthropic.MessageParam['content']): Anthropic.MessageCreateParams => ({
  model: MODEL_ID,
  max_tokens: 100,
  messages: [{ role: 'user', content }],
});

describe.each(['anthropic', 'openai'])(
  'the Anthropic SDK, in front of another’s upstream that speaks %s',
  (provider) => {
    const upstream = new LLMock({ port: 0, host: '127.0.0.1' });
    let app: TestApp;

    beforeAll(async () => {
      upstream.onMessage('hello', { content: 'Hi there, how are you today?', usage });
      upstream.onMessage('weather', {
        toolCalls: [{ name: 'weather', arguments: '{"city":"Turku"}' }],
        usage,
      });
      await upstream.start();
      app = await startApp({ demoUrl: `${upstream.url}/v1`, change: over(provider) });
    });
    afterAll(async () => {
      await app[Symbol.asyncDispose]();
      await upstream.stop();
    });

    it('answers whole and costs what was used', async () => {
      const { client, left } = await customer(app);
      const { data, response } = await client.messages
        .create({ ...asked('hello'), system: 'Be brief.', stream: false })
        .withResponse();
      expect(data.content).toMatchObject([{ type: 'text', text: 'Hi there, how are you today?' }]);
      expect(data).toMatchObject({ type: 'message', role: 'assistant', stop_reason: 'end_turn' });
      expect(response.headers.get('request-id')).toMatch(/^req_/);
      const cost = priceOf(data.usage);
      expect(cost).toBeGreaterThan(0);
      expect(await left()).toBe(NANO - cost);
      expect(Number(response.headers.get('x-request-cost')) * NANO).toBeCloseTo(cost, 3);
      await app.check();
    });

    it('streams to the end, with the helper that puts it together', async () => {
      const { client, left } = await customer(app);
      const texts: string[] = [];
      const run = client.messages.stream(asked('hello'));
      run.on('text', (text) => texts.push(text));
      const final = await run.finalMessage();
      expect(texts.join('')).toBe('Hi there, how are you today?');
      expect(final.content).toMatchObject([{ text: 'Hi there, how are you today?' }]);
      expect(await left()).toBe(NANO - priceOf(final.usage));
      await app.check();
    });

    it('calls tools, whole and streamed, and takes their results', async () => {
      const { client, left } = await customer(app);
      const calls = await client.messages.create({ ...asked('weather'), tools, stream: false });
      const call = calls.content.find((block) => block.type === 'tool_use')!;
      expect(call).toMatchObject({ name: 'weather', input: { city: 'Turku' } });
      expect(calls.stop_reason).toBe('tool_use');
      const streamed = await client.messages.stream({ ...asked('weather'), tools }).finalMessage();
      expect(streamed.content.find((block) => block.type === 'tool_use')).toMatchObject({
        name: 'weather',
        input: { city: 'Turku' },
      });
      const answer = await client.messages.create({
        ...asked('weather'),
        stream: false,
        tools,
        messages: [
          { role: 'user', content: 'weather' },
          { role: 'assistant', content: calls.content },
          {
            role: 'user',
            content: [
              { type: 'tool_result', tool_use_id: call.id, content: 'Rain.' },
              { type: 'text', text: 'hello' },
            ],
          },
        ],
      });
      expect(answer.content).toMatchObject([{ text: 'Hi there, how are you today?' }]);
      const cost = [calls, streamed, answer].reduce((sum, { usage }) => sum + priceOf(usage), 0);
      expect(await left()).toBe(NANO - cost);
      await app.check();
    });

    it('sends images', async () => {
      const { client } = await customer(app);
      const data = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ';
      const answer = await client.messages.create({
        ...asked([
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data } },
          { type: 'text', text: 'hello' },
        ]),
        stream: false,
      });
      expect(answer.content).toMatchObject([{ text: 'Hi there, how are you today?' }]);
    });

    it('counts tokens for nothing, never low', async () => {
      const { client, left } = await customer(app);
      const { messages } = asked('hello');
      const { input_tokens: counted } = await client.messages.countTokens({
        model: MODEL_ID,
        messages,
      });
      const { usage } = await client.messages.create({ ...asked('hello'), stream: false });
      expect(counted).toBeGreaterThanOrEqual(usage.input_tokens);
      expect(await left()).toBe(NANO - priceOf(usage));
    });

    it('gets errors in the shape that it knows', async () => {
      const { client } = await customer(app);
      await expect(
        client.messages.create({ ...asked('x'), model: 'nobody', stream: false }),
      ).rejects.toMatchObject({
        status: 404,
        error: { type: 'error', error: { type: 'not_found_error', code: 'model_not_found' } },
      });
      const stranger = new Anthropic({ baseURL: app.url, apiKey: 'ck_wrong', maxRetries: 0 });
      await expect(
        stranger.messages.create({ ...asked('x'), stream: false }),
      ).rejects.toBeInstanceOf(Anthropic.AuthenticationError);
      await expect(
        client.messages.create({
          ...asked('x'),
          stream: false,
          tools: [{ type: 'web_search_20250305', name: 'web_search' }],
        }),
      ).rejects.toBeInstanceOf(Anthropic.BadRequestError);
    });
  },
);

describe('the Anthropic SDK over an upstream that misbehaves', () => {
  it('is told of a stream that broke, in its own error event', async () => {
    await using app = await startApp({ change: over('anthropic') });
    const { client } = await customer(app);
    app.upstream.next(named(messageEvents(['Hello']).slice(0, 4), 'cut'));
    await expect(client.messages.stream(asked('hello')).finalMessage()).rejects.toMatchObject({
      error: { type: 'error', error: { type: 'api_error' } },
    });
    await app.stop();
    await app.check();
  });

  it('is told of a translated stream that broke, and of an error inside one', async () => {
    await using app = await startApp();
    const { client } = await customer(app);
    app.upstream.next(stream([ROLE, event({ content: 'Hel' })], 'cut'));
    await expect(client.messages.stream(asked('hello')).finalMessage()).rejects.toMatchObject({
      error: { type: 'error', error: { type: 'api_error' } },
    });
    const error = `data: ${JSON.stringify({ error: { message: 'out of memory' } })}\n\n`;
    app.upstream.next(stream([ROLE, event({ content: 'Hel' }), error]));
    await expect(client.messages.stream(asked('hello')).finalMessage()).rejects.toThrow(
      /out of memory/,
    );
    // The caller left with the error; what it owes is settled behind its back.
    await app.stop();
    await app.check();
  });

  it('passes version and harmless betas on, and nothing else of the caller', async () => {
    await using app = await startApp({
      change: (config) => {
        over('anthropic')(config);
        for (const channel of config.channels) channel.headers = { 'Anthropic-Beta': 'own-1' };
      },
    });
    const { client } = await customer(app);
    app.upstream.next(json(200, message([{ type: 'text', text: 'ok' }])));
    await client.beta.messages.create(
      {
        model: MODEL_ID,
        max_tokens: 10,
        messages: [{ role: 'user', content: 'x' }],
        betas: ['interleaved-thinking-2025-05-14', 'files-api-2025-04-14', 'context-1m-2025-08-07'],
      },
      { headers: { 'x-secret': 'mine', 'anthropic-version': '2023-06-01' } },
    );
    const { headers, path } = app.upstream.requests[0]!;
    expect(path).toBe('/v1/messages');
    expect(headers['anthropic-beta']).toBe('own-1,interleaved-thinking-2025-05-14');
    expect(headers['anthropic-version']).toBe('2023-06-01');
    expect(headers).not.toHaveProperty('x-secret');
    expect(JSON.stringify(headers)).not.toContain('ck_');
  });
});

describe('/v1/messages', () => {
  it('asks nobody in particular to pay, in a body that x402 and Anthropic clients read', async () => {
    await using app = await startApp();
    const answer = await app.post('/v1/messages', asked('hello'));
    expect(answer.status).toBe(402);
    expect(answer.json).toMatchObject({
      type: 'error',
      error: { type: 'billing_error', code: 'payment_required' },
      x402Version: 2,
    });
    expect(answer.json['accepts']).toHaveLength(2);
    expect(answer.headers.get('payment-required')).not.toBeNull();
    const wallet = await app.evm();
    const signed = { 'sign-in-with-x': await wallet.signIn() };
    const empty = await app.post('/v1/messages', asked('hello'), signed);
    expect(empty.status).toBe(402);
    expect(empty.json).toMatchObject({
      type: 'error',
      error: { type: 'billing_error', code: 'insufficient_credits' },
      currentBalanceUsd: 0,
    });
  });

  it('is paid inline, once, and answered again to the same Idempotency-Key', async () => {
    await using app = await startApp({ change: over('anthropic') });
    app.upstream.usually(json(200, message([{ type: 'text', text: 'ok' }])));
    const wallet = await app.evm();
    const payment = await wallet.pay('1');
    const paid = await app.post('/v1/messages', asked('hello'), { 'payment-signature': payment });
    expect(paid.status).toBe(200);
    expect(paid.json).toMatchObject({ type: 'message' });
    const { secret } = await app.key('1');
    const keyed = { 'x-api-key': secret, 'idempotency-key': 'k1' };
    const first = await app.post('/v1/messages', asked('hello'), keyed);
    const again = await app.post('/v1/messages', asked('hello'), keyed);
    expect(again.text).toBe(first.text);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(app.upstream.requests).toHaveLength(2);
    await app.check();
  });

  it('over chat completions sends what Anthropic’s body says, and streams blocks one after the other', async () => {
    await using app = await startApp();
    const { secret } = await app.key('1');
    const call = (index: number, id: string | null, more: object) =>
      event({ tool_calls: [{ index, ...(id && { id, type: 'function' }), function: more }] });
    app.upstream.next(
      stream([
        ROLE,
        event({ reasoning_content: 'Hm.' }),
        event({ content: 'Let me ' }),
        event({ content: 'look.' }),
        call(0, 'call_a', { name: 'weather', arguments: '' }),
        call(0, null, { arguments: '{"city":' }),
        call(0, null, { arguments: '"Turku"}' }),
        call(1, 'call_b', { name: 'weather', arguments: '{}' }),
        STOP.replace('"stop"', '"tool_calls"'),
        usageEvent({
          prompt_tokens: 20,
          completion_tokens: 5,
          prompt_tokens_details: { cached_tokens: 8 },
        }),
        DONE,
      ]),
    );
    const body = {
      ...asked('hello'),
      stream: true,
      thinking: { type: 'enabled', budget_tokens: 20 },
      stop_sequences: ['END'],
      tools,
      tool_choice: { type: 'any', disable_parallel_tool_use: true },
      top_k: 5,
    };
    const answer = await app.post('/v1/messages', body, { 'x-api-key': secret });
    expect(app.upstream.requests[0]!.json).toEqual({
      model: app.upstream.requests[0]!.json['model'],
      messages: [{ role: 'user', content: 'hello' }],
      max_tokens: 100,
      stream: true,
      stream_options: { include_usage: true },
      stop: ['END'],
      tools: [
        {
          type: 'function',
          function: {
            name: 'weather',
            description: 'Says the weather.',
            parameters: tools[0]!.input_schema,
          },
        },
      ],
      tool_choice: 'required',
      parallel_tool_calls: false,
    });
    const events = [...answer.text.matchAll(/^event: (.*)\ndata: (.*)$/gm)].map(
      ([, name, data]) => [name, JSON.parse(data!) as Record<string, unknown>] as const,
    );
    expect(events.map(([name]) => name)).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'content_block_start',
      'content_block_delta',
      'content_block_delta',
      'content_block_stop',
      'content_block_start',
      'content_block_delta',
      'content_block_delta',
      'content_block_stop',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
    expect(
      events.filter(([, { type }]) => type === 'content_block_start').map(([, e]) => e),
    ).toMatchObject([
      { index: 0, content_block: { type: 'thinking' } },
      { index: 1, content_block: { type: 'text', text: '' } },
      { index: 2, content_block: { type: 'tool_use', id: 'call_a', name: 'weather', input: {} } },
      { index: 3, content_block: { type: 'tool_use', id: 'call_b', name: 'weather', input: {} } },
    ]);
    expect(events.at(-2)![1]).toEqual({
      type: 'message_delta',
      delta: { stop_reason: 'tool_use', stop_sequence: null },
      usage: {
        input_tokens: 12,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 8,
        output_tokens: 5,
      },
    });
    expect(answer.text).toMatch(/: farebox \{.*\}\n\nevent: message_stop/);
    await app.check();
  });
});
