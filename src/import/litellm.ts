/** LiteLLM's model_prices_and_context_window.json: dollars for one unit, by "provider/model", of every type. */
import { decimal, times } from './decimal.ts';
import { mediaOf } from './litellm-media.ts';
import type { Entry } from './models-dev.ts';
import {
  type Fields,
  isFields,
  NotForSale,
  positive,
  requirePriced,
  requireServed,
  type Suggestion,
  textOf,
  type TokenCost,
  tokenRules,
} from './suggestion.ts';

export const PARTS = {
  input_cost_per_token: 'input_token',
  cache_read_input_token_cost: 'cached_input_token',
  cache_creation_input_token_cost: 'cache_write_token',
  cache_creation_input_token_cost_above_1hr: 'cache_write_1h_token',
  input_cost_per_audio_token: 'input_audio_token',
  output_cost_per_token: 'output_token',
  output_cost_per_reasoning_token: 'reasoning_token',
};
const TIER = /^(?<part>.+)_above_(?<thousands>[1-9][0-9]*)k_tokens$/;
/** Prices of pictures by quality and size: "high/1024-x-1024/gpt-image-1". */
const SIZED = /^(?:(?<quality>[a-z]+)\/)?(?<size>[0-9]+-x-[0-9]+)\/(?<model>.+)$/;

export function* readLiteLlm(file: Fields, asOf: string): Iterable<Entry> {
  const sized = sizedPrices(file);
  for (const [name, model] of Object.entries(file)) {
    if (!isFields(model) || name === 'sample_spec' || SIZED.test(name)) continue;
    // A family of fine-tuned models, whose names are an account's own.
    if (name.startsWith('ft:')) continue;
    const provider = textOf(model['litellm_provider']) ?? '';
    const id = withoutProvider(name, provider);
    const read = () => {
      requireServed(asOf, model['deprecation_date']);
      return suggestionOf(id, provider, model, sized.get(name) ?? []);
    };
    yield [id, provider, read];
  }
}

export interface SizedPrice {
  quality: string | undefined;
  size: string;
  usd: string;
}

function sizedPrices(file: Fields): Map<string, SizedPrice[]> {
  const byModel = new Map<string, SizedPrice[]>();
  for (const [name, entry] of Object.entries(file)) {
    const { quality, size = '', model = '' } = SIZED.exec(name)?.groups ?? {};
    const usd = isFields(entry) ? decimal(entry['input_cost_per_image']) : null;
    if (model === '' || usd === null) continue;
    const prices = byModel.get(model) ?? [];
    prices.push({ quality, size: size.replace('-x-', 'x'), usd });
    byModel.set(model, prices);
  }
  return byModel;
}

function withoutProvider(name: string, provider: string): string {
  return name.startsWith(`${provider}/`) ? name.slice(provider.length + 1) : name;
}

function suggestionOf(
  id: string,
  provider: string,
  model: Fields,
  sized: readonly SizedPrice[],
): Suggestion {
  const base = { id, name: null, provider, upstreamModel: id, source: textOf(model['source']) };
  switch (model['mode']) {
    case 'chat':
    case 'responses':
      return { ...base, type: 'text', ...chatOf(model) };
    case 'embedding':
      return { ...base, type: 'embedding', capabilities: [], ...embeddingOf(model) };
    default:
      return { ...base, capabilities: [], ...mediaOf(model, sized) };
  }
}

type Part = Omit<Suggestion, 'id' | 'type' | 'name' | 'provider' | 'upstreamModel' | 'source'>;

function chatOf(model: Fields): Part {
  const context = positive(model['max_input_tokens']) ?? positive(model['max_tokens']);
  const maxOutput = positive(model['max_output_tokens']);
  if (context === null || maxOutput === null)
    throw new NotForSale('its context or its longest output is not said');
  if (model['mode'] === 'responses') throw new NotForSale('it answers on /responses alone');
  const notes: string[] = [];
  const rules = tokenRules(costsOf(model), notes);
  requirePriced(rules, 'input_token', 'output_token');
  return {
    context,
    maxOutput: Math.min(maxOutput, context),
    capabilities: capabilitiesOf(model),
    rules,
    notes,
  };
}

function embeddingOf(model: Fields): Omit<Part, 'capabilities'> {
  const context = positive(model['max_input_tokens']);
  if (context === null) throw new NotForSale('its context is not said');
  const notes: string[] = [];
  const costs = costsOf(model).filter(({ unit }) => unit === 'input_token');
  const rules = tokenRules(costs, notes);
  requirePriced(rules, 'input_token');
  return { context, rules, notes };
}

function costsOf(model: Fields): TokenCost[] {
  if (Array.isArray(model['tiered_pricing'])) return tieredCosts(model['tiered_pricing']);
  return Object.entries(model).flatMap(([name, value]): TokenCost[] => {
    const { part = name, thousands } = TIER.exec(name)?.groups ?? {};
    const unit = (PARTS as Record<string, string | undefined>)[part];
    if (unit === undefined) return [];
    const tier = thousands === undefined ? {} : { tier: { gt: Number(times(thousands, '1000')) } };
    return [{ unit, value, per: 1, ...tier }];
  });
}

/** [{range: [from, to], input_cost_per_token, …}]: in the order of their ranges, the first from 0. */
function tieredCosts(tiers: unknown[]): TokenCost[] {
  return tiers.filter(isFields).flatMap((prices) => {
    const [from] = Array.isArray(prices['range']) ? (prices['range'] as unknown[]) : [];
    if (typeof from !== 'number') throw new NotForSale('it has a tier without a range');
    const tier = from === 0 ? {} : { tier: { gt: from } };
    return Object.entries(PARTS).map(([name, unit]): TokenCost => ({
      unit,
      value: prices[name],
      per: 1,
      ...tier,
    }));
  });
}

const CAPABILITIES: [string, string][] = [
  ['tools', 'supports_function_calling'],
  ['vision', 'supports_vision'],
  ['reasoning', 'supports_reasoning'],
  ['json_schema', 'supports_response_schema'],
  ['audio_input', 'supports_audio_input'],
  ['video_input', 'supports_video_input'],
];

function capabilitiesOf(model: Fields): string[] {
  return CAPABILITIES.flatMap(([name, flag]) => (model[flag] === true ? [name] : []));
}
