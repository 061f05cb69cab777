import { LLMock } from '@copilotkit/aimock';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { type Rig, startRig } from '../support/chat.ts';

/** An upstream that nobody here wrote. */
const mock = new LLMock({ port: 0, host: '127.0.0.1' });
let rig: Rig;

beforeAll(async () => {
  mock.onMessage('hello', { content: 'Hi there, how are you today?' });
  mock.onMessage('tools', { toolCalls: [{ name: 'find', arguments: '{"q":"boats"}' }] });
  await mock.start();
});
afterAll(() => mock.stop());
afterEach(() => rig[Symbol.asyncDispose]());

const start = async () => {
  rig = await startRig({ baseUrl: `${mock.url}/v1` });
  const client = new OpenAI({
    baseURL: rig.url,
    apiKey: 'unused',
    maxRetries: 0,
    fetch: (_url, init) =>
      fetch(rig.url, {
        ...init,
        headers: { 'x-mode': 'clamp', 'x-dialect': 'v1' },
      }),
  });
  return client;
};
const ask = (content: string) => ({ model: 'm1', messages: [{ role: 'user' as const, content }] });
const priceOf = (usage: { prompt_tokens: number; completion_tokens: number }) =>
  usage.prompt_tokens + 10 * usage.completion_tokens;

it('answers through another’s server, and charges the usage that it shows', async () => {
  const client = await start();
  const answer = await client.chat.completions.create(ask('hello'));
  expect(answer.choices[0]!.message.content).toBe('Hi there, how are you today?');
  expect(await rig.charged()).toBe(priceOf(answer.usage!));
});

it('streams through another’s server to OpenAI’s own client, with usage asked for or not', async () => {
  const client = await start();
  let charged = 0;
  for (const stream_options of [null, { include_usage: true }]) {
    const stream = await client.chat.completions.create({
      ...ask('hello'),
      stream: true,
      stream_options,
    });
    let text = '';
    let usage = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe('Hi there, how are you today?');
    expect(usage === null).toBe(stream_options === null);
    const before = charged;
    charged = await rig.charged();
    expect(charged).toBeGreaterThan(before);
    if (usage) expect(charged - before).toBe(priceOf(usage));
  }
});

it('passes tool calls through another’s server, streamed', async () => {
  const client = await start();
  const stream = await client.chat.completions.create({ ...ask('tools'), stream: true });
  let call = '';
  for await (const chunk of stream)
    call += chunk.choices[0]?.delta.tool_calls?.[0]?.function?.arguments ?? '';
  expect(JSON.parse(call)).toEqual({ q: 'boats' });
  expect(await rig.charged()).toBeGreaterThan(0);
});
