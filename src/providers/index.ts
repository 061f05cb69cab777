/** The upstream dialects: one line each. */
import { AppError } from '../errors.ts';
import { anthropicNative } from './anthropic-native.ts';
import { anthropic } from './anthropic.ts';
import { chatMessages, veniceMessages } from './messages.ts';
import { openaiEmbeddings, veniceEmbeddings } from './openai-embeddings.ts';
import { openai, venice } from './openai.ts';
import type { Provider } from './provider.ts';
import { openaiResponses, veniceResponses } from './responses.ts';

const CHATS: Provider[] = [openai, anthropic, venice];
const EMBEDDERS: Provider[] = [openaiEmbeddings, veniceEmbeddings];

const RESPONDERS: Provider[] = [openaiResponses, veniceResponses];
const MESSENGERS: Provider[] = [anthropicNative, chatMessages, veniceMessages];

/** What a channel may be asked for. */
export type Use = 'chat' | 'embeddings' | 'responses' | 'messages';

const byName: Record<Use, Map<string, Provider>> = {
  chat: named(CHATS),
  embeddings: named(EMBEDDERS),
  responses: named(RESPONDERS),
  messages: named(MESSENGERS),
};

function named(providers: Provider[]): Map<string, Provider> {
  return new Map(providers.map((provider) => [provider.name, provider]));
}

export function isServedBy(name: string, what: Use): boolean {
  return byName[what].has(name);
}

export function findProvider(name: string, what: Use = 'chat'): Provider {
  const provider = byName[what].get(name);
  if (provider) return provider;
  throw new AppError('no_channel', `No provider called ${JSON.stringify(name)} serves ${what}.`, {
    retryAfterSeconds: 60,
  });
}
