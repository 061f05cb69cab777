/** Images, videos and sound that a request sends along, by URL, as data or as files, under whatever names. */
import type { InputMode } from '../config/config.ts';
import { type Fields, isFields, linkOf, wrongField } from './fields.ts';

export interface Inputs {
  image: number;
  video: number;
  audio: number;
}

const MAX_DEPTH = 6;
const MAX_INPUTS = 256;
/** Fields about what is told and made, not about what is sent along. */
const NOT_INPUTS =
  /callback|webhook|^num_|^max_|^(?:n|prompt|negative_prompt|model|user|metadata|mask)$/i;
const KINDS: [RegExp, keyof Inputs][] = [
  [/video|clip|footage/i, 'video'],
  [/audio|voice_sample|song|sound/i, 'audio'],
  [/image|frame|photo|picture|reference|element|subject|garment|style_ref/i, 'image'],
];
/** Shorter ones are names of things. */
const SHORTEST_DATA = 64;
const ADDRESS = /^(?:https?:|data:|gs:|s3:|blob:|asset:|\/\/)/i;
const DATA = /^[A-Za-z0-9+/=_\r\n-]+$/;
const MODES: Record<string, InputMode | undefined> = {
  text: 'text',
  image: 'image',
  images: 'image',
  reference: 'image',
  frame: 'image',
  frames: 'image',
  video: 'video',
  audio: 'audio',
  t: 'text',
  i: 'image',
  v: 'video',
};

/** Errors: invalid_request for more than anybody sends. */
export function findInputs(fields: Fields): Inputs {
  const found: Inputs = { image: 0, video: 0, audio: 0 };
  walk(fields, null, 0, found);
  return found;
}

function walk(value: unknown, kind: keyof Inputs | null, depth: number, found: Inputs): void {
  if (depth > MAX_DEPTH) return;
  if (kind !== null && isMedium(value)) {
    found[kind] += 1;
    if (found[kind] > MAX_INPUTS) throw wrongField(kind, `must come at most ${MAX_INPUTS} times`);
  } else if (Array.isArray(value)) {
    for (const item of value) walk(item, kind, depth + 1, found);
  } else if (isFields(value)) {
    for (const [name, item] of Object.entries(value)) {
      if (!NOT_INPUTS.test(name)) walk(item, kindOf(name) ?? kind, depth + 1, found);
    }
  }
}

/** A field's own name says more than the one that it stands in: elements have a video_url. */
function kindOf(name: string): keyof Inputs | null {
  return KINDS.find(([pattern]) => pattern.test(name))?.[1] ?? null;
}

function isMedium(value: unknown): boolean {
  if (Buffer.isBuffer(value)) return true;
  if (isFields(value)) return Buffer.isBuffer(value['bytes']);
  if (typeof value !== 'string') return false;
  return (
    ADDRESS.test(linkOf(value)) || (value.length >= SHORTEST_DATA && DATA.test(value.slice(0, 200)))
  );
}

/** "text", "text-to-video", "i2v". */
export function modeOf(value: unknown, field: string): InputMode {
  const [, first = ''] = /^([a-z]+?)s?(?:[-_ ]?(?:to|2)[-_ ]?[a-z]+)?$/i.exec(String(value)) ?? [];
  const mode = MODES[first.toLowerCase()];
  if (mode) return mode;
  throw wrongField(field, 'must be text, image, video or audio, or such as "text-to-video"');
}
