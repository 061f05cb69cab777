/**
 * What takes the path of a chat request: chats, in three dialects, and embeddings, whose answer is one JSON body priced by its input.
 */
import type { ChannelConfig, TokenModel } from '../config/config.ts';
import { findProvider, isServedBy } from '../providers/index.ts';
import type { Provider } from '../providers/provider.ts';
import { parseMessages } from './anthropic.ts';
import { parseEmbeddings } from './embeddings.ts';
import { type ParsedRequest, parseRequest } from './request.ts';
import { parseResponses } from './responses.ts';

export interface Kind {
  /** Of the models that it is asked of. */
  type: TokenModel['type'];
  /** What is sold, for people. */
  description: string;
  /** Says of another model what it cannot do. */
  refusal: string;
  /** Whether a channel takes such requests at all. */
  serves(channel: ChannelConfig): boolean;
  /** Says of a model that no channel of its does. */
  unserved: string;
  parse(body: Buffer): ParsedRequest;
  provider(name: string): Provider;
}

export const CHAT: Kind = {
  type: 'text',
  description: 'One chat completion',
  refusal: 'must be a text model; this one does not chat',
  serves: ({ provider }) => isServedBy(provider, 'chat'),
  unserved: 'must be a model that is served as chat; no channel of this one is',
  parse: parseRequest,
  provider: (name) => findProvider(name),
};

export const RESPONSES: Kind = {
  type: 'text',
  description: 'One response',
  refusal: 'must be a text model; this one does not respond',
  serves: ({ provider, responses }) => responses && isServedBy(provider, 'responses'),
  unserved: 'must be a model that is served as responses; this one is at /chat/completions alone',
  parse: parseResponses,
  provider: (name) => findProvider(name, 'responses'),
};

export const MESSAGES: Kind = {
  type: 'text',
  description: 'One message',
  refusal: 'must be a text model; this one writes no messages',
  serves: ({ provider }) => isServedBy(provider, 'messages'),
  unserved: 'must be a model that is served as messages; no channel of this one is',
  parse: parseMessages,
  provider: (name) => findProvider(name, 'messages'),
};

export const EMBEDDINGS: Kind = {
  type: 'embedding',
  description: 'Embeddings of one request',
  refusal: 'must be an embedding model; this one makes no embeddings',
  serves: ({ provider }) => isServedBy(provider, 'embeddings'),
  unserved: 'must be a model that is served as embeddings; no channel of this one is',
  parse: parseEmbeddings,
  provider: (name) => findProvider(name, 'embeddings'),
};
