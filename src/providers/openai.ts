/** OpenAI's chat dialect, for any server that speaks it. The caller's bytes pass as they are, but for a few splices. */
import type { ChannelConfig } from '../config/config.ts';
import { spliceParams, withChannelHeaders } from './channel-edits.ts';
import { scanMembers } from './json-members.ts';
import { readAnswer } from './openai-answer.ts';
import type { ChatEdits, ChatRequest, Provider, UpstreamRequest } from './provider.ts';
import { OpenAiMeter } from './sse.ts';
import { Splices } from './splices.ts';

/** Fields of Farebox itself; strict upstreams refuse what they do not know. */
export const OWN_FIELDS = ['max_credits', 'quote_id', 'callback_url'];
const LIMIT_FIELDS = ['max_tokens', 'max_completion_tokens'] as const;
const DIGITS = /^[1-9][0-9]*$/;
const OPEN_BRACE = 0x7b;

export const openai: Provider = {
  name: 'openai',
  chat,
  readChat: readAnswer,
  meter: (request, limits) => new OpenAiMeter(!request.wantsUsage, limits),
};

/** Venice's chats: the same dialect, with a cost in its answers. */
export const venice: Provider = { ...openai, name: 'venice' };

/** What is the same for every request of a channel. */
interface Prepared {
  /** Of the base URL, without its last slash. */
  root: string;
  json: Record<string, string>;
  stream: Record<string, string>;
}

const prepared = new WeakMap<ChannelConfig, Prepared>();

function preparedFor(channel: ChannelConfig): Prepared {
  let ready = prepared.get(channel);
  if (!ready) prepared.set(channel, (ready = prepare(channel)));
  return ready;
}

/** Where a request of this dialect goes, and with which headers. */
export function openAiWay(
  channel: ChannelConfig,
  path: string,
  isStream = false,
): Pick<UpstreamRequest, 'path' | 'headers'> {
  const { root, json, stream } = preparedFor(channel);
  return { path: `${root}${path}`, headers: isStream ? stream : json };
}

/** What of a body must be known to change it. */
export type SplicedRequest = Pick<ChatRequest, 'body' | 'members' | 'model'>;

/** Any other JSON request of this dialect: only its model's name is changed, and what is for Farebox taken out. */
export function openAiRequest(
  channel: ChannelConfig,
  request: SplicedRequest,
  { path, upstreamModel }: { path: string; upstreamModel: string },
): UpstreamRequest {
  const splices = ownSplices(request, upstreamModel);
  spliceParams(splices, channel);
  return { ...openAiWay(channel, path), body: splices.apply() };
}

/** The changes that every request goes through. */
export function ownSplices(request: SplicedRequest, upstreamModel: string): Splices {
  const splices = new Splices(request.body, request.members);
  for (const name of OWN_FIELDS) splices.remove(name);
  if (upstreamModel !== request.model) splices.setValue('model', JSON.stringify(upstreamModel));
  return splices;
}

function chat(channel: ChannelConfig, request: ChatRequest, edits: ChatEdits): UpstreamRequest {
  return {
    ...openAiWay(channel, '/chat/completions', request.isStream),
    body: spliceBody(channel, request, edits),
  };
}

function prepare(channel: ChannelConfig): Prepared {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    // A few hundred compressed bytes can unpack to hundreds of megabytes.
    'accept-encoding': 'identity',
    'user-agent': 'farebox',
  };
  if (channel.apiKey !== null) headers['authorization'] = `Bearer ${channel.apiKey}`;
  return {
    root: new URL(channel.baseUrl).pathname.replace(/\/$/, ''),
    json: withChannelHeaders({ accept: 'application/json', ...headers }, channel),
    stream: withChannelHeaders({ accept: 'text/event-stream', ...headers }, channel),
  };
}

function spliceBody(channel: ChannelConfig, request: ChatRequest, edits: ChatEdits): Buffer {
  const splices = ownSplices(request, edits.upstreamModel);
  if (!channel.streamOptions) splices.remove('stream_options');
  else if (request.isStream && !request.wantsUsage) askForUsage(splices, request);
  setLimit(splices, channel.outputLimitField, request, edits.outputLimit);
  spliceParams(splices, channel);
  return splices.apply();
}

function askForUsage(splices: Splices, { body, members }: ChatRequest): void {
  const range = members.get('stream_options');
  if (!range || body[range[1]] !== OPEN_BRACE) {
    splices.setValue('stream_options', '{"include_usage":true}');
    return;
  }
  const inner = new Splices(body, scanMembers(body, range[1], range[2]).ranges, range[1], range[2]);
  inner.setValue('include_usage', 'true');
  splices.setValue('stream_options', inner.apply().toString());
}

/** One limit is sent, under the name that this server obeys: some ignore the other name, and then the ceiling would be false. */
function setLimit(
  splices: Splices,
  field: (typeof LIMIT_FIELDS)[number],
  request: ChatRequest,
  limit: number,
): void {
  for (const other of LIMIT_FIELDS) if (other !== field) splices.remove(other);
  setWhole(splices, field, request, limit);
}

/** Sets a field to a whole number, and leaves it as it is written where that is what it says. */
export function setWhole(
  splices: Splices,
  field: string,
  { body, members }: ChatRequest,
  limit: number,
): void {
  const range = members.get(field);
  const written = range ? body.toString('latin1', range[1], range[2]) : '';
  if (DIGITS.test(written) && Number(written) === limit) return;
  splices.setValue(field, String(limit));
}
