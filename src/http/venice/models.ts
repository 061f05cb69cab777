/** GET /api/v1/models?type=, /models/traits and /models/compatibility_mapping: Venice's lists of what is for sale. */
import type { Catalogue, CatalogueEntry } from '../../catalogue.ts';
import type { ModelConfig } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { CREATED, OWNER } from '../openai/models.ts';
import { type Context, sendJson } from '../request.ts';
import { modelSpec } from './model-spec.ts';

/** Venice's names of types, by ours. */
const TYPES = {
  text: 'text',
  embedding: 'embedding',
  image: 'image',
  image_edit: 'inpaint',
  upscale: 'upscale',
  background_remove: 'image',
  tts: 'tts',
  stt: 'asr',
  music: 'music',
  sound: 'music',
  video: 'video',
} as const satisfies Record<ModelConfig['type'], string>;
const NAMES = [...new Set<string>(Object.values(TYPES))].toSorted();
/** They name no type, but choose. */
const FILTERS = ['all', 'code'];

export function listVeniceModels(catalogue: Catalogue) {
  return (ctx: Context): void => {
    const type = typeOf(ctx, 'all', [...NAMES, ...FILTERS]);
    const chosen = catalogue.entries().filter(({ model }) => isOf(model, type));
    sendJson(ctx, 200, { object: 'list', type, data: chosen.map(described) });
  };
}

/** The model of each role: the first of the catalogue that claims it. */
export function listTraits(catalogue: Catalogue) {
  return (ctx: Context): void => {
    sendMap(ctx, catalogue, ({ traits }) => traits);
  };
}

/** The model of each other name: requests may use them. */
export function listAliases(catalogue: Catalogue) {
  return (ctx: Context): void => {
    sendMap(ctx, catalogue, ({ aliases }) => aliases);
  };
}

function sendMap(
  ctx: Context,
  catalogue: Catalogue,
  namesOf: (model: ModelConfig) => readonly string[],
): void {
  const type = typeOf(ctx, 'text', NAMES);
  const chosen = catalogue.models().filter((model) => isOf(model, type));
  const pairs = chosen.flatMap((model) => namesOf(model).map((name) => [name, model.id] as const));
  const data = Object.fromEntries(pairs.toReversed());
  sendJson(ctx, 200, { object: 'list', type, data });
}

function typeOf(ctx: Context, usual: string, known: readonly string[]): string {
  const type = ctx.query['type'] ?? usual;
  if (typeof type === 'string' && known.includes(type)) return type;
  throw new AppError('invalid_request', `type: must be one of ${known.join(', ')}.`, {
    details: { field: 'type' },
  });
}

function isOf(model: ModelConfig, type: string): boolean {
  if (type === 'all') return true;
  if (type === 'code') return model.type === 'text' && model.capabilities.includes('code');
  return TYPES[model.type] === type;
}

function described(entry: CatalogueEntry): Record<string, unknown> {
  const { model } = entry;
  return {
    id: model.id,
    object: 'model',
    created: CREATED,
    owned_by: OWNER,
    type: TYPES[model.type],
    ...('context' in model && { context_length: model.context }),
    model_spec: modelSpec(entry),
  };
}
