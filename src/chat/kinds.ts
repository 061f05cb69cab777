/** What takes the path of a chat request: chats, and embeddings, whose answer is one JSON body priced by its input. */
import type { TokenModel } from '../config/config.ts';
import { findProvider } from '../providers/index.ts';
import type { Provider } from '../providers/provider.ts';
import { parseEmbeddings } from './embeddings.ts';
import { type ParsedRequest, parseRequest } from './request.ts';

export interface Kind {
  /** Of the models that it is asked of. */
  type: TokenModel['type'];
  /** What is sold, for people. */
  description: string;
  /** Says of another model what it cannot do. */
  refusal: string;
  parse(body: Buffer): ParsedRequest;
  provider(name: string): Provider;
}

export const CHAT: Kind = {
  type: 'text',
  description: 'One chat completion',
  refusal: 'must be a text model; this one does not chat',
  parse: parseRequest,
  provider: (name) => findProvider(name),
};

export const EMBEDDINGS: Kind = {
  type: 'embedding',
  description: 'Embeddings of one request',
  refusal: 'must be an embedding model; this one makes no embeddings',
  parse: parseEmbeddings,
  provider: (name) => findProvider(name, 'embeddings'),
};
