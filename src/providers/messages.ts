/** /v1/messages over channels that speak OpenAI's chat completions: the request is translated there, the answer back. */
import type { ChannelConfig } from '../config/config.ts';
import { withParams } from './channel-edits.ts';
import { askedOf, toMessage } from './messages-answer.ts';
import { toChat } from './messages-request.ts';
import { MessagesFromChatMeter } from './messages-stream.ts';
import { readAnswer } from './openai-answer.ts';
import { openAiWay } from './openai.ts';
import type { ChatEdits, ChatRequest, Provider, UpstreamRequest } from './provider.ts';

type Fields = Record<string, unknown>;

export const chatMessages: Provider = {
  name: 'openai',
  chat,
  readChat: readAnswer,
  translate: (body, request) => toMessage(body, asked(request)),
  meter: (request, limits) => new MessagesFromChatMeter(asked(request), limits),
};

export const veniceMessages: Provider = { ...chatMessages, name: 'venice' };

function chat(channel: ChannelConfig, request: ChatRequest, edits: ChatEdits): UpstreamRequest {
  const limit = { field: channel.outputLimitField, tokens: edits.outputLimit };
  const body = toChat(fieldsOf(request), edits.upstreamModel, limit);
  if (!channel.streamOptions) delete body['stream_options'];
  return {
    ...openAiWay(channel, '/chat/completions', request.isStream),
    body: Buffer.from(JSON.stringify(withParams(body, channel))),
  };
}

function asked(request: ChatRequest) {
  return askedOf(fieldsOf(request), request.model);
}

function fieldsOf({ body }: ChatRequest): Fields {
  return JSON.parse(body.toString('utf8')) as Fields;
}
