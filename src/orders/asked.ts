/**
 * What a caller asks of a media model, in whatever dialect: one reader for all of their field names. A fact that decides the price is
 * read wherever it may stand, and must be the same everywhere: what is passed on must not say more than what was priced.
 */
import type { InputMode, MediaType } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { estimateText } from '../tokens.ts';
import { refuseForeign } from './foreign.ts';
import { findInputs, modeOf } from './inputs.ts';
import {
  agreed,
  bare,
  type Fields,
  isFields,
  isSource,
  readAudio,
  readDuration,
  readFactor,
  readNumber,
  readSize,
  readText,
  readWhole,
  type Source,
  sourcesOf,
  wrongField,
} from './fields.ts';

/** What of a request can decide its price. Absent: the caller said nothing. */
export interface Asked {
  n?: number;
  /** "1024x1024". */
  size?: string;
  resolution?: string;
  quality?: string;
  aspect_ratio?: string;
  /** Seconds. */
  duration?: number | 'auto';
  fps?: number;
  audio?: boolean;
  /** "2x". */
  factor?: string;
  input_mode?: InputMode;
  input_images?: number;
  /** Of sound or video that is sent along; never the caller's word where it decides a hold. */
  input_seconds?: number;
  /** Unicode code points of the text. */
  characters?: number;
  /** Of the prompt, never low. */
  input_tokens?: number;
}

const MAX_N = 1_000;
const NUMBERS = [
  'n',
  'variants',
  'num_images',
  'num_outputs',
  'num_samples',
  'num_videos',
  'number_of_images',
  'image_count',
  'sample_count',
];
const LENGTHS = [
  'duration',
  'seconds',
  'duration_seconds',
  'duration_in_seconds',
  'seconds_total',
  'length_seconds',
  'video_duration',
  'audio_duration',
  'clip_duration',
  'output_duration',
];
const MILLISECONDS = ['music_length_ms', 'duration_ms', 'length_ms'];
const TEXTS = ['prompt', 'input', 'text', 'lyrics', 'lyrics_prompt', 'negative_prompt'] as const;
/** They change what the upstream charges, and no price knows them; a value that says so is harmless. */
const FORBIDDEN: Record<string, readonly unknown[]> = {
  frames: [],
  num_frames: [],
  n_frames: [],
  frame_count: [],
  video_length: [],
  batch_size: [1],
  max_images: [1],
  sequential_image_generation: ['disabled'],
  partial_images: [0],
  service_tier: ['default', 'auto', 'standard'],
  enable_web_search: [false],
  tools: [],
  stream: [false],
  // A song by its parts, each with a length of its own.
  composition_plan: [],
  // Of Ideogram's three the dearest costs half as much again as the usual one.
  rendering_speed: ['TURBO', 'BALANCED', 'DEFAULT'],
};
/** Inside of anything else they are lengths of shots and parts, which together are longer than what was priced. */
const HIDDEN = new Set([...LENGTHS, ...MILLISECONDS, 'num_frames', 'frame_count'].map(bare));
/** Sent back to whoever sent it, and obeyed by nobody. */
const NOTES = 'metadata';
const MAX_DEPTH = 8;

/** `fields`: the caller's body. Errors: invalid_request and unsupported_parameter, with details.field. */
export function readAsked(type: MediaType, fields: Fields): Asked {
  const sources = sourcesOf(fields);
  if (type !== 'tts' && type !== 'stt') {
    refuseForbidden(sources);
    refuseLengthsInside(sources);
    refuseForeign(fields);
  }
  const asked: { [K in keyof Asked]: Asked[K] | undefined } = {
    n: agreed(sources, NUMBERS, readWhole(MAX_N)),
    size: sizeOf(sources),
    resolution: agreed(sources, ['resolution'], readText),
    quality: agreed(sources, type === 'video' ? ['quality', 'mode'] : ['quality'], readText),
    aspect_ratio: agreed(sources, ['aspect_ratio', 'ratio'], readText),
    fps: agreed(sources, ['fps', 'framespersecond', 'frames_per_second'], readNumber),
    factor: agreed(sources, ['scale', 'factor', 'upscale_factor'], readFactor),
    ...lengthsOf(type, sources),
    ...inputsOf(type, fields),
    ...textsOf(type, fields),
  };
  return Object.fromEntries(
    Object.entries(asked).filter(([, value]) => value !== undefined),
  ) as Asked;
}

