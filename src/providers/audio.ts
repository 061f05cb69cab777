/** What an upstream dialect gives the two ways of sound: text in and sound out, sound in and text out. Stateless, and knows no money. */
import type { ChannelConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { FormPart } from '../multipart.ts';
import { elevenlabsSpeech } from './elevenlabs-speech.ts';
import { openaiEars, openaiVoice, veniceEars, veniceVoice } from './openai-audio.ts';
import type { SplicedRequest } from './openai.ts';
import type { UpstreamRequest } from './provider.ts';

/** A caller's JSON, as it came. `fields` are its members, read. */
export interface SpeechRequest extends SplicedRequest {
  fields: Readonly<Record<string, unknown>>;
}

export interface VoiceProvider {
  readonly name: string;
  /** Errors: invalid_request, unsupported_parameter for what this dialect cannot do. */
  speech(channel: ChannelConfig, request: SpeechRequest, upstreamModel: string): UpstreamRequest;
  /** Of a 429 that does not say when to come again. */
  busySeconds?(body: Buffer): number;
}

/** A recording, or where one lies. */
export type Heard = { parts: readonly FormPart[] } | { fields: Readonly<Record<string, unknown>> };

/** What a transcription says of itself. */
export interface HeardMeasured {
  /** Of the recording; null where it does not say. */
  seconds: number | null;
  tokens: { input: number; output: number } | null;
  /** What it cost the operator, decimal US dollars. */
  upstreamCostUsd: string | null;
}

export interface EarsProvider {
  readonly name: string;
  /** Whether it takes the link of a video in the place of a recording. */
  readonly takesLinks?: true;
  transcription(channel: ChannelConfig, heard: Heard, upstreamModel: string): UpstreamRequest;
  /** Null for what is no transcription. */
  readAnswer(
    answer: { contentType: string; body: Buffer },
    facts: Pick<ChannelConfig, 'reportedCost'>,
  ): HeardMeasured | null;
}

const VOICES: VoiceProvider[] = [openaiVoice, veniceVoice, elevenlabsSpeech];
const EARS: EarsProvider[] = [openaiEars, veniceEars];

export function isVoice(name: string): boolean {
  return VOICES.some((each) => each.name === name);
}

export function isEars(name: string): boolean {
  return EARS.some((each) => each.name === name);
}

export function takesLinks(name: string): boolean {
  return EARS.some((each) => each.name === name && each.takesLinks === true);
}

export function findVoice(name: string): VoiceProvider {
  return found(VOICES, name, 'speech');
}

export function findEars(name: string): EarsProvider {
  return found(EARS, name, 'transcriptions');
}

function found<T extends { name: string }>(all: T[], name: string, what: string): T {
  const provider = all.find((each) => each.name === name);
  if (provider) return provider;
  throw new AppError('no_channel', `No provider called ${JSON.stringify(name)} serves ${what}.`, {
    retryAfterSeconds: 60,
  });
}
