/** Text and embedding models with prices of every kind, requests to them in all dialects, and usage that stays inside of those. */
import type { TokenEntry } from '../../src/catalogue.ts';
import type { Plan } from '../../src/chat/plan.ts';
import type { Usage } from '../../src/providers/provider.ts';
import type { Random } from './generated.ts';

export type Dialect = 'chat' | 'responses' | 'messages' | 'embeddings';

export interface TokenModelText extends Record<string, unknown> {
  id: string;
  type: 'text' | 'embedding';
}

const MORE_UNITS = [
  'cached_input_token',
  'cache_write_token',
  'cache_write_1h_token',
  'input_audio_token',
  'reasoning_token',
  'request',
];

/** As it stands in a settings file, but for its routes. */
export function tokenModelOf(random: Random, id: string): TokenModelText {
  const type = random.chance(0.2) ? 'embedding' : 'text';
  const context = random.whole(20_000, 200_000);
  const sizes = {
    context,
    max_output: random.whole(200, 16_000),
    default_output: random.whole(1, 200),
  };
  return { id, type, ...(type === 'text' ? sizes : { context }), price: priceOf(random, type) };
}

export function priceOf(random: Random, type: 'text' | 'embedding'): object {
  const main = type === 'text' ? ['input_token', 'output_token'] : ['input_token'];
  const units = [...main, ...MORE_UNITS.filter(() => random.chance(0.4))];
  const rules = units.flatMap((unit) => {
    const from = random.whole(5, 3_000);
    const plain = { unit, ...rateOf(random) };
    if (!random.chance(0.35)) return [plain];
    return [{ unit, ...rateOf(random), when: { input_tokens: { gt: from } } }, plain];
  });
  if (random.chance(0.1)) {
    const said = { from: 'upstream', markup: '1.2', max_usd: '0.75' };
    return random.chance(0.5) ? said : { ...said, rules };
  }
  return {
    rules,
    ...(random.chance(0.3) && { markup: `1.${random.whole(0, 999_999)}` }),
    ...(random.chance(0.2) && { min_charge: '0.000123' }),
  };
}

function rateOf(random: Random): object {
  const digits = random.whole(1, 12);
  const decimals = String(Math.floor(random.next() * 10 ** digits)).padStart(digits, '0');
  return { usd: `${random.whole(0, 30)}.${decimals}`, per: random.one([1_000, 7, 1_000_000]) };
}

const TEXTS = [
  'The quick brown fox jumps over the lazy dog. ',
  'Käyttäjä pyysi yhteenvetoa, ja sai sen. ',
  '你好，世界。今天天气很好。',
  'const f = (x) => x ** 2; // 3.14159\n',
  '🦊🚀 "quoted" \\ back\tslash ',
  'aaaaaaaaaaaaaaaaaaaaaaaa        ',
];
const PIXEL = `data:image/png;base64,${'iVBORw0KGgo'.repeat(20)}`;

export function textOf(random: Random): string {
  return random.one(TEXTS).repeat(random.whole(1, random.chance(0.1) ? 200 : 8));
}

/** The body of one request. */
export function requestOf(
  random: Random,
  dialect: Dialect,
  { model: { id }, price }: Pick<TokenEntry, 'model' | 'price'>,
): Record<string, unknown> {
  const more = random.chance(0.3) ? { temperature: 0.7, user: 'somebody' } : {};
  const limit = random.chance(0.6) ? random.whole(16, 20_000) : null;
  const messages = () => [{ role: 'user', content: contentOf(random, dialect, price.hears) }];
  switch (dialect) {
    case 'embeddings':
      return { model: id, input: embeddedOf(random), ...more };
    case 'responses':
      return {
        model: id,
        input: random.chance(0.5) ? textOf(random) : messages(),
        ...(limit !== null && { max_output_tokens: limit }),
        ...more,
      };
    case 'messages':
      return {
        model: id,
        max_tokens: limit ?? 100,
        ...(random.chance(0.4) && { system: textOf(random) }),
        messages: messages(),
        ...more,
      };
    case 'chat':
      return {
        model: id,
        messages: messages(),
        ...(limit !== null && { [random.one(['max_tokens', 'max_completion_tokens'])]: limit }),
        ...(random.chance(0.2) && { n: random.whole(1, 5) }),
        ...(random.chance(0.2) && { tools: [toolOf(random)] }),
        ...more,
      };
  }
}

function embeddedOf(random: Random): unknown {
  const tokens = () => Array.from({ length: random.whole(1, 40) }, () => random.whole(0, 200_000));
  const texts = () => Array.from({ length: random.whole(1, 5) }, () => textOf(random));
  return random.one([() => textOf(random), texts, tokens, () => [tokens(), tokens()]])();
}

function contentOf(random: Random, dialect: Dialect, hears: boolean): unknown {
  const text = textOf(random);
  if (random.chance(0.5)) return text;
  switch (dialect) {
    case 'responses':
      return [
        { type: 'input_text', text },
        { type: 'input_image', image_url: PIXEL },
      ];
    case 'messages': {
      const ttl = random.chance(0.5) ? { ttl: '1h' } : {};
      return [{ type: 'text', text, cache_control: { type: 'ephemeral', ...ttl } }];
    }
    default: {
      const url = random.one([PIXEL, 'https://example.com/a.png']);
      const image = { type: 'image_url', image_url: { url } };
      const data = Buffer.alloc(random.whole(1, 9_000), 7).toString('base64');
      const sound = { type: 'input_audio', input_audio: { data, format: 'mp3' } };
      return [{ type: 'text', text }, image, ...(hears ? [sound] : [])];
    }
  }
}

function toolOf(random: Random): object {
  const parameters = { type: 'object', properties: { q: { type: 'string' } } };
  return { type: 'function', function: { name: 'find', description: textOf(random), parameters } };
}

/** What an upstream may count of such a request: often all of it, split in whatever way. */
export function usageOf(random: Random, plan: Plan): Usage {
  const part = (most: number) =>
    random.chance(0.3) ? most : Math.floor(most * random.next() * random.next());
  const inputTokens = Math.max(1, part(plan.inputTokens));
  const outputTokens = part(plan.outputLimit * plan.choices);
  const written = random.chance(0.4) ? part(inputTokens) : 0;
  return {
    inputTokens,
    outputTokens,
    cachedInputTokens: random.chance(0.4) ? part(inputTokens - written) : 0,
    cacheWriteTokens: written,
    longCacheWriteTokens: plan.kinds.mayCacheLong && random.chance(0.6) ? part(written) : 0,
    reasoningTokens: random.chance(0.4) ? part(outputTokens) : 0,
    inputAudioTokens: Math.min(plan.kinds.audioTokens, part(inputTokens)),
  };
}
