/** Reads the caller's chat body: the facts that decide its price and route, and what must be refused before money is held. */
import { isUtf8 } from 'node:buffer';
import { AppError } from '../errors.ts';
import type { ChatRequest } from '../providers/provider.ts';
import { scanMembers } from '../providers/json-members.ts';
import { readCredits } from './budget.ts';
import { refuseForbidden } from './forbidden.ts';
import { type Media, readMessages } from './messages.ts';

/** Choices that one request may ask for. */
export const MAX_CHOICES = 16;
const MAX_MODEL_LENGTH = 256;
const LIMIT_FIELDS = ['max_tokens', 'max_completion_tokens'] as const;

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
  const { ranges, isWhole } = scanMembers(body);
  const fields = isWhole ? parseBody(body) : null;
  if (!fields) throw new AppError('invalid_json', 'The body is not valid JSON.');
  refuseForbidden(ranges.keys(), fields);
  const isStream = booleanField(fields, 'stream');
  const request: ChatRequest = {
    body,
    model: modelField(fields),
    isStream,
    outputLimit: outputLimit(fields),
    n: wholeField(fields, 'n', MAX_CHOICES) ?? 1,
    wantsUsage: wantsUsage(fields),
    members: ranges,
  };
  const maxCredits = readCredits(fields['max_credits'], 'max_credits');
  const quoteId = textField(fields, 'quote_id');
  return { request, media: readMessages(fields['messages']), maxCredits, quoteId };
}

/** A request of one answer, without output that anybody could limit. `media`: checks what it asks of and counts its images. */
export function parseSingle(body: Buffer, media: (fields: Fields) => Media): ParsedRequest {
  const { ranges, isWhole } = scanMembers(body);
  const fields = isWhole ? parseBody(body) : null;
  if (!fields) throw new AppError('invalid_json', 'The body is not valid JSON.');
  refuseForbidden(ranges.keys(), fields);
  const request: ChatRequest = {
    body,
    model: modelField(fields),
    isStream: false,
    outputLimit: null,
    n: 1,
    wantsUsage: false,
    members: ranges,
  };
  const maxCredits = readCredits(fields['max_credits'], 'max_credits');
  return { request, media: media(fields), maxCredits, quoteId: textField(fields, 'quote_id') };
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
      outputLimit: outputLimit(fields),
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

function booleanField(fields: Fields, name: string): boolean {
  const value = fields[name] ?? false;
  if (typeof value === 'boolean') return value;
  throw invalidField(name, 'must be true or false');
}

function wholeField(fields: Fields, name: string, most: number): number | null {
  const value = fields[name] ?? null;
  if (value === null) return null;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= most)
    return value;
  const range = most === Number.MAX_SAFE_INTEGER ? 'from 1' : `from 1 to ${most}`;
  throw invalidField(name, `must be a whole number ${range}`);
}

/** Where both names are given, the smaller of the two counts, and it alone is sent. */
function outputLimit(fields: Fields): number | null {
  let least: number | null = null;
  for (const name of LIMIT_FIELDS) {
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
