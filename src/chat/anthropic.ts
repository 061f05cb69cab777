/** Reads the caller's /v1/messages body, Anthropic's: its blocks are counted, and what names stored files or has no price is refused. */
import { isFields } from '../providers/openai-usage.ts';
import { type Fields, refuseDisguised, unsupported } from './forbidden.ts';
import { addDocument, addImage, type Media, noMedia } from './media.ts';
import { STORED_FILE } from './messages.ts';
import {
  booleanField,
  invalidField,
  parsed,
  type ParsedRequest,
  readFields,
  wholeField,
} from './request.ts';
import { countTools } from './tools.ts';

const MAX_MESSAGES = 10_000;
/** Blocks that are in the body with all that they say. */
const TEXT_BLOCKS = new Set(['text', 'thinking', 'redacted_thinking', 'tool_use']);
const MESSAGE_FIELDS = new Set(['role', 'content']);
const BLOCK_FIELDS = new Set(['type', 'source', 'content', 'file_id', 'data', 'url', 'media_type']);

/** Errors: invalid_json, invalid_request (with details.field), unsupported_parameter. */
export function parseMessages(body: Buffer): ParsedRequest {
  const { fields, members } = readFields(body);
  const media = noMedia();
  readContent(fields['system'] ?? '', 'system', media);
  readAll(fields['messages'], media);
  countTools(fields['tools'], media);
  const least = leastOutput(fields['thinking']);
  return parsed(
    body,
    { fields, members, media },
    {
      isStream: booleanField(fields, 'stream'),
      outputLimit: wholeField(fields, 'max_tokens', Number.MAX_SAFE_INTEGER),
      ...(least !== null && { leastOutput: least }),
      n: 1,
      wantsUsage: true,
    },
  );
}

/** Anthropic refuses a limit that leaves nothing beside the thoughts. */
function leastOutput(thinking: unknown): number | null {
  const budget = isFields(thinking) ? thinking['budget_tokens'] : null;
  return typeof budget === 'number' && Number.isSafeInteger(budget)
    ? Math.max(1, budget + 1)
    : null;
}

function readAll(messages: unknown, media: Media): void {
  if (!Array.isArray(messages) || !messages.length || messages.length > MAX_MESSAGES) {
    throw invalidField('messages', `must be a list of 1 to ${MAX_MESSAGES} messages`);
  }
  for (const [index, message] of (messages as unknown[]).entries()) {
    const name = `messages[${index}]`;
    if (!isFields(message)) throw invalidField(name, 'must be an object');
    for (const key of Object.keys(message)) refuseDisguised(key, MESSAGE_FIELDS, name);
    readContent(message['content'], `${name}.content`, media);
  }
}

function readContent(content: unknown, path: string, media: Media): void {
  if (typeof content === 'string') return;
  if (!Array.isArray(content)) throw invalidField(path, 'must be text or a list of blocks');
  for (const [index, block] of (content as unknown[]).entries()) {
    const name = `${path}[${index}]`;
    if (!isFields(block)) throw invalidField(name, 'must be an object with a "type"');
    readBlock(block, name, media);
  }
}

function readBlock(block: Fields, name: string, media: Media): void {
  for (const key of Object.keys(block)) refuseDisguised(key, BLOCK_FIELDS, name);
  if ('file_id' in block) throw unsupported(`${name}.file_id`, STORED_FILE);
  const { type } = block;
  switch (type) {
    case 'image':
      return readImage(sourceOf(block, name), name, media);
    case 'document':
      return readDocument(sourceOf(block, name), name, media);
    case 'tool_result':
    case 'search_result':
      return readContent(block['content'] ?? '', `${name}.content`, media);
    default:
      if (typeof type === 'string' && TEXT_BLOCKS.has(type)) return;
      throw unsupported(name, `blocks of type ${JSON.stringify(type).slice(0, 60)} have no price`);
  }
}

function sourceOf(block: Fields, name: string): Fields {
  const { source } = block;
  if (!isFields(source)) throw invalidField(`${name}.source`, 'must be an object with a "type"');
  for (const key of Object.keys(source)) refuseDisguised(key, BLOCK_FIELDS, `${name}.source`);
  if (source['type'] === 'file' || 'file_id' in source) {
    throw unsupported(`${name}.source`, STORED_FILE);
  }
  return source;
}

function readImage(source: Fields, name: string, media: Media): void {
  const { type, data, url } = source;
  if (type === 'base64' && typeof data === 'string') addImage(media, data, { isRaw: true });
  else if (type === 'url' && typeof url === 'string') addImage(media, url, {});
  else
    throw invalidField(`${name}.source`, 'must be of type base64 with "data", or url with "url"');
}

function readDocument(source: Fields, name: string, media: Media): void {
  const { type, data, content } = source;
  if (type === 'text' && typeof data === 'string') return;
  if (type === 'base64' && typeof data === 'string') addDocument(media, data, true);
  else if (type === 'content') readContent(content, `${name}.source.content`, media);
  else
    throw unsupported(
      `${name}.source`,
      'a document must be in the body: of type base64, text or content',
    );
}
