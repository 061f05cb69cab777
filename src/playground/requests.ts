/** From a model to the fields of a form, and from the form to the request that an agent would send. */
import type { MediaModel, ModelConfig } from '../config/config.ts';
import { demoFile, readAsked } from '../demo/file.ts';
import { AppError } from '../errors.ts';
import { type Chain, CHAINS, type Wanted } from './protocol.ts';

export interface Field {
  name: string;
  label: string;
  kind: 'area' | 'number' | 'text' | 'choice';
  value: string;
  choices: readonly string[];
  hint: string | null;
}

/** As a form sends it. */
export type Given = (name: string) => string;

export const MAX_PROMPT_CHARS = 8_000;
const MAX_EXTRA_CHARS = 4_000;
const MAX_MODEL_CHARS = 256;
const MAX_VALUE_CHARS = 200;
const SAMPLE_SIZE = '256x256';
const NUMBER = /^\d{1,7}(\.\d{1,3})?$/;

const PATHS: Record<ModelConfig['type'], string> = {
  text: '/v1/chat/completions',
  embedding: '/v1/embeddings',
  image: '/v1/images/generations',
  image_edit: '/v1/images/edits',
  upscale: '/api/v1/image/upscale',
  background_remove: '/api/v1/image/background-remove',
  tts: '/v1/audio/speech',
  stt: '/v1/audio/transcriptions',
  music: '/v1/music/generations',
  sound: '/v1/music/generations',
  video: '/v1/videos',
};
/** They work on a picture: a sample is sent along. */
const ON_PICTURES = new Set<ModelConfig['type']>(['image_edit', 'upscale', 'background_remove']);
const PROMPTS: Partial<Record<ModelConfig['type'], string>> = {
  text: 'Why do agents like to pay by the call?',
  embedding: 'A paper boat leaves the harbour.',
  image: 'A paper boat leaves the harbour.',
  image_edit: 'Make it evening.',
  tts: 'The next tram leaves in four minutes.',
  music: 'A slow waltz.',
  sound: 'Rain on a tin roof.',
  video: 'A paper boat leaves the harbour.',
};

export function fieldsFor(model: ModelConfig): Field[] {
  const { type } = model;
  const prompt = PROMPTS[type];
  const label = type === 'tts' || type === 'embedding' ? 'Text' : 'Prompt';
  const first = prompt === undefined ? [] : [field('prompt', label, 'area', prompt)];
  if (type === 'text') {
    return [
      ...first,
      choice('stream', 'Answer', ['streamed', 'whole'], 'streamed'),
      field('max_tokens', 'Most tokens out', 'number', '', 'Empty: the model’s usual limit.'),
    ];
  }
  return type === 'embedding' ? first : [...first, ...mediaFields(model as MediaModel)];
}

function mediaFields({ type, params }: MediaModel): Field[] {
  const { defaults, sizes, resolutions, aspectRatios, qualities, factors, voices, maxN } = params;
  const lasts = type === 'video' || type === 'music' || type === 'sound';
  const isPicture = type === 'image' || type === 'image_edit';
  const lengths = params.durations.map(String);
  const range = params.duration;
  const usual = defaults.duration ?? range?.min;
  return [
    ...(type === 'tts' ? [spoken(voices, defaults.voice)] : []),
    ...some('size', 'Size', sizes, defaults.size),
    ...some('resolution', 'Resolution', resolutions, defaults.resolution),
    ...some('aspect_ratio', 'Aspect ratio', aspectRatios, defaults.aspectRatio),
    ...some('quality', 'Quality', qualities, defaults.quality),
    ...some('scale', 'Factor', factors, defaults.factor),
    ...(lasts ? some('duration', 'Seconds', lengths, String(defaults.duration ?? '')) : []),
    ...(lasts && range
      ? [
          field(
            'duration',
            'Seconds',
            'number',
            String(usual),
            Number.isFinite(range.max) ? `${range.min} to ${range.max}` : `${range.min} or more`,
          ),
        ]
      : []),
    ...(isPicture && maxN > 1
      ? [field('n', 'How many', 'number', String(defaults.n ?? 1), `1 to ${maxN}`)]
      : []),
  ];
}

function spoken(voices: readonly string[], usual: string | undefined): Field {
  return voices.length
    ? choice('voice', 'Voice', voices, usual)
    : field('voice', 'Voice', 'text', usual ?? 'alloy');
}

