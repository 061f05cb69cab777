/** GET /v1/models and /v1/models/{id}: OpenAI's list, with what an agent needs to choose by and to know the price before it asks. */
import { type Catalogue, isMedia } from '../../catalogue.ts';
import type { MediaParams, ModelConfig } from '../../config/config.ts';
import { type Context, sendJson } from '../request.ts';

/** OpenAI's `created`. When a model appeared is not known, and an answer that changes at each start helps nobody. */
export const CREATED = 0;
export const OWNER = 'farebox';

export function listModels(catalogue: Catalogue) {
  return (ctx: Context): void => {
    sendJson(ctx, 200, { object: 'list', data: catalogue.models().map(described) });
  };
}

export function getModel(catalogue: Catalogue) {
  return (ctx: Context): void => {
    sendJson(ctx, 200, described(catalogue.find(String(ctx['params']['id']))));
  };
}

/** What the operator pays, and to whom, is not in it. */
function described(model: ModelConfig): Record<string, unknown> {
  const { id, name, description, aliases, capabilities } = model;
  return {
    id,
    object: 'model',
    created: CREATED,
    owned_by: OWNER,
    type: model.type,
    ...(name !== null && { name }),
    ...(description !== null && { description }),
    ...(aliases.length && { aliases }),
    capabilities,
    ...(isMedia(model)
      ? { params: paramsOf(model.params) }
      : { context_window: model.context, max_output_tokens: model.maxOutput }),
    pricing: pricingOf(model),
  };
}

/** The rules as they are: of each unit the first whose `when` holds, times the markup, at least `min_charge`. */
function pricingOf({ price }: ModelConfig): Record<string, unknown> {
  const { version, rules, markup = '1', minCharge = '0' } = price;
  const upstream = 'upstream' in price ? price.upstream : undefined;
  return {
    version,
    rules,
    ...(markup !== '1' && { markup }),
    ...(minCharge !== '0' && { min_charge: minCharge }),
    // Charged is what the upstream says that it cost, times this; held, and quoted, the most.
    ...(upstream && { from: 'upstream', markup: upstream.markup, max_usd: upstream.maxUsd }),
  };
}

/** In the names of the settings file; what nobody can ask for is not there. */
function paramsOf(params: MediaParams): Record<string, unknown> {
  const {
    aspectRatios,
    maxN,
    inputModes,
    maxInputImages,
    maxInputSeconds,
    maxCharacters,
    defaults,
    ...rest
  } = params;
  const { sizes, resolutions, qualities, durations, duration, fps, audio, factors } = rest;
  const { voices, formats, styles } = rest;
  const all = {
    sizes,
    resolutions,
    qualities,
    aspect_ratios: aspectRatios,
    durations,
    duration,
    fps,
    audio,
    factors,
    max_n: maxN,
    input_modes: inputModes,
    max_input_images: maxInputImages,
    max_input_seconds: maxInputSeconds,
    max_characters: maxCharacters,
    voices,
    formats,
    styles,
    defaults: inSnakeCase(defaults),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => !isNothing(value)));
}

function isNothing(value: unknown): boolean {
  if (value === null || value === 0) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

function inSnakeCase({ aspectRatio, ...others }: MediaParams['defaults']): object {
  return { ...others, ...(aspectRatio !== undefined && { aspect_ratio: aspectRatio }) };
}
