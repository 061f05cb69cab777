/** Speech: text whose length is known before, for sound that is passed on as it comes. */
import { refuseForbidden } from '../chat/forbidden.ts';
import { invalidField } from '../chat/request.ts';
import { isUtf8 } from 'node:buffer';
import type { MediaModel } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { type Asked, readAsked } from '../orders/asked.ts';
import { refuseForeign } from '../orders/foreign.ts';
import { isVoice, type SpeechRequest } from '../providers/audio.ts';
import { scanMembers } from '../providers/json-members.ts';
import type { AudioRequest } from './call.ts';
import type { AudioKind } from './path.ts';
import { runSpeech } from './speech-run.ts';

export interface Spoken extends AudioRequest, Omit<SpeechRequest, 'model'> {
  asked: Asked;
}

type Fields = Record<string, unknown>;

/** Names whose meaning must not depend on how an upstream compares letters. */
const EXACT = new Set(['input', 'voice', 'model', 'response_format', 'speed']);
/** Here they say nothing of another account, or of another price. */
const OWN = new Set(['speed']);
const MOST_MODEL_LENGTH = 256;

export const SPEECH: AudioKind<Spoken> = {
  type: 'tts',
  description: 'Speech from one text',
  serves: isVoice,
  read,
  peek,
  asked: askedOf,
  attempt: runSpeech,
};

function read(body: Buffer): Spoken {
  const { ranges, isWhole } = scanMembers(body);
  const fields = isWhole ? parsed(body) : null;
  if (!fields) throw new AppError('invalid_json', 'The body is not valid JSON.');
  const names = [...ranges.keys()].filter((name) => !OWN.has(name));
  refuseForbidden(names, fields);
  const { input: _spoken, ...others } = fields;
  refuseForeign(others);
  requirePlain(ranges.keys());
  requireText(fields);
  requireVoice(fields);
  return {
    body,
    members: ranges,
    fields,
    model: modelOf(fields),
    asked: readAsked('tts', fields),
    maxCredits: fields['max_credits'],
    quoteId: quoteIdOf(fields),
  };
}

/** A text that was cut off is taken for as long as all the rest of the body. */
function peek(body: Buffer, wholeBytes: number): Spoken | null {
  const { ranges } = scanMembers(body);
  const fields: Fields = {};
  for (const name of ['model', 'input']) {
    const range = ranges.get(name);
    if (range) fields[name] = JSON.parse(body.toString('utf8', range[1], range[2])) as unknown;
  }
  if (fields['model'] === undefined && body.length < wholeBytes) return null;
  const isThere = typeof fields['input'] === 'string';
  const asked = isThere
    ? readAsked('tts', fields)
    : { characters: wholeBytes, input_tokens: wholeBytes };
  const terms = { maxCredits: null, quoteId: null };
  return { body, members: ranges, fields, model: modelOf(fields), asked, ...terms };
}

function parsed(body: Buffer): Fields | null {
  if (!isUtf8(body)) return null;
  try {
    return JSON.parse(body.toString('utf8')) as Fields;
  } catch {
    return null;
  }
}

function requirePlain(names: Iterable<string>): void {
  for (const name of names) {
    const folded = name.toUpperCase().toLowerCase();
    if (name !== folded && EXACT.has(folded)) {
      throw invalidField(name, `must be written "${folded}"`);
    }
  }
}

/** One text, under one name: what is priced is what is spoken. */
function requireText(fields: Fields): void {
  const { input, text } = fields;
  if (text !== undefined) throw invalidField('text', 'must be left out: the text is "input"');
  if (typeof input !== 'string' || input === '') {
    throw invalidField('input', 'must be the text to speak');
  }
}

/** An object names a voice in the upstream account, which is not the caller's alone. */
function requireVoice({ voice }: Fields): void {
  if (voice === undefined || voice === null || typeof voice === 'string') return;
  throw invalidField('voice', 'must be the name of a voice');
}

function modelOf({ model }: Fields): string | null {
  if (model === undefined || model === null) return null;
  if (typeof model === 'string' && model !== '' && model.length <= MOST_MODEL_LENGTH) return model;
  throw invalidField('model', 'must be the name of a model, such as those of GET /v1/models');
}

function quoteIdOf({ quote_id: id }: Fields): string | null {
  if (id === undefined || id === null) return null;
  if (typeof id === 'string') return id;
  throw invalidField('quote_id', 'must be text');
}

function askedOf({ fields, asked }: Spoken, { params }: MediaModel): Asked {
  requireOneOf('voice', fields, params.voices);
  requireOneOf('response_format', fields, params.formats);
  return asked;
}

function requireOneOf(name: string, fields: Readonly<Fields>, offered: readonly string[]): void {
  const said = fields[name];
  if (typeof said !== 'string' || !offered.length || offered.includes(said)) return;
  throw invalidField(name, `must be one of ${offered.join(', ')}`);
}
