/** What Anthropic's client and the frameworks that agents are written with buy. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { embed, generateText, streamText } from 'ai';
import { expect } from 'vitest';
import { type Case, type Clients, messages, SAID, TOKENS, vectors, words } from './bought.ts';

export const FRAMEWORKS: Case[] = [
  [
    'Anthropic messages',
    async ({ anthropic }) => {
      const body = { model: 'claude', max_tokens: 2_000, messages };
      const { content, usage } = await anthropic.messages.create(body);
      expect(content).toMatchObject([{ text: SAID }]);
      const { input_tokens: input_token, output_tokens: output_token } = usage;
      return { model: 'claude', counts: { input_token, output_token } };
    },
  ],
  [
    'Anthropic messages, streamed',
    async ({ anthropic }) => {
      const run = anthropic.messages.stream({ model: 'claude', max_tokens: 2_000, messages });
      expect((await run.finalMessage()).content).toMatchObject([{ text: SAID }]);
      return { model: 'claude', counts: TOKENS };
    },
  ],
  [
    'Anthropic messages, of a model of OpenAI’s kind',
    async ({ anthropic }) => {
      const { usage } = await anthropic.messages.create({
        model: 'words',
        max_tokens: 2_000,
        messages,
      });
      expect(usage).toMatchObject({ input_tokens: 1_009, output_tokens: 77 });
      return words();
    },
  ],
  [
    'Vercel AI SDK generateText',
    async (clients) => {
      const { text } = await generateText({ model: vercel(clients)('words'), prompt: 'hello' });
      expect(text).toBe(SAID);
      return words();
    },
  ],
  [
    'Vercel AI SDK streamText',
    async (clients) => {
      const run = streamText({ model: vercel(clients)('words'), prompt: 'hello' });
      expect(await run.text).toBe(SAID);
      return words();
    },
  ],
  [
    'Vercel AI SDK embed',
    async (clients) => {
      const model = vercel(clients).embeddingModel('vectors');
      const { usage } = await embed({ model, value: 'The food was delicious.' });
      return vectors(usage.tokens);
    },
  ],
  [
    'LangChain ChatOpenAI',
    async (clients) => {
      const answer = await new ChatOpenAI(langchain(clients, 'words')).invoke('hello');
      expect(answer.content).toBe(SAID);
      const { input_tokens: input_token, output_tokens: output_token } = answer.usage_metadata!;
      return words({ input_token, output_token, request: 1 });
    },
  ],
  [
    'LangChain ChatOpenAI, streamed',
    async (clients) => {
      let text = '';
      for await (const chunk of await new ChatOpenAI(langchain(clients, 'words')).stream('hello')) {
        text += chunk.text;
      }
      expect(text).toBe(SAID);
      return words();
    },
  ],
  [
    'LangChain OpenAIEmbeddings',
    async (clients) => {
      const embeddings = new OpenAIEmbeddings(langchain(clients, 'vectors'));
      expect(await embeddings.embedDocuments(['one', 'and another'])).toHaveLength(2);
      return vectors(await countedByDemo(clients, ['one', 'and another']));
    },
  ],
];

function vercel({ baseURL, secret: apiKey }: Clients) {
  return createOpenAICompatible({ name: 'farebox', baseURL, apiKey });
}

function langchain({ baseURL, secret: apiKey }: Clients, model: string) {
  return { model, apiKey, maxRetries: 0, configuration: { baseURL } };
}

async function countedByDemo({ demoUrl }: Clients, input: string[]): Promise<number> {
  const answer = await fetch(`${demoUrl}/embeddings`, {
    method: 'POST',
    body: JSON.stringify({ model: 'vectors', input }),
  });
  const { usage } = (await answer.json()) as { usage: { prompt_tokens: number } };
  return usage.prompt_tokens;
}
