/** What an order comes to in each unit that its kind of model can be sold by (reference: the price formulas of docs/money.md). */
import type { MediaModel, MediaType } from '../config/config.ts';
import type { Units } from '../pricing/rules.ts';
import type { Asked } from './asked.ts';
import { pixelsOf } from './pixels.ts';

const IMAGE = ['image', 'generation', 'megapixel', 'output_image_token', 'request'] as const;
const SONG = ['generation', 'output_second', 'minute', 'character', 'request'] as const;

/** By which units a type can be sold; one of `main` must have a price, those of `extra` come on top where they have one. */
export const UNITS_OF: Record<MediaType, { main: readonly string[]; extra: readonly string[] }> = {
  image: { main: IMAGE, extra: ['input_image', 'input_token'] },
  image_edit: { main: IMAGE, extra: ['input_image', 'input_token'] },
  upscale: { main: ['upscale', 'image', 'generation', 'request'], extra: ['input_image'] },
  background_remove: { main: ['image', 'generation', 'request'], extra: ['input_image'] },
  tts: { main: ['character', 'generation', 'request'], extra: ['input_token'] },
  stt: {
    main: ['input_second', 'minute', 'generation', 'request', 'output_token'],
    extra: ['input_token'],
  },
  music: { main: SONG, extra: ['input_second'] },
  sound: { main: SONG, extra: ['input_second'] },
  video: {
    main: ['output_second', 'video_token', 'generation', 'minute', 'request'],
    extra: ['input_second', 'input_image'],
  },
};

/** A video token is so many pixels of one frame. */
const PIXELS_PER_VIDEO_TOKEN = 1_024;
const USUAL_FPS = 24;
/** What an image can cost as input, at its highest detail. */
const TOKENS_PER_IMAGE = 4_000;
/** What a template puts around the words, and a prompt of a few of them. */
const TOKENS_AROUND = 300;

/**
 * The most of each unit, for this many seconds; a unit that cannot be told, such as megapixels of a size that nobody declared, is
 * left out, and then has no price. `asked`: with everything filled in.
 */
export function unitsOf(model: MediaModel, asked: Asked, seconds: number | null): Units {
  const { n = 1 } = asked;
  const pixels = pixelsOf(model, asked);
  const units: Record<string, number | null> = {
    request: 1,
    generation: n,
    input_image: asked.input_images ?? 0,
    input_token: inputTokens(model, asked),
  };
  switch (model.type) {
    case 'image':
    case 'image_edit':
    case 'upscale':
    case 'background_remove':
      units['image'] = n;
      units['upscale'] = n;
      units['megapixel'] = pixels && (n * pixels[0] * pixels[1]) / 1e6;
      units['output_image_token'] = outputTokens(model, asked, n);
      break;
    case 'tts':
      units['character'] = asked.characters ?? null;
      break;
    case 'stt':
      units['input_second'] = asked.input_seconds ?? null;
      units['minute'] = (asked.input_seconds ?? 0) / 60;
      units['output_token'] = soundTokens(asked, model.params.tokensPerSecond.output);
      break;
    case 'music':
    case 'sound':
    case 'video':
      units['character'] = asked.characters ?? null;
      units['output_second'] = seconds === null ? null : n * seconds;
      units['minute'] = seconds === null ? null : (n * seconds) / 60;
      units['input_second'] = hasSoundInput(asked) ? (asked.input_seconds ?? null) : 0;
      units['video_token'] =
        seconds === null ? null : pixels && videoTokens(pixels, seconds, asked);
  }
  return Object.fromEntries(
    Object.entries(units).filter((unit): unit is [string, number] => unit[1] !== null),
  );
}

function hasSoundInput({ input_mode: mode }: Asked): boolean {
  return mode === 'video' || mode === 'audio';
}

/** A clip that is sent along is read frame by frame too. */
function videoTokens([width, height]: [number, number], seconds: number, asked: Asked): number {
  const { n = 1, fps = USUAL_FPS } = asked;
  const read = asked.input_mode === 'video' ? (asked.input_seconds ?? 0) : 0;
  const frames = fps * (seconds + read) + 1;
  return n * Math.ceil((width * height * frames) / PIXELS_PER_VIDEO_TOKEN);
}

function inputTokens(model: MediaModel, asked: Asked): number {
  const text = asked.input_tokens ?? TOKENS_AROUND;
  if (model.type === 'stt') {
    return text + soundTokens(asked, model.params.tokensPerSecond.input);
  }
  return text + (asked.input_images ?? 0) * TOKENS_PER_IMAGE;
}

function soundTokens({ input_seconds: seconds = 0 }: Asked, perSecond: number): number {
  return Math.ceil(seconds * perSecond) + TOKENS_AROUND;
}

function outputTokens({ params }: MediaModel, asked: Asked, n: number): number | null {
  const { size = '', quality = '' } = asked;
  const { outputTokens: most } = params;
  const each = most[`${size} ${quality}`.trim()] ?? most[size] ?? most[quality] ?? most[''];
  return each === undefined ? null : n * each;
}