function refuseForbidden(sources: readonly Source[]): void {
  for (const source of sources) {
    for (const [forbidden, harmless] of Object.entries(FORBIDDEN)) {
      const said = source.get(bare(forbidden)) ?? [];
      const harm = said.find(([, value]) => (value ?? null) !== null && !harmless.includes(value));
      if (harm) throw unpriced(harm[0]);
    }
  }
}

function refuseLengthsInside(sources: readonly Source[]): void {
  for (const [at, source] of sources.entries()) {
    for (const [name, value] of [...source.values()].flat()) {
      // Objects that are sources themselves come by themselves.
      const isRead = at === 0 && isSource(name) && isFields(value);
      if (name !== NOTES && !isRead) refuseHidden(value, 0);
    }
  }
}

function refuseHidden(value: unknown, depth: number): void {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return;
  if (Array.isArray(value)) {
    for (const item of value) refuseHidden(item, depth + 1);
    return;
  }
  for (const [name, item] of Object.entries(value)) {
    if (HIDDEN.has(bare(name)) && (item ?? null) !== null) throw unpriced(name);
    refuseHidden(item, depth + 1);
  }
}

function unpriced(name: string): AppError {
  return new AppError(
    'unsupported_parameter',
    `The field "${name}" changes what the request costs and is not offered here: leave it out.`,
    { details: { field: name } },
  );
}

/** Seconds are of what is made, but where sound is read: there they are what is sent along. */
function lengthsOf(type: MediaType, sources: readonly Source[]) {
  if (type === 'stt') return {};
  return {
    duration:
      agreed(sources, LENGTHS, readDuration) ??
      agreed(sources, MILLISECONDS, (value, field) => readNumber(value, field) / 1_000),
    ...(type === 'video' && {
      audio: agreed(
        sources,
        ['audio', 'generate_audio', 'enable_audio', 'with_audio', 'sound'],
        readAudio,
      ),
    }),
  };
}

function sizeOf(sources: readonly Source[]): string | undefined {
  const size = agreed(sources, ['size', 'image_size'], readSize);
  const width = agreed(sources, ['width'], readNumber);
  const height = agreed(sources, ['height'], readNumber);
  if (width === undefined && height === undefined) return size;
  if (width === undefined) throw wrongField('width', 'must come with "height"');
  if (height === undefined) throw wrongField('height', 'must come with "width"');
  const pixels = `${width}x${height}`;
  if (size === undefined || size === pixels) return pixels;
  throw wrongField('width', 'must say the same as "size", or be left out');
}

/** What is sent along decides the mode; a mode that is named alone is believed, as in an estimate. */
function inputsOf(type: MediaType, fields: Fields): Pick<Asked, 'input_mode' | 'input_images'> {
  if (type === 'tts' || type === 'stt') return {};
  const found = findInputs(fields);
  const said = agreed(sourcesOf(fields), ['input_mode'], modeOf);
  const mode = found.video ? 'video' : found.image ? 'image' : found.audio ? 'audio' : undefined;
  if (mode !== undefined && said !== undefined && said !== mode) {
    throw new AppError('invalid_request', `input_mode: this request sends ${mode} along.`, {
      details: { field: 'input_mode' },
    });
  }
  const chosen = mode ?? said;
  return {
    ...(chosen !== undefined && { input_mode: chosen }),
    ...(found.image > 0 && { input_images: found.image }),
  };
}

function textsOf(type: MediaType, fields: Fields): Pick<Asked, 'characters' | 'input_tokens'> {
  const texts = TEXTS.flatMap((name) => {
    const value = fields[name];
    return typeof value === 'string' ? [value] : [];
  });
  if (type === 'stt' || texts.length === 0) return {};
  const spoken = type === 'tts' ? (fields['input'] ?? fields['text']) : texts.join('');
  return {
    ...(typeof spoken === 'string' && { characters: codePoints(spoken) }),
    input_tokens: estimateText(Buffer.from(JSON.stringify(texts))).tokens,
  };
}

/** Without a copy of the text in points. */
export function codePoints(text: string): number {
  let pairs = 0;
  for (let at = 0; at < text.length - 1; at++) {
    const isHigh = (text.charCodeAt(at) & 0xfc00) === 0xd800;
    if (isHigh && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00) pairs++;
  }
  return text.length - pairs;
}
