/** Venice's `model_spec`: what a model can do, what may be asked of it and what it costs. */
import type { CatalogueEntry } from '../../catalogue.ts';
import type { MediaModel, TokenModel } from '../../config/config.ts';
import { modelPricing } from './model-pricing.ts';

/** A value that says: everything else is somebody else's decision. */
const NO_STEPS = { default: 0, max: 0 };

export function modelSpec(entry: CatalogueEntry): Record<string, unknown> {
  const { model } = entry;
  const { id, name, description, traits } = model;
  const pricing = modelPricing(entry);
  return {
    name: name ?? id,
    ...(description !== null && { description }),
    // The vendor sees what is asked, and not by whom.
    privacy: 'anonymized',
    traits,
    offline: false,
    beta: model.capabilities.includes('beta'),
    ...(entry.kind === 'tokens' ? textSpec(entry.model) : mediaSpec(entry.model)),
    ...(pricing && { pricing }),
  };
}

function textSpec(model: TokenModel): Record<string, unknown> {
  if (model.type === 'embedding') return { maxInputTokens: model.context };
  const has = (capability: string) => model.capabilities.includes(capability);
  return {
    availableContextTokens: model.context,
    maxCompletionTokens: model.maxOutput,
    capabilities: {
      optimizedForCode: has('code'),
      quantization: 'not-available',
      supportsFunctionCalling: has('tools'),
      supportsAudioInput: has('audio_input'),
      supportsReasoning: has('reasoning'),
      supportsReasoningEffort: has('reasoning_effort'),
      supportsResponseSchema: has('json_schema'),
      supportsMultipleImages: has('vision'),
      supportsVision: has('vision'),
      supportsVideoInput: has('video_input'),
      supportsLogProbs: has('logprobs'),
      // What nothing prices is refused.
      supportsWebSearch: false,
      supportsXSearch: false,
      supportsTeeAttestation: false,
      supportsE2EE: false,
    },
  };
}

function mediaSpec(model: MediaModel): Record<string, unknown> {
  switch (model.type) {
    case 'image':
      return { constraints: imageConstraints(model) };
    case 'image_edit':
      return { constraints: editConstraints(model) };
    case 'video':
      return { constraints: videoConstraints(model) };
    case 'music':
    case 'sound':
      return { ...soundSpec(model), ...lengthSpec(model) };
    case 'tts':
      return soundSpec(model);
    case 'upscale':
    case 'background_remove':
    case 'stt':
      return {};
  }
}

function imageConstraints({ params }: MediaModel): Record<string, unknown> {
  return {
    promptCharacterLimit: params.maxCharacters,
    steps: NO_STEPS,
    widthHeightDivisor: 1,
    ...choices(params),
  };
}

function editConstraints({ params }: MediaModel): Record<string, unknown> {
  return {
    promptCharacterLimit: params.maxCharacters,
    combineImages: params.maxInputImages > 1,
    maxInputImages: params.maxInputImages,
    ...choices(params),
    aspectRatios: params.aspectRatios,
  };
}

const QUALITIES = ['low', 'medium', 'high'];

function choices({
  aspectRatios,
  resolutions,
  sizes,
  qualities: all,
  defaults,
}: MediaModel['params']): Record<string, unknown> {
  const named = resolutions.length ? resolutions : sizes;
  const qualities = all.filter((quality) => QUALITIES.includes(quality));
  const resolution = (resolutions.length ? defaults.resolution : defaults.size) ?? named[0];
  const quality = defaults.quality ?? all[0];
  return {
    ...(aspectRatios.length && {
      aspectRatios,
      defaultAspectRatio: defaults.aspectRatio ?? aspectRatios[0],
    }),
    ...(named.length && { resolutions: named, defaultResolution: resolution }),
    ...(qualities.length && { qualities }),
    ...(quality !== undefined && QUALITIES.includes(quality) && { defaultQuality: quality }),
  };
}

function videoConstraints({ params }: MediaModel): Record<string, unknown> {
  const { aspectRatios, resolutions, inputModes, audio, maxCharacters } = params;
  const [mode = 'text', ...others] = inputModes;
  const isOne = others.length === 0 && (mode === 'text' || mode === 'image');
  return {
    aspect_ratios: aspectRatios,
    resolutions,
    durations: lengthsOf(params).map((seconds) => `${seconds}s`),
    model_type: isOne ? `${mode}-to-video` : 'video',
    audio: audio === true || audio === 'always',
    audio_configurable: audio === true,
    prompt_character_limit: maxCharacters,
  };
}

/** Every second of a range: Venice has a list. */
function lengthsOf({ durations, duration }: MediaModel['params']): number[] {
  if (!duration) return durations;
  const { min, max } = duration;
  return Array.from({ length: Math.floor(max - min) + 1 }, (_, index) => min + index);
}

function soundSpec({ params, capabilities }: MediaModel): Record<string, unknown> {
  const { voices, formats, defaults, maxCharacters } = params;
  const has = (capability: string) => capabilities.includes(capability);
  const voice = defaults.voice ?? voices[0];
  const format = defaults.format ?? formats[0];
  return {
    supports_lyrics: has('lyrics'),
    lyrics_required: has('lyrics_required'),
    supports_force_instrumental: has('instrumental'),
    supports_loop: has('loop'),
    supports_language_code: has('language_code'),
    supports_speed: has('speed'),
    prompt_character_limit: maxCharacters,
    ...(voices.length && { voices }),
    ...(voice !== undefined && { default_voice: voice }),
    ...(formats.length && { supported_formats: formats }),
    ...(format !== undefined && { default_format: format }),
  };
}

function lengthSpec({ params }: MediaModel): Record<string, unknown> {
  const { durations, duration, defaults } = params;
  const usual = defaults.duration ?? durations[0];
  return {
    ...(durations.length && { duration_options: durations }),
    ...(duration && { min_duration: duration.min, max_duration: duration.max }),
    ...(usual !== undefined && { default_duration: usual }),
  };
}
