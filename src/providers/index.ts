/** The upstream dialects: one line each. */
import { AppError } from '../errors.ts';
import { anthropic } from './anthropic.ts';
import { openaiEmbeddings, veniceEmbeddings } from './openai-embeddings.ts';
import { openai, venice } from './openai.ts';
import type { Provider } from './provider.ts';

const CHATS: Provider[] = [openai, anthropic, venice];
const EMBEDDERS: Provider[] = [openaiEmbeddings, veniceEmbeddings];

const byName = {
  chat: new Map(CHATS.map((provider) => [provider.name, provider])),
  embeddings: new Map(EMBEDDERS.map((provider) => [provider.name, provider])),
};

export function findProvider(name: string, what: keyof typeof byName = 'chat'): Provider {
  const provider = byName[what].get(name);
  if (provider) return provider;
  throw new AppError('no_channel', `No provider called ${JSON.stringify(name)} serves ${what}.`, {
    retryAfterSeconds: 60,
  });
}
