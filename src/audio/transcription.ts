/** Transcriptions: a recording, or the link of one, for its text. What it costs is known by its length, which is counted before. */
import { invalidField } from '../chat/request.ts';
import type { MediaModel } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { boundaryOf, fieldsOf, type FormPart, readForm, readFormPrefix } from '../multipart.ts';
import type { Asked } from '../orders/asked.ts';
import { refuseForeign } from '../orders/foreign.ts';
import { type Heard, isEars } from '../providers/audio.ts';
import { estimateText } from '../tokens.ts';
import type { AudioRequest } from './call.ts';
import { type Length, lengthOf, lengthOfPrefix } from './length/length.ts';
import type { AudioKind } from './path.ts';
import { runTranscription } from './transcription-run.ts';

export interface Recorded extends AudioRequest {
  heard: Heard;
  /** Null where nobody here has the recording. */
  length: Length | null;
  /** What the transcriber is told besides. */
  prompt: string | null;
}

export const TRANSCRIPTION: AudioKind<Recorded> = {
  type: 'stt',
  description: 'A transcription of one recording',
  serves: isEars,
  read,
  peek,
  asked: askedOf,
  attempt: runTranscription,
};

const FILE = 'file';
/** What instructions and the template around them can be without being counted. */
const TOKENS_AROUND = 300;
/** What an upstream charges for apart. */
const REFUSED = new Set(['service_tier', 'known_speaker_references[]']);
/** Names whose meaning must not depend on how an upstream compares letters. */
const EXACT = new Set(['model', FILE]);

function read(body: Buffer, contentType: string | null): Recorded {
  const boundary = boundaryOf(contentType ?? undefined);
  if (boundary === null) {
    throw new AppError(
      'unsupported_media_type',
      'Send the recording as multipart/form-data, with the fields "file" and "model".',
    );
  }
  const parts = readForm(body, boundary);
  const files = parts.filter(({ filename }) => filename !== null);
  const [file, other] = files;
  if (!file || file.name !== FILE) throw invalidField(FILE, 'must be the recording, as a file');
  if (other) throw invalidField(other.name, 'must be left out: one recording is taken at a time');
  if (file.bytes.length === 0) throw invalidField(FILE, 'must not be empty');
  return recorded(parts, lengthOf(file.bytes));
}

function peek(body: Buffer, wholeBytes: number): Recorded | null {
  const parts = readFormPrefix(body);
  const file = parts.find(({ name, filename }) => name === FILE && filename !== null);
  if (!file) return null;
  const rest = parts.at(-1) === file ? wholeBytes - body.length : 0;
  const known = { ...recorded(parts, lengthOfPrefix(file.bytes, file.bytes.length + rest)) };
  return known.model === null && wholeBytes > body.length ? null : known;
}

function recorded(parts: readonly FormPart[], length: Length): Recorded {
  const fields = fieldsOf(parts);
  for (const name of fields.keys()) requireTaken(name);
  const { prompt: _prompt, ...others } = Object.fromEntries(fields);
  refuseForeign(others);
  const model = fields.get('model') ?? null;
  if (model === '') throw invalidField('model', 'must be the name of a model');
  return {
    heard: { parts },
    length,
    model,
    prompt: fields.get('prompt') ?? null,
    maxCredits: fields.get('max_credits'),
    quoteId: fields.get('quote_id') ?? null,
  };
}

function requireTaken(name: string): void {
  const folded = name.toUpperCase().toLowerCase();
  if (name !== folded && EXACT.has(folded)) throw invalidField(name, `must be written "${folded}"`);
  if (!REFUSED.has(folded)) return;
  throw new AppError('unsupported_parameter', `"${name}" is not supported here.`, {
    details: { field: name },
  });
}

/** Whole seconds are reported, of which the last may be a beginning, and decoders add a little at the ends. */
const ROUNDED_UP_SECONDS = 1;

/** Of a recording that nobody here can count, at most the longest that the model takes. Longer ones are refused with the order. */
export function askedOf({ length, prompt }: Recorded, { params }: MediaModel): Asked {
  const most = length?.mostSeconds ?? params.maxInputSeconds;
  const rounded = Math.min(Math.ceil(most) + ROUNDED_UP_SECONDS, params.maxInputSeconds);
  const seconds = length?.isCounted && most > params.maxInputSeconds ? most : rounded;
  const tokens = prompt === null ? 0 : estimateText(Buffer.from(prompt)).tokens;
  return { input_seconds: seconds, ...(tokens > 0 && { input_tokens: TOKENS_AROUND + tokens }) };
}
