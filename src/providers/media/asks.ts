/**
 * What a caller sends along with a media request, whatever its dialect calls it. What decides the price is read by the order and comes
 * from there; here are the words, the inputs, and everything that nobody here knows, which is passed on as it came.
 */
import { withParams } from '../channel-edits.ts';
import type { Fields, MediaJob } from '../media.ts';
import { isFields, textOf } from './read.ts';

export type Role = 'first' | 'last' | 'reference';

export interface Picture {
  /** A link or a data: URL. */
  url: string;
  /** Of a video's pictures. */
  role: Role;
}

export interface Asks {
  prompt: string;
  pictures: Picture[];
  mask: string | undefined;
  videos: string[];
  sounds: string[];
  /** The inputs once more, under the names that the caller gave them. */
  given: Record<string, string | string[]>;
  /** Everything else. */
  rest: Fields;
}

/** A field that may hold one input or a list of them; `many`: several make references of a video, one is its first frame. */
const PICTURES: Record<string, Role | 'many'> = {
  image: 'many',
  images: 'many',
  image_url: 'many',
  image_urls: 'many',
  'image[]': 'many',
  input_image: 'many',
  input_images: 'many',
  input_reference: 'many',
  prompt_image: 'many',
  promptImage: 'many',
  first_frame: 'first',
  first_frame_url: 'first',
  first_frame_image: 'first',
  start_image: 'first',
  start_image_url: 'first',
  first_image_url: 'first',
  last_frame: 'last',
  last_frame_url: 'last',
  last_frame_image: 'last',
  last_image: 'last',
  last_image_url: 'last',
  end_image: 'last',
  end_image_url: 'last',
  image_tail: 'last',
  tail_image_url: 'last',
  reference_image: 'reference',
  reference_images: 'reference',
  reference_image_url: 'reference',
  reference_image_urls: 'reference',
};
const MASKS = ['mask', 'mask_url', 'mask_image_url'];
const VIDEOS = [
  'video',
  'videos',
  'video_url',
  'video_urls',
  'input_video',
  'reference_video',
  'reference_videos',
  'reference_video_urls',
];
const SOUNDS = [
  'audios',
  'audio_url',
  'audio_urls',
  'input_audio',
  'reference_audios',
  'reference_audio_urls',
];
/** Lists of OpenRouter's, whose items say what they are. */
const TYPED = ['frame_images', 'input_references'];
/** Read by the order, or decided here: how results come back to us is nobody's choice but ours. */
const TAKEN = new Set([
  ...Object.keys(PICTURES),
  ...MASKS,
  ...VIDEOS,
  ...SOUNDS,
  ...TYPED,
  'model',
  'prompt',
  'text',
  'audio',
  'modality',
  'input_mode',
  'n',
  'variants',
  'num_images',
  'num_outputs',
  'size',
  'image_size',
  'width',
  'height',
  'resolution',
  'quality',
  'aspect_ratio',
  'ratio',
  'duration',
  'seconds',
  'duration_seconds',
  'music_length_ms',
  'fps',
  'framespersecond',
  'frames_per_second',
  'generate_audio',
  'enable_audio',
  'with_audio',
  'sound',
  'scale',
  'factor',
  'upscale_factor',
  'response_format',
  'return_binary',
  'stream',
  'partial_images',
  'sync_mode',
]);
const MAX_INPUTS = 64;
const MIME_OF_HEAD: [RegExp, string][] = [
  [/^iVBOR/, 'image/png'],
  [/^\/9j\//, 'image/jpeg'],
  [/^UklGR/, 'image/webp'],
  [/^R0lGOD/, 'image/gif'],
];

export function asksOf({ type, fields }: Pick<MediaJob, 'type' | 'fields'>): Asks {
  const asks: Asks = {
    // Of sound effects it is called a text.
    prompt: textOf(fields['prompt']) ?? textOf(fields['text']) ?? '',
    pictures: [],
    mask: MASKS.flatMap((name) => urlsIn(fields[name]))[0],
    videos: VIDEOS.flatMap((name) => urlsIn(fields[name])),
    sounds: [...SOUNDS, 'audio'].flatMap((name) => urlsIn(fields[name])),
    given: givenIn(fields),
    rest: Object.fromEntries(Object.entries(fields).filter(([name]) => isRest(name))),
  };
  const plain: string[] = [];
  for (const [name, role] of Object.entries(PICTURES)) {
    const urls = urlsIn(fields[name]);
    if (role === 'many') plain.push(...urls);
    else asks.pictures.push(...urls.map((url) => ({ url, role })));
  }
  const hasFirst = plain.length === 1 && !asks.pictures.some(({ role }) => role === 'first');
  const role = type !== 'video' || hasFirst ? 'first' : 'reference';
  asks.pictures.unshift(...plain.map((url) => ({ url, role }) as const));
  for (const name of TYPED) readTyped(fields[name], asks);
  asks.pictures.splice(MAX_INPUTS);
  asks.videos.splice(MAX_INPUTS);
  asks.sounds.splice(MAX_INPUTS);
  return asks;
}

/** Where the upstream would report to is not the caller's to say; that was refused long before. */
function isRest(name: string): boolean {
  return !TAKEN.has(name) && !/call_?back|web_?hook/i.test(name);
}

function givenIn(fields: Fields): Asks['given'] {
  const names = [...Object.keys(PICTURES), ...MASKS, ...VIDEOS, ...SOUNDS];
  const found = names.flatMap((name) => {
    const urls = urlsIn(fields[name]);
    if (urls.length === 0) return [];
    return [[name, Array.isArray(fields[name]) ? urls : urls[0]!] as const];
  });
  return Object.fromEntries(found);
}

/** The links and data: URLs of a field: a text, `{url}`, `{image_url: …}`, or a list of these. */
function urlsIn(value: unknown, depth = 3): string[] {
  if (depth === 0) return [];
  if (typeof value === 'string') return value === '' ? [] : [asUrl(value)];
  if (Array.isArray(value)) {
    return value.slice(0, MAX_INPUTS).flatMap((item: unknown) => urlsIn(item, depth - 1));
  }
  if (!isFields(value)) return [];
  const inner = value['url'] ?? value['image_url'] ?? value['video_url'] ?? value['audio_url'];
  return urlsIn(inner, depth - 1);
}

function readTyped(value: unknown, asks: Asks): void {
  if (!Array.isArray(value)) return;
  for (const item of value.slice(0, MAX_INPUTS) as unknown[]) {
    if (!isFields(item)) continue;
    asks.videos.push(...urlsIn(item['video_url']));
    asks.sounds.push(...urlsIn(item['audio_url']));
    const role = item['frame_type'] === 'last_frame' ? 'last' : 'first';
    for (const url of urlsIn(item['image_url'])) {
      asks.pictures.push({ url, role: 'frame_type' in item ? role : 'reference' });
    }
  }
}

/** Bare base64, which some dialects take, as the data: URL that all of them take. */
function asUrl(text: string): string {
  if (/^(https?|data):/i.test(text)) return text;
  const known = MIME_OF_HEAD.find(([head]) => head.test(text));
  return known ? `data:${known[1]};base64,${text}` : text;
}

export function pictures(asks: Asks, role?: Role): string[] {
  return asks.pictures
    .filter((picture) => role === undefined || picture.role === role)
    .map(({ url }) => url);
}

/** What is sent: without what nobody said, and with the channel's own changes. */
export function shaped({ channel }: Pick<MediaJob, 'channel'>, fields: Fields): Fields {
  const said = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null);
  return withParams(Object.fromEntries(said), channel);
}

/** [width, height] of "1024x1024". */
export function sidesOf(size: string | undefined): [number, number] | undefined {
  const match = /^([1-9][0-9]{0,4})x([1-9][0-9]{0,4})$/i.exec(size ?? '');
  return match ? [Number(match[1]), Number(match[2])] : undefined;
}

/** The number of seconds; undefined where the model chooses. */
export function secondsOf({ order }: Pick<MediaJob, 'order'>): number | undefined {
  const { duration } = order.asked;
  return typeof duration === 'number' ? duration : undefined;
}
