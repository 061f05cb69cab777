/** The messages of a chat body: their images are counted, and parts that no rule prices or that name stored files refused. */
import { unsupported } from './forbidden.ts';
import { AppError } from '../errors.ts';

export interface Media {
  images: number;
  /** Base64 bytes of those images that are in the body itself. */
  imageBytes: number;
}

type Fields = Record<string, unknown>;

const MAX_MESSAGES = 10_000;
const DATA_MARK = ';base64,';
/** Parts that are text to the model, whatever their name. An inline file is counted as text, a token a byte of its base64. */
const TEXT_PARTS = new Set([
  'text',
  'input_text',
  'output_text',
  'refusal',
  'thinking',
  'reasoning',
  'file',
]);
const IMAGE_PARTS = new Set(['image_url', 'input_image']);
const FILE_ID = 'a stored file is state in the upstream account, which is not yours alone';

export function readMessages(value: unknown): Media {
  if (!Array.isArray(value) || !value.length) {
    throw invalidMessages('"messages" must be a list with at least one message.');
  }
  if (value.length > MAX_MESSAGES)
    throw invalidMessages(`"messages" has more than ${MAX_MESSAGES}.`);
  const media: Media = { images: 0, imageBytes: 0 };
  for (const [index, message] of (value as unknown[]).entries()) {
    if (!isFields(message)) throw invalidMessages(`"messages[${index}]" must be an object.`);
    const { content } = message;
    if (Array.isArray(content)) readParts(content, `messages[${index}].content`, media);
    else if (content !== undefined && content !== null && typeof content !== 'string') {
      throw invalidMessages(`"messages[${index}].content" must be text or a list of parts.`);
    }
    // An earlier spoken answer, named by its id.
    if (isFields(message['audio'])) throw unsupported(`messages[${index}].audio`, FILE_ID);
  }
  return media;
}

function readParts(parts: unknown[], path: string, media: Media): void {
  for (const [index, part] of parts.entries()) {
    const name = `${path}[${index}]`;
    if (!isFields(part)) throw invalidMessages(`"${name}" must be an object with a "type".`);
    const type = part['type'];
    if (typeof type !== 'string') throw invalidMessages(`"${name}.type" must be a string.`);
    if (IMAGE_PARTS.has(type)) readImage(part, name, media);
    else if (!TEXT_PARTS.has(type)) {
      throw unsupported(name, `parts of type ${JSON.stringify(type.slice(0, 40))} have no price`);
    }
    if (type === 'file') readFile(part, name);
    refuseStored(part, name);
  }
}

/** A file whose bytes are in the body is text, a token a byte of its base64; one that is somewhere else has any length. */
function readFile(part: Fields, name: string): void {
  const file = part['file'];
  const data = isFields(file) ? (file['file_data'] ?? null) : null;
  if (data !== null && (typeof data !== 'string' || /^[a-z][a-z0-9+.-]*:\/\//i.test(data))) {
    throw unsupported(
      `${name}.file.file_data`,
      'a file must be in the body, as base64 or a data: URL',
    );
  }
}

/** Names that an upstream reads as a stored or remote file, however it compares letters. */
const STORED = new Set(['file_id', 'file_url', 'fileid', 'fileurl']);

function refuseStored(part: Fields, name: string): void {
  for (const [key, value] of Object.entries(part)) {
    const folded = key.toLowerCase();
    if (STORED.has(folded) || (folded !== key && PART_FIELDS.has(folded))) {
      throw unsupported(`${name}.${key}`, FILE_ID);
    }
    if (isFields(value)) refuseStored(value, `${name}.${key}`);
  }
}

const PART_FIELDS = new Set(['type', 'file', 'file_data', 'image_url', 'input_audio', 'url']);

function readImage(part: Fields, name: string, media: Media): void {
  const image = part['image_url'];
  const url = isFields(image) ? image['url'] : image;
  if (typeof url !== 'string' && !('file_id' in part)) {
    throw invalidMessages(`"${name}.image_url.url" must be a string.`);
  }
  media.images++;
  if (typeof url !== 'string' || !url.startsWith('data:image/')) return;
  const mark = url.indexOf(DATA_MARK);
  if (mark >= 0) media.imageBytes += url.length - mark - DATA_MARK.length;
}

function invalidMessages(message: string): AppError {
  return new AppError('invalid_request', message, { details: { field: 'messages' } });
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
