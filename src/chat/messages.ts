/** The messages of a chat body, or the items of a response's: what is in them besides text is counted, and what no rule prices refused. */
import { AppError } from '../errors.ts';
import { isFields } from '../providers/openai-usage.ts';
import { type Fields, isUsualCache, refuseDisguised, unsupported } from './forbidden.ts';
import { addDocument, addImage, addSound, addVideo, type Media } from './media.ts';

const MAX_MESSAGES = 10_000;
/** Parts that are text to the model, whatever their name. */
const TEXT_PARTS = new Set([
  'text',
  'input_text',
  'output_text',
  'refusal',
  'thinking',
  'reasoning',
  'reasoning_text',
  'summary_text',
]);
const IMAGE_PARTS = new Set(['image_url', 'input_image']);
const VIDEO_PARTS = new Set(['video_url', 'input_video']);
const FILE_PARTS = new Set(['file', 'input_file']);
export const STORED_FILE =
  'a stored file is state in the upstream account, which is not yours alone';
/** Names that decide what a message is. */
const MESSAGE_FIELDS = new Set(['type', 'role', 'content', 'audio', 'tool_calls']);

export function readMessages(value: unknown, media: Media): void {
  if (!Array.isArray(value) || !value.length) {
    throw invalidMessages('"messages" must be a list with at least one message.');
  }
  if (value.length > MAX_MESSAGES)
    throw invalidMessages(`"messages" has more than ${MAX_MESSAGES}.`);
  for (const [index, message] of (value as unknown[]).entries()) {
    const name = `messages[${index}]`;
    if (!isFields(message)) throw invalidMessages(`"${name}" must be an object.`);
    for (const key of Object.keys(message)) refuseDisguised(key, MESSAGE_FIELDS, name);
    const { content } = message;
    if (Array.isArray(content)) readParts(content, `${name}.content`, media);
    else if (content !== undefined && content !== null && typeof content !== 'string') {
      throw invalidMessages(`"${name}.content" must be text or a list of parts.`);
    }
    // An earlier spoken answer, named by its id.
    if (isFields(message['audio'])) throw unsupported(`${name}.audio`, STORED_FILE);
  }
}

export function readParts(parts: unknown[], path: string, media: Media): void {
  for (const [index, part] of parts.entries()) {
    const name = `${path}[${index}]`;
    if (!isFields(part)) throw invalidMessages(`"${name}" must be an object with a "type".`);
    const type = part['type'];
    if (typeof type !== 'string') throw invalidMessages(`"${name}.type" must be a string.`);
    refuseStored(part, name);
    refuseOddCache(part, name);
    if (TEXT_PARTS.has(type)) continue;
    if (IMAGE_PARTS.has(type)) readImage(part, name, media);
    else if (FILE_PARTS.has(type)) readFile(part, name, media);
    else if (VIDEO_PARTS.has(type)) addVideo(media, name, urlOf(part, 'video_url', name));
    else if (type === 'audio_url') addSound(media, name, urlOf(part, 'audio_url', name), null);
    else if (type === 'input_audio') readAudio(part, name, media);
    else
      throw unsupported(name, `parts of type ${JSON.stringify(type.slice(0, 40))} have no price`);
  }
}

/** A file must be in the body: one that is somewhere else has any length, and may be anybody's. */
function readFile(part: Fields, name: string, media: Media): void {
  const isFlat = part['type'] === 'input_file';
  const file = isFlat ? part : part['file'];
  const data = isFields(file) ? (file['file_data'] ?? null) : null;
  if (data === null) return;
  if (typeof data !== 'string' || /^[a-z][a-z0-9+.-]*:\/\//i.test(data)) {
    const field = `${name}${isFlat ? '' : '.file'}.file_data`;
    throw unsupported(field, 'a file must be in the body, as base64 or a data: URL');
  }
  addDocument(media, data, !data.startsWith('data:'));
}

function readAudio(part: Fields, name: string, media: Media): void {
  const sound = part['input_audio'];
  const data = isFields(sound) ? sound['data'] : null;
  if (!isFields(sound) || typeof data !== 'string') {
    throw invalidMessages(`"${name}.input_audio.data" must be base64.`);
  }
  addSound(media, name, data, sound['format']);
}

/** Names that an upstream reads as a stored or remote file. */
const STORED = new Set(['file_id', 'file_url', 'fileid', 'fileurl']);
const PART_FIELDS = new Set([
  ...STORED,
  'type',
  'file',
  'file_data',
  'image_url',
  'input_audio',
  'audio_url',
  'video_url',
  'data',
  'format',
  'detail',
  'url',
]);

/** Whatever is in a part besides text says what it is, where it is and how it is to be looked at. */
function refuseStored(part: Fields, name: string): void {
  for (const [key, value] of Object.entries(part)) {
    refuseDisguised(key, PART_FIELDS, name);
    if (STORED.has(key.toLowerCase()) && value !== null) {
      throw unsupported(`${name}.${key}`, STORED_FILE);
    }
    if (isFields(value)) refuseStored(value, `${name}.${key}`);
  }
}

function refuseOddCache({ prompt_cache_breakpoint: mark }: Fields, name: string): void {
  if (mark === undefined || mark === null || isUsualCache(mark)) return;
  throw unsupported(`${name}.prompt_cache_breakpoint`, 'no price is set for a cache of this life');
}

function readImage(part: Fields, name: string, media: Media): void {
  const image = part['image_url'];
  const inner = isFields(image) ? image : {};
  addImage(media, urlOf(part, 'image_url', name), {
    detail: part['detail'] === 'original' ? 'original' : inner['detail'],
  });
}

function urlOf(part: Fields, field: string, name: string): string {
  const value = part[field];
  const url = isFields(value) ? value['url'] : value;
  if (typeof url === 'string') return url;
  throw invalidMessages(`"${name}.${field}.url" must be a string.`);
}

function invalidMessages(message: string): AppError {
  return new AppError('invalid_request', message, { details: { field: 'messages' } });
}