/** Errors: invalid_request. `model`: null for one that is not for sale, which is asked for like a chat. */
export function requestOf(given: Given, model: ModelConfig | null): Wanted {
  const id = given('model');
  if (id === '' || id.length > MAX_MODEL_CHARS) throw wrong('Model', 'must be named.');
  const type = model?.type ?? 'text';
  const chain = CHAINS.find((name) => name === given('chain'));
  if (!chain) throw wrong('Paid with', 'must be one of the list.');
  const body = { ...bodyFor(type, id, given), ...pictureFor(model), ...extraIn(given('extra')) };
  return { model: id, type, path: PATHS[type], body, isForm: type === 'stt', chain };
}

function bodyFor(type: ModelConfig['type'], model: string, given: Given): Record<string, unknown> {
  const prompt = given('prompt');
  if (prompt.length > MAX_PROMPT_CHARS) {
    throw wrong('Prompt', `must be at most ${MAX_PROMPT_CHARS} characters.`);
  }
  if (type === 'stt') return { model };
  if (type === 'embedding') return { model, input: prompt };
  if (type === 'tts') return { model, input: prompt, voice: short(given, 'voice') };
  if (type === 'text') {
    const isStream = given('stream') !== 'whole';
    const stream = { stream: true, stream_options: { include_usage: true } };
    return {
      model,
      messages: [{ role: 'user', content: prompt }],
      ...numberIn(given, 'max_tokens'),
      ...(isStream && stream),
    };
  }
  const texts = ['size', 'resolution', 'aspect_ratio', 'quality'].flatMap((name) => {
    const value = short(given, name);
    return value === '' ? [] : [[name, value] as const];
  });
  const scale = short(given, 'scale').replace(/x$/, '');
  return {
    model,
    ...(prompt !== '' && { prompt }),
    ...Object.fromEntries(texts),
    ...(scale !== '' && { scale: Number(scale) }),
    ...numberIn(given, 'duration'),
    ...numberIn(given, 'n'),
  };
}

function pictureFor(model: ModelConfig | null): { image?: string } {
  if (!model) return {};
  const needsOne = model.type === 'video' && !model.params.inputModes.includes('text');
  return needsOne || ON_PICTURES.has(model.type) ? { image: sample() } : {};
}

function sample(): string {
  const { bytes } = demoFile(readAsked({ type: 'image', prompt: 'Sample', size: SAMPLE_SIZE }));
  return `data:image/png;base64,${bytes.toString('base64')}`;
}

/** Whatever else the upstream knows. */
function extraIn(text: string): Record<string, unknown> {
  if (text.trim() === '') return {};
  const label = 'Further fields';
  if (text.length > MAX_EXTRA_CHARS) {
    throw wrong(label, `must be at most ${MAX_EXTRA_CHARS} characters.`);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // Said below.
  }
  throw wrong(label, 'must be a JSON object, such as {"temperature": 0.5}.');
}

function numberIn(given: Given, name: string): Record<string, number> {
  const text = short(given, name);
  if (text === '') return {};
  if (!NUMBER.test(text)) throw wrong(name, 'must be a number, such as 4.');
  return { [name]: Number(text) };
}

function short(given: Given, name: string): string {
  const text = given(name).trim();
  if (text.length <= MAX_VALUE_CHARS) return text;
  throw wrong(name, `must be at most ${MAX_VALUE_CHARS} characters.`);
}

function wrong(label: string, rule: string): AppError {
  return new AppError('invalid_request', `${label}: ${rule}`);
}

function some(
  name: string,
  label: string,
  choices: readonly string[],
  usual: string | undefined,
): Field[] {
  return choices.length ? [choice(name, label, choices, usual)] : [];
}

function choice(
  name: string,
  label: string,
  choices: readonly string[],
  usual: string | undefined,
): Field {
  const value = usual !== undefined && choices.includes(usual) ? usual : (choices[0] ?? '');
  return { name, label, kind: 'choice', value, choices, hint: null };
}

function field(
  name: string,
  label: string,
  kind: 'area' | 'number' | 'text',
  value: string,
  hint: string | null = null,
): Field {
  return { name, label, kind, value, choices: [], hint };
}

export const CHAIN_NAMES: Record<Chain, string> = {
  evm: 'Play USDC on an EVM chain',
  solana: 'Play USDC on Solana',
};
