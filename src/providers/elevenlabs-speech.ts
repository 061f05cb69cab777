/** ElevenLabs' text to speech behind OpenAI's request: what it calls otherwise is renamed, the rest goes on as it is. */
import { AppError } from '../errors.ts';
import type { ChannelConfig } from '../config/config.ts';
import type { SpeechRequest, VoiceProvider } from './audio.ts';
import { withChannelHeaders, withParams } from './channel-edits.ts';
import { isFields } from './openai-usage.ts';
import { OWN_FIELDS } from './openai.ts';
import type { UpstreamRequest } from './provider.ts';

type Fields = Readonly<Record<string, unknown>>;

export const elevenlabsSpeech: VoiceProvider = { name: 'elevenlabs', speech, busySeconds };

/** OpenAI's names; its pcm is 24 kHz, too. */
const FORMATS: Record<string, string> = {
  mp3: 'mp3_44100_128',
  opus: 'opus_48000_128',
  wav: 'wav_24000',
  pcm: 'pcm_24000',
};
const NATIVE_FORMAT = /^(?:mp3|opus|wav|pcm|ulaw|alaw)_[0-9]{4,5}(?:_[0-9]{2,3})?$/;
/** A path of its own for each voice. */
const VOICE = /^[A-Za-z0-9_-]{1,64}$/;
/** They name what lies in the operator's account. */
const STATE = [
  'pronunciation_dictionary_locators',
  'previous_request_ids',
  'next_request_ids',
] as const;
const RENAMED = new Set([
  ...OWN_FIELDS,
  'model',
  'input',
  'voice',
  'response_format',
  'output_format',
  'speed',
  'language',
  'stream_format',
]);
/** Its 429 is of two kinds: too many at once, which passes as soon as one ends, and a system that is busy. */
const AGAIN_SECONDS = { concurrent: 2, busy: 15 };

function speech(
  channel: ChannelConfig,
  { fields }: SpeechRequest,
  upstreamModel: string,
): UpstreamRequest {
  for (const name of STATE) {
    if ((fields[name] ?? null) !== null) {
      throw unsupported(name, 'it names what lies in the upstream account');
    }
  }
  const voice = fields['voice'];
  if (typeof voice !== 'string' || !VOICE.test(voice)) {
    throw invalid('voice', 'must be the id of a voice');
  }
  const others = Object.entries(fields).filter(([name]) => !RENAMED.has(name));
  const json = {
    ...Object.fromEntries(others),
    text: fields['input'],
    model_id: upstreamModel,
    ...(typeof fields['language'] === 'string' && { language_code: fields['language'] }),
    ...voiceSettings(fields),
  };
  const root = new URL(channel.baseUrl).pathname.replace(/\/$/, '');
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'accept-encoding': 'identity',
    'user-agent': 'farebox',
    accept: '*/*',
  };
  if (channel.apiKey !== null) headers['xi-api-key'] = channel.apiKey;
  return {
    path: `${root}/text-to-speech/${voice}?output_format=${formatOf(fields)}`,
    headers: withChannelHeaders(headers, channel),
    body: Buffer.from(JSON.stringify(withParams(json, channel))),
  };
}

function voiceSettings(fields: Fields): { voice_settings?: Record<string, unknown> } {
  const { speed } = fields;
  if (typeof speed !== 'number') return {};
  const given = isFields(fields['voice_settings']) ? fields['voice_settings'] : {};
  return { voice_settings: { ...given, speed } };
}

function formatOf(fields: Fields): string {
  const native = fields['output_format'];
  if (typeof native === 'string' && NATIVE_FORMAT.test(native)) return native;
  const said = fields['response_format'] ?? 'mp3';
  const format = typeof said === 'string' ? (FORMATS[said] ?? said) : '';
  if (NATIVE_FORMAT.test(format)) return format;
  throw invalid('response_format', `must be one of ${Object.keys(FORMATS).join(', ')}`);
}

function busySeconds(body: Buffer): number {
  const isQueue = body.includes('too_many_concurrent_requests');
  return isQueue ? AGAIN_SECONDS.concurrent : AGAIN_SECONDS.busy;
}

function invalid(field: string, rule: string): AppError {
  return new AppError('invalid_request', `The field "${field}" ${rule}.`, { details: { field } });
}

function unsupported(field: string, why: string): AppError {
  return new AppError('unsupported_parameter', `"${field}" is not supported here: ${why}.`, {
    details: { field },
  });
}
