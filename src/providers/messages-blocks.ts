/** Anthropic's content blocks as parts of OpenAI's messages. */
import { AppError } from '../errors.ts';
import { isFields } from './openai-usage.ts';

type Fields = Record<string, unknown>;

/** A block of a user's message. Errors: invalid_request, naming the field. */
export function contentParts(block: unknown, at: string): Fields[] {
  if (!isFields(block)) throw wrong(at, 'must be an object');
  switch (block['type']) {
    case 'text':
      return [{ type: 'text', text: textOnly(block, at) }];
    case 'image':
      return [imagePart(block['source'], at)];
    case 'document':
      return documentParts(block, at);
    case 'search_result':
      return [{ type: 'text', text: searchResult(block, at) }];
    default:
      throw wrong(`${at}.type`, 'must be text, image, document, search_result or tool_result here');
  }
}

/** The text of a block that may be nothing else. */
export function textOnly(block: unknown, at: string): string {
  if (!isFields(block)) throw wrong(at, 'must be an object');
  if (block['type'] !== 'text') throw wrong(`${at}.type`, 'must be text for this model');
  if (typeof block['text'] !== 'string') throw wrong(`${at}.text`, 'must be text');
  return block['text'];
}

/** The answer to a call: a message of the role "tool", which holds text alone; images go into the user's message behind it. */
export function toolMessages(block: Fields, at: string): { message: Fields; images: Fields[] } {
  const id = block['tool_use_id'];
  if (typeof id !== 'string') throw wrong(`${at}.tool_use_id`, 'must be text');
  const content = block['content'] ?? '';
  const images: Fields[] = [];
  let text = '';
  if (typeof content === 'string') text = content;
  else if (Array.isArray(content)) {
    for (const [index, inner] of (content as unknown[]).entries()) {
      for (const part of contentParts(inner, `${at}.content[${index}]`)) {
        if (part['type'] === 'text') text += `${text && '\n'}${String(part['text'])}`;
        else images.push(part);
      }
    }
  } else throw wrong(`${at}.content`, 'must be text or a list');
  return { message: { role: 'tool', tool_call_id: id, content: text }, images };
}

function imagePart(source: unknown, at: string): Fields {
  const url = isFields(source) ? (dataUrl(source, at) ?? source['url']) : null;
  if (typeof url !== 'string') throw wrong(`${at}.source`, 'must be of type base64 or url');
  return { type: 'image_url', image_url: { url } };
}

function documentParts(block: Fields, at: string): Fields[] {
  const source = isFields(block['source']) ? block['source'] : {};
  const { title } = block;
  const name = typeof title === 'string' && title !== '' ? title : null;
  const titled = (text: string) => ({
    type: 'text',
    text: name === null ? text : `${name}\n${text}`,
  });
  switch (source['type']) {
    case 'text':
      if (typeof source['data'] !== 'string') throw wrong(`${at}.source.data`, 'must be text');
      return [titled(source['data'])];
    case 'base64': {
      const file = { filename: name ?? 'document.pdf', file_data: dataUrl(source, at) };
      return [{ type: 'file', file }];
    }
    case 'content': {
      const content = source['content'];
      if (typeof content === 'string') return [titled(content)];
      if (!Array.isArray(content)) throw wrong(`${at}.source.content`, 'must be text or a list');
      const parts = (content as unknown[]).flatMap((inner, index) =>
        contentParts(inner, `${at}.source.content[${index}]`),
      );
      return name === null ? parts : [{ type: 'text', text: name }, ...parts];
    }
    default:
      throw wrong(`${at}.source.type`, 'must be base64, text or content');
  }
}

function searchResult(block: Fields, at: string): string {
  const { content, title, source } = block;
  if (!Array.isArray(content)) throw wrong(`${at}.content`, 'must be a list');
  const texts = (content as unknown[]).map((inner, index) =>
    textOnly(inner, `${at}.content[${index}]`),
  );
  return [title, source, ...texts].filter((text) => typeof text === 'string').join('\n');
}

/** Null for a source of another kind. */
function dataUrl(source: Fields, at: string): string | null {
  if (source['type'] !== 'base64') return null;
  const { media_type: type, data } = source;
  if (typeof type !== 'string' || typeof data !== 'string') {
    throw wrong(`${at}.source`, 'must have "media_type" and "data"');
  }
  return `data:${type};base64,${data}`;
}

function wrong(field: string, rule: string): AppError {
  return new AppError('invalid_request', `The field "${field}" ${rule}.`, { details: { field } });
}
