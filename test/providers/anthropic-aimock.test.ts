import { LLMock } from '@copilotkit/aimock';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRig } from '../support/chat.ts';

describe('Anthropic’s dialect, with a server and a client that nobody here wrote', () => {
  const mock = new LLMock({ port: 0, host: '127.0.0.1' });
  beforeAll(async () => {
    const usage = { input_tokens: 11, output_tokens: 9 };
    mock.onMessage('hello', { content: 'Hi there, how are you today?', usage });
    mock.onMessage('tools', { toolCalls: [{ name: 'find', arguments: '{"q":"boats"}' }] });
    await mock.start();
  });
  afterAll(() => mock.stop());

  it('OpenAI’s client chats, streams and calls tools, and pays what the usage says', async () => {
    await using rig = await startRig({
      baseUrl: `${mock.url}/v1`,
      channel: { provider: 'anthropic' },
    });
    const client = new OpenAI({
      baseURL: rig.url,
      apiKey: 'unused',
      maxRetries: 0,
      fetch: (_url, init) =>
        fetch(rig.url, { ...init, headers: { 'x-mode': 'clamp', 'x-dialect': 'v1' } }),
    });
    const ask = (content: string) => ({
      model: 'm1',
      messages: [{ role: 'user' as const, content }],
    });
    const priceOf = (usage: { prompt_tokens: number; completion_tokens: number }) =>
      usage.prompt_tokens + 10 * usage.completion_tokens;
    const answer = await client.chat.completions.create(ask('hello'));
    expect(answer.choices[0]!.message.content).toBe('Hi there, how are you today?');
    let total = priceOf(answer.usage!);
    expect(await rig.charged()).toBe(total);
    const stream = await client.chat.completions.create({
      ...ask('hello'),
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      if (chunk.usage) total += priceOf(chunk.usage);
    }
    expect(text).toBe('Hi there, how are you today?');
    expect(await rig.charged()).toBe(total);
    const tools = [
      {
        type: 'function' as const,
        function: { name: 'find', parameters: { type: 'object', properties: {} } },
      },
    ];
    const called = await client.chat.completions.create({ ...ask('tools'), tools });
    expect(called.choices[0]!.finish_reason).toBe('tool_calls');
    expect(called.choices[0]!.message.tool_calls![0]).toMatchObject({
      function: { name: 'find', arguments: '{"q":"boats"}' },
    });
  });
});
