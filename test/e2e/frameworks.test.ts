/** The frameworks that agents are written with, through the real server. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { LLMock } from '@copilotkit/aimock';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { embed, generateText, jsonSchema, streamText, tool, type ToolSet } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MODEL_ID, startApp, type TestApp } from '../support/app.ts';

const NANO = 1_000_000_000;
const EMBEDDER = 'demo-embed';
/** Of config/demo-models.yaml, in nano-dollars a token. */
const priceOf = (input: number, output: number) => input * 250 + output * 2_000;
const EMBED_PRICE = 20;
const USAGE = { prompt_tokens: 9, completion_tokens: 7 };

const upstream = new LLMock({ port: 0, host: '127.0.0.1' });
let app: TestApp;

beforeAll(async () => {
  upstream.onMessage('hello', { content: 'Hi there, how are you today?', usage: USAGE });
  upstream.onMessage('weather', {
    toolCalls: [{ name: 'weather', arguments: '{"city":"Turku"}' }],
    usage: USAGE,
  });
  await upstream.start();
  app = await startApp({ demoUrl: `${upstream.url}/v1` });
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await upstream.stop();
});

async function customer() {
  const { secret, accountId } = await app.key('1');
  const left = async () => {
    const { posted, held } = await app.app.store.accounts.balance(accountId);
    return posted - held;
  };
  return { secret, left, baseURL: `${app.url}/v1` };
}

describe('the Vercel AI SDK', () => {
  async function shop() {
    const { secret, left, baseURL } = await customer();
    const provider = createOpenAICompatible({
      name: 'farebox',
      baseURL,
      apiKey: secret,
      includeUsage: true,
    });
    return { provider, left };
  }

  it('generates text, and what it counts is what was charged', async () => {
    const { provider, left } = await shop();
    const { text, usage } = await generateText({
      model: provider(MODEL_ID),
      prompt: 'hello',
      maxOutputTokens: 100,
    });
    expect(text).toBe('Hi there, how are you today?');
    expect(await left()).toBe(NANO - priceOf(usage.inputTokens!, usage.outputTokens!));
    await app.check();
  });

  it('streams text', async () => {
    const { provider, left } = await shop();
    const run = streamText({ model: provider(MODEL_ID), prompt: 'hello' });
    let text = '';
    for await (const part of run.textStream) text += part;
    const usage = await run.usage;
    expect(text).toBe('Hi there, how are you today?');
    expect(await left()).toBe(NANO - priceOf(usage.inputTokens!, usage.outputTokens!));
    await app.check();
  });

  it('calls tools', async () => {
    const { provider } = await shop();
    const weather = tool({
      description: 'Says the weather.',
      inputSchema: jsonSchema<{ city: string }>({
        type: 'object',
        properties: { city: { type: 'string' } },
        required: ['city'],
      }),
    });
    const { toolCalls, finishReason } = await generateText({
      model: provider(MODEL_ID),
      prompt: 'weather',
      // Its own types do not agree where optional properties are exact.
      tools: { weather } as unknown as ToolSet,
    });
    expect(finishReason).toBe('tool-calls');
    expect(toolCalls).toMatchObject([{ toolName: 'weather', input: { city: 'Turku' } }]);
  });

  it('embeds', async () => {
    const { provider, left } = await shop();
    const { embedding } = await embed({
      model: provider.embeddingModel(EMBEDDER),
      value: 'The food was delicious.',
    });
    expect(embedding.length).toBeGreaterThan(0);
    const cost = NANO - (await left());
    expect(cost).toBeGreaterThan(0);
    expect(cost % EMBED_PRICE).toBe(0);
    await app.check();
  });

  it('is told what is wrong in words', async () => {
    const { provider } = await shop();
    const model = provider('nobody-sells-this');
    await expect(generateText({ model, prompt: 'hello', maxRetries: 0 })).rejects.toThrow(
      /not for sale/,
    );
  });
});

describe('LangChain', () => {
  async function chat(more: object = {}) {
    const { secret, left, baseURL } = await customer();
    const model = new ChatOpenAI({
      model: MODEL_ID,
      apiKey: secret,
      maxRetries: 0,
      configuration: { baseURL },
      ...more,
    });
    return { model, left };
  }

  it('chats, and what it counts is what was charged', async () => {
    const { model, left } = await chat({ maxTokens: 100 });
    const answer = await model.invoke('hello');
    expect(answer.content).toBe('Hi there, how are you today?');
    const { input_tokens, output_tokens } = answer.usage_metadata!;
    expect(await left()).toBe(NANO - priceOf(input_tokens, output_tokens));
    await app.check();
  });

  it('streams', async () => {
    const { model, left } = await chat();
    let text = '';
    for await (const chunk of await model.stream('hello')) text += chunk.text;
    expect(text).toBe('Hi there, how are you today?');
    expect(await left()).toBe(NANO - priceOf(9, 7));
    await app.check();
  });

  it('chats over responses', async () => {
    const { model, left } = await chat({ useResponsesApi: true });
    const answer = await model.invoke('hello');
    expect(answer.text).toBe('Hi there, how are you today?');
    expect(await left()).toBeLessThan(NANO);
    await app.check();
  });

  it('calls tools', async () => {
    const { model } = await chat();
    const schema = { type: 'object', properties: { city: { type: 'string' } } };
    const weather = { type: 'function', function: { name: 'weather', parameters: schema } };
    const answer = await model.bindTools([weather]).invoke('weather');
    expect(answer.tool_calls).toMatchObject([{ name: 'weather', args: { city: 'Turku' } }]);
  });

  it('embeds', async () => {
    const { secret, left, baseURL } = await customer();
    const embeddings = new OpenAIEmbeddings({
      model: EMBEDDER,
      apiKey: secret,
      maxRetries: 0,
      configuration: { baseURL },
    });
    const vectors = await embeddings.embedDocuments(['one', 'two']);
    expect(vectors).toHaveLength(2);
    expect(NANO - (await left())).toBeGreaterThan(0);
    await app.check();
  });
});
