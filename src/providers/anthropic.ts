/** Anthropic's /v1/messages behind OpenAI's chat route: the body is translated there, the answer back. */
import type { ChannelConfig } from '../config/config.ts';
import { readMessage, toCompletion } from './anthropic-answer.ts';
import { toAnthropic } from './anthropic-request.ts';
import { AnthropicMeter } from './anthropic-stream.ts';
import { withChannelHeaders, withParams } from './channel-edits.ts';
import type { ChatEdits, ChatRequest, Provider, UpstreamRequest } from './provider.ts';

const VERSION = '2023-06-01';

export const anthropic: Provider = {
  name: 'anthropic',
  chat,
  readChat: readMessage,
  translate: (body, request) => toCompletion(body, request.model),
  meter: (request, limits) => new AnthropicMeter(request, limits),
};

/** Where a request goes, and with which headers: the channel's, and under them those of the caller. */
export function anthropicWay(
  channel: ChannelConfig,
  { isStream, headers: callers }: Pick<ChatRequest, 'isStream' | 'headers'>,
): Pick<UpstreamRequest, 'path' | 'headers'> {
  const headers: Record<string, string> = {
    accept: isStream ? 'text/event-stream' : 'application/json',
    'content-type': 'application/json',
    'accept-encoding': 'identity',
    'user-agent': 'farebox',
    'anthropic-version': VERSION,
    ...callers,
  };
  if (channel.apiKey !== null) headers['x-api-key'] = channel.apiKey;
  return {
    path: `${new URL(channel.baseUrl).pathname.replace(/\/$/, '')}/messages`,
    headers: withBetas(withChannelHeaders(headers, channel), callers?.[BETA]),
  };
}

const BETA = 'anthropic-beta';

/** Those of the channel and those of the caller are one list. */
function withBetas(headers: Record<string, string>, callers = ''): Record<string, string> {
  const channels = headers[BETA];
  if (!callers || channels === undefined || channels === callers) return headers;
  return { ...headers, [BETA]: `${channels},${callers}` };
}

function chat(channel: ChannelConfig, request: ChatRequest, edits: ChatEdits): UpstreamRequest {
  const fields = JSON.parse(request.body.toString('utf8')) as Record<string, unknown>;
  const { upstreamModel, outputLimit } = edits;
  return {
    ...anthropicWay(channel, request),
    body: Buffer.from(
      JSON.stringify(withParams(toAnthropic(fields, upstreamModel, outputLimit), channel)),
    ),
  };
}
