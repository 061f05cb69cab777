/** Transcriptions: a recording, or the link of one, for its text. What it costs is known by its length, which is counted before. */
import { invalidField } from '../chat/request.ts';
import type { MediaModel } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { boundaryOf, fieldsOf, type FormPart, readForm, readFormPrefix } from '../multipart.ts';
import type { Asked } from '../orders/asked.ts';
import { refuseForeign } from '../orders/foreign.ts';
import { heardOf } from '../orders/heard.ts';
import { type Heard, isEars } from '../providers/audio.ts';
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

/** Of a recording that nobody here can count, at most the longest that the model takes. */
export function askedOf({ length, prompt }: Recorded, { params }: MediaModel): Asked {
  const seconds = length?.mostSeconds ?? params.maxInputSeconds;
  return heardOf({ seconds, isCounted: length?.isCounted ?? false, prompt }, params);
}
