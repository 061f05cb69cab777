/** GET /v1/models and /v1/models/{id}: OpenAI's list, with what an agent needs to choose by. */
import { type Catalogue, isMedia } from '../../catalogue.ts';
import type { ModelConfig } from '../../config/config.ts';
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

function described(model: ModelConfig): Record<string, unknown> {
  return {
    id: model.id,
    object: 'model',
    created: CREATED,
    owned_by: OWNER,
    type: model.type,
    ...(!isMedia(model) && {
      context_window: model.context,
      max_output_tokens: model.maxOutput,
    }),
    pricing: pricingOf(model),
  };
}

function pricingOf({ price }: ModelConfig): Record<string, unknown> {
  const { version, rules, markup = '1', minCharge = '0' } = price;
  return {
    version,
    rules,
    ...(markup !== '1' && { markup }),
    ...(minCharge !== '0' && { min_charge: minCharge }),
  };
}
