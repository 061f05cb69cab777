/** OpenAI's Responses, for any server that has them. The caller's bytes pass as they are, but for a few splices. */
import type { ChannelConfig } from '../config/config.ts';
import { spliceParams } from './channel-edits.ts';
import { openAiWay, ownSplices, setWhole } from './openai.ts';
import type { ChatEdits, ChatRequest, Provider, UpstreamRequest } from './provider.ts';
import { readResponse } from './responses-answer.ts';
import { ResponsesMeter } from './responses-stream.ts';

export const openaiResponses: Provider = {
  name: 'openai',
  chat,
  readChat: readResponse,
  meter: (_request, limits) => new ResponsesMeter(limits),
};

export const veniceResponses: Provider = { ...openaiResponses, name: 'venice' };

function chat(channel: ChannelConfig, request: ChatRequest, edits: ChatEdits): UpstreamRequest {
  const splices = ownSplices(request, edits.upstreamModel);
  setWhole(splices, 'max_output_tokens', request, edits.outputLimit);
  // Left out, it means true: answers would be kept in the operator's account, where all callers are one.
  splices.setValue('store', 'false');
  spliceParams(splices, channel);
  return { ...openAiWay(channel, '/responses', request.isStream), body: splices.apply() };
}
