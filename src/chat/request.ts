/** Reads the caller's chat body: the facts that decide its price and route, and what must be refused before money is held. */
import { isUtf8 } from 'node:buffer';
import { AppError } from '../errors.ts';
import type { ChatRequest } from '../providers/provider.ts';
import { countMembers, scanMembers } from '../providers/json-members.ts';
import { readCredits } from './budget.ts';
import { refuseForbidden } from './forbidden.ts';
import { type Media, noMedia } from './media.ts';
import { readMessages } from './messages.ts';
import { countTools } from './tools.ts';

/** Choices that one request may ask for. */
export const MAX_CHOICES = 16;
const MAX_MODEL_LENGTH = 256;
const LIMIT_FIELDS = ['max_tokens', 'max_completion_tokens', 'max_output_tokens'] as const;
const CHAT_LIMITS = LIMIT_FIELDS.slice(0, 2);

export interface ParsedRequest {
  request: ChatRequest;
  media: Media;
  /** Billionths of a credit that the caller approved; null where it said nothing. */
  maxCredits: bigint | null;
  /** The quote that the body names; null without one. */
  quoteId: string | null;
}

export type Fields = Record<string, unknown>;

/** Errors: invalid_json, invalid_request (with details.field), unsupported_parameter. */
export function parseRequest(body: Buffer): ParsedRequest {
  const { fields, members } = readFields(body);
  const media = noMedia();
  readMessages(fields['messages'], media);
  countTools(fields['tools'], media);
  return parsed(
    body,
    { fields, members, media },
    {
      isStream: booleanField(fields, 'stream'),
      outputLimit: outputLimit(fields),
      n: wholeField(fields, 'n', MAX_CHOICES) ?? 1,
      wantsUsage: wantsUsage(fields),
    },
  );
}

/** A request of one answer, without output that anybody could limit. `media`: checks what it asks of and counts its images. */
export function parseSingle(body: Buffer, media: (fields: Fields) => Media): ParsedRequest {
  const { fields, members } = readFields(body);
  return parsed(
    body,
    { fields, members, media: media(fields) },
    {
      isStream: false,
      outputLimit: null,
      n: 1,
      wantsUsage: false,
    },
  );
}

export interface ReadFields {
  fields: Fields;
  members: ChatRequest['members'];
}

/** Any paid body: one JSON object in which no name stands twice, without what may not be asked for. */
export function readFields(body: Buffer): ReadFields {
  const { ranges, isWhole, nested } = scanMembers(body);
  const fields = isWhole ? parseBody(body) : null;
  if (!fields) throw new AppError('invalid_json', 'The body is not valid JSON.');
  // Which of two counts differs from reader to reader, so what we checked need not be what is obeyed.
  if (countMembers(fields) !== ranges.size + nested) {
    throw new AppError('invalid_request', 'An object in the body has a field twice. Send it once.');
  }
  refuseForbidden(ranges.keys(), fields);
  return { fields, members: ranges };
}

type Asked = Pick<ChatRequest, 'isStream' | 'outputLimit' | 'n' | 'wantsUsage' | 'leastOutput'>;

/** Puts together what is the same for all of them: the model, and what is approved for it. */
export function parsed(
  body: Buffer,
  { fields, members, media }: ReadFields & { media: Media },
  asked: Asked,
): ParsedRequest {
  media.mayCacheLong = mayCacheLong(body);
  return {
    request: { body, model: modelField(fields), members, ...asked },
    media,
    maxCredits: readCredits(fields['max_credits'], 'max_credits'),
    quoteId: textField(fields, 'quote_id'),
  };
}

const BACKSLASH = 0x5c;

/** Whether anything is to be cached for an hour: `"ttl":"1h"` can be written in no other way but with escapes. */
export function mayCacheLong(body: Buffer): boolean {
  return (
    body.includes('"1h"', 0, 'latin1') ||
    (body.includes(BACKSLASH) && body.includes('\\u', 0, 'latin1'))
  );
}

/**
 * Facts enough for a quote, from a body that may be cut off or that nobody has checked: null where the model is not in it. Never
 * throws.
 */
export function peekRequest(
  body: Buffer,
): { model: string; outputLimit: number | null; n: number } | null {
  try {
    const { ranges } = scanMembers(body);
    const fields: Fields = {};
    for (const name of ['model', 'n', ...LIMIT_FIELDS]) {
      const range = ranges.get(name);
      if (range) fields[name] = JSON.parse(body.toString('utf8', range[1], range[2]));
    }
    return {
      model: modelField(fields),
      outputLimit: outputLimit(fields, LIMIT_FIELDS),
      n: wholeField(fields, 'n', MAX_CHOICES) ?? 1,
    };
  } catch {
    return null;
  }
}

function parseBody(body: Buffer): Fields | null {
  if (!isUtf8(body)) return null;
  try {
    return JSON.parse(body.toString('utf8')) as Fields;
  } catch {
    return null;
  }
}

function modelField(fields: Fields): string {
  const model = fields['model'];
  if (typeof model === 'string' && model !== '' && model.length <= MAX_MODEL_LENGTH) return model;
  throw invalidField('model', 'must be the name of a model, such as those of GET /v1/models');
}

function textField(fields: Fields, name: string): string | null {
  const value = fields[name] ?? null;
  if (value === null || typeof value === 'string') return value;
  throw invalidField(name, 'must be text');
}

export function booleanField(fields: Fields, name: string): boolean {
  const value = fields[name] ?? false;
  if (typeof value === 'boolean') return value;
  throw invalidField(name, 'must be true or false');
}

export function wholeField(fields: Fields, name: string, most: number): number | null {
  const value = fields[name] ?? null;
  if (value === null) return null;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= most)
    return value;
  const range = most === Number.MAX_SAFE_INTEGER ? 'from 1' : `from 1 to ${most}`;
  throw invalidField(name, `must be a whole number ${range}`);
}

/** Where more than one is given, the smallest counts, and it alone is sent. */
function outputLimit(fields: Fields, names: readonly string[] = CHAT_LIMITS): number | null {
  let least: number | null = null;
  for (const name of names) {
    const value = wholeField(fields, name, Number.MAX_SAFE_INTEGER);
    if (value !== null && (least === null || value < least)) least = value;
  }
  return least;
}

function wantsUsage(fields: Fields): boolean {
  const options = fields['stream_options'] ?? null;
  if (options === null) return false;
  if (typeof options !== 'object' || Array.isArray(options)) {
    throw invalidField('stream_options', 'must be an object');
  }
  return booleanField(options as Fields, 'include_usage');
}

export function invalidField(field: string, rule: string): AppError {
  return new AppError('invalid_request', `The field "${field}" ${rule}.`, { details: { field } });
}
