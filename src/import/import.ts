/**
 * Price files of others as suggestions for the settings file: what it would sell, at what cost, and what it cannot say. Nothing is
 * taken over by itself: the operator reads them, and their file is what counts.
 */
import { AppError } from '../errors.ts';
import { matches } from '../keys/rules.ts';
import { readLiteLlm } from './litellm.ts';
import { type Entry, readModelsDev } from './models-dev.ts';
import { readOpenRouter } from './openrouter.ts';
import { type Fields, isFields, NotForSale, type Skipped, type Suggestion } from './suggestion.ts';

export const SOURCES = ['models.dev', 'litellm', 'openrouter'] as const;
export type Source = (typeof SOURCES)[number];

/** The channel that a provider of a file is reached by where nobody says another one: that of its key in the environment. */
const CHANNELS: Record<string, string | undefined> = {
  openai: 'openai',
  openrouter: 'openrouter',
  anthropic: 'anthropic',
  google: 'gemini',
  gemini: 'gemini',
  xai: 'xai',
  groq: 'groq',
  deepseek: 'deepseek',
  mistral: 'mistral',
  togetherai: 'together',
  together_ai: 'together',
  venice: 'venice',
  elevenlabs: 'elevenlabs',
  fal_ai: 'fal',
  replicate: 'replicate',
};

/** Of a model in the settings file. */
const ID = /^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$/;

export interface Wanted {
  /** Of the file; without it every provider that has a channel of its own. */
  provider: string | null;
  /** The id of the channel that all of it goes to; without it the provider's own. */
  channel: string | null;
  type: string | null;
  /** Ids, with * for any letters; empty for all. */
  models: readonly string[];
  /** The day of the file: what ended by then is left out. */
  asOf: string;
}

export interface Imported {
  models: (Suggestion & { channel: string })[];
  skipped: Skipped[];
}

/** Throws invalid_request where the text is no such file, or names no provider that is wanted. */
export function importPrices(source: Source, text: string, wanted: Wanted): Imported {
  const taken = new Map<string, Suggestion & { channel: string }>();
  const skipped: Skipped[] = [];
  let seen = 0;
  for (const [id, provider, read] of entriesOf(source, text, wanted.asOf)) {
    const channel = channelOf(provider, wanted);
    if (channel === null || !isNamed(id, wanted)) continue;
    seen += 1;
    const model = attempt(id, read, skipped);
    if (!model || (wanted.type !== null && model.type !== wanted.type)) continue;
    const other = taken.get(model.id);
    if (other) skipped.push({ id, why: `${other.provider} has one of this id, taken already` });
    else taken.set(model.id, { ...model, channel });
  }
  if (!seen) throw wrong('has no such model: see --provider, --channel and --models');
  return { models: [...taken.values()], skipped };
}

function entriesOf(source: Source, text: string, asOf: string): Entry[] {
  const file = parse(text);
  switch (source) {
    case 'models.dev':
      return [...readModelsDev(file)];
    case 'litellm':
      return [...readLiteLlm(file, asOf)];
    case 'openrouter':
      return [...readOpenRouter(file, asOf)];
  }
}

function parse(text: string): Fields {
  try {
    const file = JSON.parse(text) as unknown;
    if (isFields(file)) return file;
  } catch (cause) {
    throw wrong('is no JSON', cause);
  }
  throw wrong('is no JSON object');
}

/** Null where the provider is not wanted. */
function channelOf(provider: string, wanted: Wanted): string | null {
  const usual = CHANNELS[provider] ?? null;
  if (wanted.provider !== null) {
    return provider === wanted.provider ? (wanted.channel ?? usual ?? provider) : null;
  }
  return wanted.channel === null || wanted.channel === usual ? usual : null;
}

function attempt(id: string, read: () => Suggestion, skipped: Skipped[]): Suggestion | null {
  try {
    if (id.startsWith('~')) throw new NotForSale('it is a name whose model and price change');
    if (!ID.test(id)) throw new NotForSale('its name is none that the settings file takes');
    return read();
  } catch (error) {
    if (!(error instanceof NotForSale)) throw error;
    skipped.push({ id, why: error.message });
    return null;
  }
}

function isNamed(id: string, { models }: Wanted): boolean {
  return models.length === 0 || models.some((glob) => matches(glob, id));
}

function wrong(what: string, cause?: unknown): AppError {
  return new AppError('invalid_request', `The file ${what}.`, { cause });
}
