/** The api.json of models.dev: dollars for a million tokens, by provider and model. It prices tokens alone. */
import {
  type Fields,
  isFields,
  NotForSale,
  positive,
  requirePriced,
  type Suggestion,
  textOf,
  type TokenCost,
  tokenRules,
} from './suggestion.ts';

export type Entry = [id: string, provider: string, read: () => Suggestion];

const PARTS = {
  input: 'input_token',
  cache_read: 'cached_input_token',
  cache_write: 'cache_write_token',
  input_audio: 'input_audio_token',
  output: 'output_token',
  reasoning: 'reasoning_token',
};

export function* readModelsDev(file: Fields): Iterable<Entry> {
  for (const [provider, about] of Object.entries(file)) {
    if (!isFields(about) || !isFields(about['models'])) continue;
    for (const [id, model] of Object.entries(about['models'])) {
      if (isFields(model)) yield [id, provider, () => suggestionOf(id, provider, model)];
    }
  }
}

function suggestionOf(id: string, provider: string, model: Fields): Suggestion {
  if (model['status'] === 'deprecated') throw new NotForSale('it is deprecated');
  const modalities = isFields(model['modalities']) ? model['modalities'] : {};
  const outputs = list(modalities['output']);
  if (outputs.some((output) => output !== 'text'))
    throw new NotForSale(`it makes ${outputs.join(' and ')}; models.dev prices tokens alone`);
  const { cost } = model;
  if (!isFields(cost)) throw new NotForSale('it has no price');
  const limit = isFields(model['limit']) ? model['limit'] : {};
  const context = positive(limit['context']);
  if (context === null) throw new NotForSale('its context is not said');
  const notes: string[] = [];
  const isEmbedding = /\bembed/i.test(`${id} ${textOf(model['family'])}`);
  const rules = tokenRules(costsOf(cost, isEmbedding), notes);
  requirePriced(rules, ...(isEmbedding ? ['input_token'] : ['input_token', 'output_token']));
  const maxOutput = positive(limit['output']);
  if (!isEmbedding && maxOutput === null) throw new NotForSale('its longest output is not said');
  return {
    id,
    type: isEmbedding ? 'embedding' : 'text',
    name: textOf(model['name']),
    context,
    ...(!isEmbedding && { maxOutput: Math.min(maxOutput ?? context, context) }),
    capabilities: isEmbedding ? [] : capabilitiesOf(model, list(modalities['input'])),
    provider,
    upstreamModel: id,
    rules,
    notes,
    source: null,
  };
}

function costsOf(cost: Fields, isEmbedding: boolean): TokenCost[] {
  const tiers = Array.isArray(cost['tiers']) ? (cost['tiers'] as unknown[]).filter(isFields) : [];
  const parts = Object.entries(PARTS).filter(([, unit]) => !isEmbedding || unit === 'input_token');
  return [cost, ...tiers].flatMap((costs) => {
    const tier = isFields(costs['tier']) ? { tier: thresholdOf(costs['tier']) } : {};
    return parts.map(([name, unit]): TokenCost => ({
      unit,
      value: costs[name],
      per: 1_000_000,
      ...tier,
    }));
  });
}

function thresholdOf({ type = 'context', size }: Fields): { gt: number } {
  if (type === 'context' && typeof size === 'number') return { gt: size };
  throw new NotForSale('it has a tier that is not one of context');
}

function capabilitiesOf(model: Fields, inputs: string[]): string[] {
  const held: [string, boolean][] = [
    ['tools', model['tool_call'] === true],
    ['vision', inputs.includes('image')],
    ['reasoning', model['reasoning'] === true],
    ['json_schema', model['structured_output'] === true],
    ['audio_input', inputs.includes('audio')],
    ['video_input', inputs.includes('video')],
  ];
  return held.flatMap(([name, isHeld]) => (isHeld ? [name] : []));
}

function list(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
