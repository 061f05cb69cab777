/** Venice's transcription of a video by its link: the link goes on as data, nobody here opens it, so the longest is held. */
import { invalidField } from '../chat/request.ts';
import { AppError } from '../errors.ts';
import { takesLinks } from '../providers/audio.ts';
import { scanMembers } from '../providers/json-members.ts';
import type { AudioKind } from './path.ts';
import { type Recorded, TRANSCRIPTION } from './transcription.ts';

export const LINK_TRANSCRIPTION: AudioKind<Recorded> = {
  ...TRANSCRIPTION,
  description: 'A transcription of one video',
  needsNoModel: true,
  serves: takesLinks,
  read,
  peek: (body, wholeBytes) => (wholeBytes > body.length ? null : read(body)),
};

const FIELDS = new Set(['url', 'response_format', 'model', 'max_credits', 'quote_id']);
const FORMATS = new Set<unknown>([undefined, 'json', 'text']);
const MAX_URL = 2_048;

/** As strict as Venice's own. */
function read(body: Buffer): Recorded {
  const fields = parsed(body);
  const unknown = Object.keys(fields).find((name) => !FIELDS.has(name));
  if (unknown !== undefined) throw invalidField(unknown, 'is not known here');
  const { url, response_format: format, model, quote_id: quoteId } = fields;
  const isLink = typeof url === 'string' && url.length <= MAX_URL && URL.canParse(url);
  if (!isLink || !/^https?:$/.test(new URL(url).protocol)) {
    throw invalidField('url', `must be the link of a video, of up to ${MAX_URL} characters`);
  }
  if (!FORMATS.has(format)) throw invalidField('response_format', 'must be json or text');
  return {
    heard: { fields },
    length: null,
    prompt: null,
    model: text(model, 'model'),
    maxCredits: fields['max_credits'],
    quoteId: text(quoteId, 'quote_id'),
  };
}

function text(value: unknown, field: string): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' && value !== '') return value;
  throw invalidField(field, 'must be text');
}

function parsed(body: Buffer): Record<string, unknown> {
  const { isWhole } = scanMembers(body);
  try {
    if (isWhole) return JSON.parse(body.toString('utf8')) as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new AppError('invalid_json', 'The body is not valid JSON.');
}
