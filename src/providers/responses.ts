/** OpenAI's Responses, for any server that has them. The caller's bytes pass as they are, but for a few splices. */
import type { ChannelConfig } from '../config/config.ts';
import { spliceParams } from './channel-edits.ts';
import { openAiWay, ownSplices, setWhole } from './openai.ts';
import type { ChatEdits, ChatRequest, MeterLimits, Provider, UpstreamRequest } from './provider.ts';
import { readResponse } from './responses-answer.ts';
import { ResponsesMeter } from './responses-stream.ts';

export const openaiResponses: Provider = {
  name: 'openai',
  chat,
  readChat: readResponse,
  meter: (request, limits) => new ResponsesMeter(withEcho(limits, request)),
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

/** A character may be written as six. */
const ESCAPED = 6;

/** Instructions and tools come back in three of the events, whatever their length. */
function withEcho(limits: MeterLimits, { body }: ChatRequest): MeterLimits {
  return { ...limits, sseLineBytes: limits.sseLineBytes + ESCAPED * body.length };
}
