/** GET /models in both dialects. */
import type { Catalogue } from '../catalogue.ts';
import type { ModelConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Context } from './request.ts';

/** When the catalogue's models appeared is not known; a constant keeps answers cacheable by their bytes. */
const CREATED = 0;

export function listModels(catalogue: Catalogue) {
  return (ctx: Context): void => {
    ctx.body = { object: 'list', data: catalogue.models().map(openaiModel) };
  };
}

export function getModel(catalogue: Catalogue) {
  return (ctx: Context): void => {
    ctx.body = openaiModel(catalogue.find(decodeURIComponent(String(ctx['params']['id']))));
  };
}

/** `?type=` narrows, as Venice's does. */
export function listVeniceModels(catalogue: Catalogue) {
  return (ctx: Context): void => {
    const type = String(ctx.query['type'] ?? 'all');
    const models = catalogue.models();
    const types = new Set([
      'all',
      'text',
      'embedding',
      'image',
      'video',
      'music',
      'tts',
      'asr',
      'upscale',
      'inpaint',
    ]);
    if (!types.has(type)) {
      throw new AppError('invalid_request', `type: must be one of ${[...types].join(', ')}.`);
    }
    const chosen = models.filter((model) => type === 'all' || model.type === type);
    ctx.body = { object: 'list', type, data: chosen.map(veniceModel) };
  };
}

function openaiModel(model: ModelConfig): Record<string, unknown> {
  return {
    id: model.id,
    object: 'model',
    created: CREATED,
    owned_by: 'farebox',
    type: model.type,
    context_window: model.context,
    max_output_tokens: model.maxOutput,
    pricing: { version: model.price.version, rules: model.price.rules },
  };
}

function veniceModel(model: ModelConfig): Record<string, unknown> {
  return {
    id: model.id,
    object: 'model',
    created: CREATED,
    owned_by: 'farebox',
    type: model.type,
    model_spec: {
      availableContextTokens: model.context,
      maxCompletionTokens: model.maxOutput,
      name: model.id,
      pricing: venicePricing(model),
      traits: [],
      offline: false,
    },
  };
}

const VENICE_UNITS = {
  input_token: 'input',
  output_token: 'output',
  cached_input_token: 'cache_input',
} as const;

/** Dollars per million tokens. */
function venicePricing(model: ModelConfig): Record<string, { usd: number }> {
  const entries = model.price.rules.flatMap((rule) => {
    const name = VENICE_UNITS[rule.unit as keyof typeof VENICE_UNITS];
    return name ? [[name, { usd: (Number(rule.usd) / rule.per) * 1_000_000 }] as const] : [];
  });
  return Object.fromEntries(entries);
}
