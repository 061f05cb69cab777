/** Everything that takes the path of a chat, over the same parts. */
import { Chat, type ChatOptions } from './chat.ts';
import { EMBEDDINGS, MESSAGES, RESPONSES } from './kinds.ts';

export interface Chats {
  chat: Chat;
  embeddings: Chat;
  responses: Chat;
  messages: Chat;
}

export function createChats(options: Omit<ChatOptions, 'kind'>): Chats {
  return {
    chat: new Chat(options),
    embeddings: new Chat({ ...options, kind: EMBEDDINGS }),
    responses: new Chat({ ...options, kind: RESPONSES }),
    messages: new Chat({ ...options, kind: MESSAGES }),
  };
}
