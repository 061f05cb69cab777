/** OpenAI's speech and transcriptions, for any server that speaks its dialect, such as Venice's. */
import type { ChannelConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { FormPart } from '../multipart.ts';
import type { EarsProvider, HeardMeasured, VoiceProvider } from './audio.ts';
import { encodeBody } from './media/multipart.ts';
import { errorOf, isFields } from './openai-usage.ts';
import { OWN_FIELDS, openAiRequest, openAiWay } from './openai.ts';
import type { UpstreamRequest } from './provider.ts';
import { costOf } from './reported.ts';

type Fields = Record<string, unknown>;

/** Beyond any recording; a figure above it is in another unit. */
const MOST_SECONDS = 1_000_000;
const MOST_TOKENS = 1_000_000_000;

export const openaiVoice: VoiceProvider = {
  name: 'openai',
  speech: (channel, request, upstreamModel) => {
    const message = openAiRequest(channel, request, { path: '/audio/speech', upstreamModel });
    return { ...message, headers: { ...message.headers, accept: '*/*' } };
  },
};

export const veniceVoice: VoiceProvider = { ...openaiVoice, name: 'venice' };

export const openaiEars: EarsProvider = {
  name: 'openai',
  transcription: (channel, heard, upstreamModel) => {
    if ('fields' in heard) throw cannotFetch();
    return formRequest(channel, heard.parts, upstreamModel);
  },
  readAnswer,
};

export const veniceEars: EarsProvider = {
  name: 'venice',
  takesLinks: true,
  transcription: (channel, heard, upstreamModel) =>
    'fields' in heard
      ? linkRequest(channel, heard.fields)
      : formRequest(channel, heard.parts, upstreamModel),
  readAnswer,
};

function cannotFetch(): AppError {
  return new AppError('no_channel', 'No channel of this model reads recordings by their links.', {
    retryAfterSeconds: 60,
    isRetryable: true,
  });
}

/** Written anew, so that every reader finds the same parts in it. */
function formRequest(
  channel: ChannelConfig,
  parts: readonly FormPart[],
  upstreamModel: string,
): UpstreamRequest {
  const { remove, set } = channel.params;
  const changed = new Set([...OWN_FIELDS, ...remove, ...Object.keys(set), 'model']);
  const multipart = parts
    .filter(({ name, filename }) => filename !== null || !changed.has(name))
    .map(({ name, filename, contentType, bytes }) => ({
      name,
      value: bytes,
      ...(filename !== null && { filename }),
      ...(contentType !== null && { contentType }),
    }));
  const fields = { model: JSON.stringify(upstreamModel), ...set };
  for (const [name, json] of Object.entries(fields)) {
    const value: unknown = JSON.parse(json);
    multipart.unshift({ name, value: Buffer.from(typeof value === 'string' ? value : json) });
  }
  const { bytes, contentType } = encodeBody({ multipart });
  const { path, headers } = openAiWay(channel, '/audio/transcriptions');
  return {
    path,
    headers: { ...headers, accept: '*/*', 'content-type': contentType },
    body: bytes,
  };
}

/** Venice's: the link goes on as data, and nobody here opens it. */
function linkRequest(channel: ChannelConfig, fields: Fields): UpstreamRequest {
  const { path, headers } = openAiWay(channel, '/video/transcriptions');
  const json = { url: fields['url'], response_format: fields['response_format'] };
  const body = Buffer.from(JSON.stringify(json));
  return { path, headers: { ...headers, accept: '*/*' }, body };
}

const NOTHING: HeardMeasured = { seconds: null, tokens: null, upstreamCostUsd: null };

function readAnswer(
  { contentType, body }: { contentType: string; body: Buffer },
  { reportedCost }: Pick<ChannelConfig, 'reportedCost'>,
): HeardMeasured | null {
  if (contentType === 'text/event-stream') return readEvents(body);
  if (contentType !== 'application/json') return NOTHING;
  const answer = parsed(body.toString('utf8'));
  if (!answer || errorOf(answer) !== null) return null;
  const isText = ['text', 'transcript', 'segments', 'words'].some((name) => name in answer);
  return isText ? { ...measuredOf(answer), upstreamCostUsd: costOf(answer, reportedCost) } : null;
}

/** A stream that ended without its last event is none. */
function readEvents(body: Buffer): HeardMeasured | null {
  for (const line of body.toString('utf8').split(/\r?\n/)) {
    if (!line.startsWith('data:')) continue;
    const event = parsed(line.slice('data:'.length).trim());
    if (event?.['type'] === 'transcript.text.done') return measuredOf(event);
  }
  return null;
}

/** OpenAI reports seconds or tokens; a verbose answer says how long the recording was. */
function measuredOf(answer: Fields): HeardMeasured {
  const usage = isFields(answer['usage']) ? answer['usage'] : {};
  const input = count(usage['input_tokens']);
  const output = count(usage['output_tokens']);
  return {
    seconds: seconds(usage['seconds']) ?? seconds(usage['duration']) ?? seconds(answer['duration']),
    tokens: input === null || output === null ? null : { input, output },
    upstreamCostUsd: null,
  };
}

function seconds(value: unknown): number | null {
  const number =
    typeof value === 'string' && /^[0-9]{1,9}(\.[0-9]+)?$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && number > 0 && number <= MOST_SECONDS ? number : null;
}

function count(value: unknown): number | null {
  const isCount = typeof value === 'number' && value >= 0 && value <= MOST_TOKENS;
  return isCount ? Math.ceil(value) : null;
}

function parsed(text: string): Fields | null {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : null;
  } catch {
    return null;
  }
}
