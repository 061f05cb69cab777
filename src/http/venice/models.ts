/** GET /api/v1/models?type=: Venice's list. */
import { type Catalogue, isMedia } from '../../catalogue.ts';
import type { ModelConfig } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import type { Rule } from '../../pricing/rules.ts';
import { CREATED, OWNER } from '../openai/models.ts';
import { type Context, sendJson } from '../request.ts';

/** Venice's own list of types; `all` and `code` are filters. */
const TYPES = [
  'all',
  'asr',
  'code',
  'embedding',
  'image',
  'inpaint',
  'music',
  'text',
  'tts',
  'upscale',
  'video',
];

export function listVeniceModels(catalogue: Catalogue) {
  return (ctx: Context): void => {
    const type = ctx.query['type'] ?? 'all';
    if (typeof type !== 'string' || !TYPES.includes(type)) {
      throw new AppError('invalid_request', `type: must be one of ${TYPES.join(', ')}.`, {
        details: { field: 'type' },
      });
    }
    const chosen = catalogue.models().filter((model) => type === 'all' || model.type === type);
    sendJson(ctx, 200, { object: 'list', type, data: chosen.map(described) });
  };
}

function described(model: ModelConfig): Record<string, unknown> {
  return {
    id: model.id,
    object: 'model',
    created: CREATED,
    owned_by: OWNER,
    type: model.type,
    ...(!isMedia(model) && { context_length: model.context }),
    model_spec: {
      name: model.id,
      ...(!isMedia(model) && {
        availableContextTokens: model.context,
        maxCompletionTokens: model.maxOutput,
      }),
      pricing: Object.fromEntries(
        model.price.rules.flatMap((rule) => pricing(rule, model.price.markup ?? '1')),
      ),
      traits: [],
      offline: false,
    },
  };
}

const NAMES: Record<string, string | undefined> = {
  input_token: 'input',
  output_token: 'output',
  cached_input_token: 'cache_input',
  cache_write_token: 'cache_write',
};

/** Dollars per million tokens, for people and their tables: what is charged comes from the rule itself. */
function pricing(
  { unit, usd, per = 1, when }: Rule,
  markup: string,
): [string, { usd: number; diem: number }][] {
  const name = NAMES[unit];
  // What long inputs cost is in /v1/models, rule by rule.
  if (name === undefined || when !== undefined) return [];
  const million = Number(((Number(usd) * Number(markup) * 1_000_000) / per).toPrecision(12));
  return [[name, { usd: million, diem: million }]];
}
