/** OpenRouter's list of models (GET /api/v1/models): dollars a token, as text; tiers of context are overrides of the whole list. */
import { decimal, isZero } from './decimal.ts';
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

const PARTS = {
  prompt: 'input_token',
  input_cache_read: 'cached_input_token',
  input_cache_write: 'cache_write_token',
  input_cache_write_1h: 'cache_write_1h_token',
  audio: 'input_audio_token',
  completion: 'output_token',
  internal_reasoning: 'reasoning_token',
};
const PROVIDER = 'openrouter';

export function* readOpenRouter(file: Fields, asOf: string): Iterable<Entry> {
  const data = Array.isArray(file['data']) ? (file['data'] as unknown[]) : [];
  for (const model of data) {
    const id = isFields(model) ? textOf(model['id']) : null;
    if (!isFields(model) || id === null) continue;
    const read = () => {
      requireServed(asOf, model['expiration_date']);
      return suggestionOf(id, model);
    };
    yield [id, PROVIDER, read];
  }
}

function suggestionOf(id: string, model: Fields): Suggestion {
  const { pricing } = model;
  const architecture = isFields(model['architecture']) ? model['architecture'] : {};
  const outputs = list(architecture['output_modalities']);
  if (outputs.some((output) => output !== 'text'))
    throw new NotForSale(`it makes ${outputs.join(' and ')}, which no rule of tokens prices`);
  if (!isFields(pricing)) throw new NotForSale('it has no price');
  const context = positive(model['context_length']);
  if (context === null) throw new NotForSale('its context is not said');
  const notes = beyond(pricing);
  const rules = tokenRules(costsOf(pricing, notes), notes);
  requirePriced(rules, 'input_token', 'output_token');
  const top = isFields(model['top_provider']) ? model['top_provider'] : {};
  const maxOutput = positive(top['max_completion_tokens']) ?? context;
  return {
    id,
    type: 'text',
    name: textOf(model['name']),
    context,
    maxOutput: Math.min(maxOutput, context),
    capabilities: capabilitiesOf(model, list(architecture['input_modalities'])),
    provider: PROVIDER,
    upstreamModel: id,
    rules,
    notes,
    source: null,
  };
}

function costsOf(pricing: Fields, notes: string[]): TokenCost[] {
  const overrides = Array.isArray(pricing['overrides'])
    ? (pricing['overrides'] as unknown[]).filter(isFields)
    : [];
  const costs = [pricing, ...overrides].flatMap((prices, index) => {
    const from = prices['min_prompt_tokens'];
    if (index > 0 && typeof from !== 'number')
      throw new NotForSale('it has an override that is not one of context');
    const tier = typeof from === 'number' ? { tier: { gte: from } } : {};
    return Object.entries(PARTS).map(([name, unit]): TokenCost => ({
      unit,
      value: prices[name],
      per: 1,
      ...tier,
    }));
  });
  const { request } = pricing;
  if (request !== undefined && Number(request) !== 0)
    notes.push(`request: ${decimal(request)} each`);
  return costs;
}

/** What it prices that no rule of tokens can say: dearer tokens of images, and searches, which are refused. */
function beyond(pricing: Fields): string[] {
  const { prompt, image, web_search: search } = pricing;
  const notes: string[] = [];
  if (Number(image) > Number(prompt))
    notes.push(`image: ${decimal(image, 6)} a million tokens in; sold as text`);
  const each = decimal(search);
  if (each !== null && !isZero(each)) notes.push(`web_search: ${each} each`);
  return notes;
}

function capabilitiesOf(model: Fields, inputs: string[]): string[] {
  const takes = list(model['supported_parameters']);
  const held: [string, boolean][] = [
    ['tools', takes.includes('tools')],
    ['vision', inputs.includes('image')],
    ['reasoning', takes.includes('reasoning')],
    ['json_schema', takes.includes('structured_outputs')],
    ['logprobs', takes.includes('logprobs')],
    ['audio_input', inputs.includes('audio')],
    ['video_input', inputs.includes('video')],
  ];
  return held.flatMap(([name, isHeld]) => (isHeld ? [name] : []));
}

function list(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
