/** Chats and embeddings: where each of them is sold. */
import type { Chat } from '../chat/chat.ts';
import type { Chats } from '../chat/chats.ts';
import { callersHeaders } from './anthropic/headers.ts';
import { chatOffer, chatRoute } from './chat-route.ts';
import type { Step } from './in-turn.ts';
import { payable } from './payable.ts';
import type { StepOptions } from './steps.ts';

export interface ChatShopOptions extends StepOptions {
  chats: Chats;
}

/** Two steps each: who pays, and what is done. */
export function chatShops(options: ChatShopOptions): [path: string, paid: Step, run: Step][] {
  const { chat, embeddings, responses, messages } = options.chats;
  const at = (sold: Chat, paths: string[], headers?: typeof callersHeaders) => {
    const paid = payable(options, chatOffer(sold));
    const run = chatRoute(sold, options, headers);
    return paths.map((path): [string, Step, Step] => [path, paid, run]);
  };
  return [
    ...at(chat, ['/v1/chat/completions', '/api/v1/chat/completions', '/api/chat']),
    ...at(embeddings, ['/v1/embeddings', '/api/v1/embeddings']),
    ...at(responses, ['/v1/responses', '/api/v1/responses']),
    ...at(messages, ['/v1/messages'], callersHeaders),
  ];
}
