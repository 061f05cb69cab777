/** Two hundred requests in the shapes that clients send: at the upstream, nothing differs but what Farebox says that it changes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHAT, EMBEDDINGS, type Kind } from '../../src/chat/kinds.ts';
import type { ChannelConfig } from '../../src/config/config.ts';
import { type Rig, startRig } from '../support/chat.ts';
import { seeded } from '../support/seeded.ts';
import { goodStream, json, wholeBody } from '../support/upstream.ts';

type Member = readonly [name: string, text: string];

/** The members of a JSON object's top level as they stand there, names and values raw. */
function membersOf(text: string): Member[] {
  const members: [string, string][] = [];
  let depth = 0;
  let isString = false;
  let start = -1;
  let name: string | null = null;
  const end = (at: number) => {
    if (name !== null) members.push([name, text.slice(start, at).trim()]);
    name = null;
    start = at + 1;
  };
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at]!;
    if (isString) {
      if (sign === '\\') at += 1;
      else if (sign === '"') isString = false;
    } else if (sign === '"') isString = true;
    else if (sign === '{' || sign === '[') {
      depth += 1;
      if (depth === 1) start = at + 1;
    } else if (sign === '}' || sign === ']') {
      depth -= 1;
      if (depth === 0) end(at);
    } else if (depth === 1 && sign === ',') end(at);
    else if (depth === 1 && sign === ':' && name === null) {
      name = text.slice(start, at).trim();
      start = at + 1;
    }
  }
  return members;
}

/** As they were recorded of OpenAI's SDKs, LangChain, the AI SDK, LiteLLM, curl and servers of one's own. */
const MESSAGES = [
  '[{"role":"user","content":"Say hello."}]',
  '[{"role": "system", "content": "You are terse."}, {"role": "user", "content": "h\\u00e9llo \\ud83d\\ude00 \\/ \\t"}]',
  '[{"role":"developer","content":[{"type":"text","text":"Be kind."}]},{"role":"user","content":[{"type":"text","text":"What is it?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}}]}]',
  '[{"role":"user","content":"2+2"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"add","arguments":"{\\"a\\":2,\\"b\\":2}"}}]},{"role":"tool","tool_call_id":"call_1","content":"4"}]',
  '[{"content":"reversed order","role":"user","name":"bob","x_custom":{"a":[1,2,{"b":null}]}}]',
  '[\n    {\n      "role" : "user" ,\n      "content" : "日本語のプロンプト、 and \\u65e5"\n    }\n  ]',
  '[{"role":"user","content":[{"type":"text","text":"cached","cache_control":{"type":"ephemeral"}}]},{"role":"assistant","content":"ok","reasoning_content":"hm"},{"role":"user","content":""}]',
];
const INPUTS = ['"Hello"', '["one","two \\u00e9"]', '[1, 2, 3]', '[[1,2],[3]]', '"日本"'];
/** What a request may carry besides; numbers as people and programs write them. */
const OTHERS: Record<string, string[]> = {
  temperature: ['0', '1.0', '0.70', '1e0', '7E-1', 'null'],
  top_p: ['1', '0.95', '0.9500000000000000001'],
  top_k: ['40'],
  min_p: ['0.05'],
  seed: ['42', '12345678901234567890', '-1'],
  stop: ['["\\n\\n", "END"]', '"\\u0000"', 'null'],
  user: ['"user-123"', '"\\u00fc"'],
  presence_penalty: ['-0.5', '-0.0'],
  frequency_penalty: ['0.1'],
  repetition_penalty: ['1.1'],
  logit_bias: ['{"50256": -100}', '{}'],
  logprobs: ['false', 'true'],
  parallel_tool_calls: ['false'],
  tools: [
    '[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"number"}},"required":["a"],"additionalProperties":false},"strict":true}}]',
  ],
  tool_choice: ['"auto"', '{"type":"function","function":{"name":"f"}}'],
  response_format: [
    '{"type":"json_object"}',
    '{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","properties":{}},"strict":true}}',
  ],
  reasoning_effort: ['"low"'],
  verbosity: ['"high"'],
  prompt_cache_key: ['"k-1"'],
  safety_identifier: ['"s-1"'],
  metadata: ['{"trace":"a\\"b","n":"1"}'],
  service_tier: ['"auto"'],
  store: ['false'],
  chat_template_kwargs: ['{"enable_thinking":false}'],
  guided_json: ['{"$ref":"#/x"}'],
  thinking: ['{"type":"disabled"}'],
  'x-vendor-flag': ['true'],
  some_future_field: ['[1.0, 1e5, {"deep":{"deeper":[[]]}}, "\\u2028"]', '0.1e+1'],
  'us\\u0065_case': ['{"z":1,"a":2}'],
};
const EMBEDDING_OTHERS: Record<string, string[]> = {
  encoding_format: ['"float"', '"base64"'],
  dimensions: ['256', '1e2'],
  user: ['"u"'],
  input_type: ['"query"'],
  truncate: ['"END"'],
  some_future_field: ['{"a":[1.0]}'],
};
/** Farebox's own, and those that it sets. */
const OWN: Record<string, string[]> = {
  max_credits: ['5', '12.50'],
  quote_id: ['null'],
  callback_url: ['"https://example.com/hook"'],
};
const LIMITS = ['max_tokens', 'max_completion_tokens'];

interface Style {
  open: string;
  colon: string;
  comma: string;
  close: string;
}
const STYLES: Style[] = [
  { open: '{', colon: ':', comma: ',', close: '}' },
  { open: '{', colon: ': ', comma: ', ', close: '}' },
  { open: '{\n  ', colon: ': ', comma: ',\n  ', close: '\n}\n' },
  { open: ' \t{\r\n\t', colon: ' :\t', comma: '\r\n, ', close: ' \n } \n' },
];

function generator(seed: number) {
  const random = seeded(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const chance = (share: number) => random() < share;
  const shuffled = <T>(list: T[]): T[] =>
    list
      .map((item) => [random(), item] as const)
      .toSorted(([a], [b]) => a - b)
      .map(([, item]) => item);
  const some = (pool: Record<string, string[]>, share: number): [string, string][] =>
    Object.entries(pool).flatMap(([name, values]): [string, string][] =>
      chance(share) ? [[`"${name}"`, pick(values)]] : [],
    );
  const written = (members: [string, string][]): string => {
    const { open, colon, comma, close } = pick(STYLES);
    return `${open}${shuffled(members)
      .map(([name, value]) => `${name}${colon}${value}`)
      .join(comma)}${close}`;
  };
  return { pick, chance, some, written };
}

function chatBody(seed: number): string {
  const { pick, chance, some, written } = generator(seed);
  const members: [string, string][] = [
    ['"model"', '"m1"'],
    ['"messages"', pick(MESSAGES)],
    ...some(OTHERS, 0.3),
    ...some(OWN, 0.2),
  ];
  for (const name of LIMITS) {
    if (chance(0.4)) members.push([`"${name}"`, pick(['50', '5e1', '100', '100000'])]);
  }
  if (chance(0.5)) members.push(['"stream"', pick(['true', 'true', 'false'])]);
  if (chance(0.2)) {
    members.push([
      '"stream_options"',
      pick(['{"include_usage": true}', '{"include_usage":false,"x":1}']),
    ]);
  }
  return written(members);
}

function embeddingBody(seed: number): string {
  const { pick, some, written } = generator(seed);
  return written([
    ['"model"', '"m1"'],
    ['"input"', pick(INPUTS)],
    ...some(EMBEDDING_OTHERS, 0.5),
    ...some(OWN, 0.2),
  ]);
}

const CHANGED = ['"model"', '"stream_options"', ...LIMITS.map((name) => `"${name}"`)];
const isOther = ([name]: Member) => !CHANGED.includes(name) && !(name.slice(1, -1) in OWN);

interface Fields {
  [name: string]: unknown;
}

/** What of the members that Farebox sets is to stand there, by the contract alone. */
function rightFields(
  sent: Fields,
  field: ChannelConfig['outputLimitField'],
  limit: number,
): Fields {
  const isAsked = sent['stream'] === true;
  const options = sent['stream_options'] as Fields | undefined;
  return {
    model: 'up-1',
    [field]: limit,
    ...(isAsked && { stream_options: { ...options, include_usage: true } }),
    ...(!isAsked && options && { stream_options: options }),
  };
}

describe.each(['max_tokens', 'max_completion_tokens'] as const)(
  'a chat over a channel that takes %s',
  (outputLimitField) => {
    let rig: Rig;
    beforeAll(async () => {
      rig = await startRig({ kind: CHAT, channel: { outputLimitField } });
      rig.upstream.usually((response, request) =>
        request.json['stream'] === true
          ? goodStream()(response, request)
          : json(200, wholeBody())(response, request),
      );
    });
    afterAll(() => rig[Symbol.asyncDispose]());

    it('arrives as it was sent, but for the model, the limit, the usage and what is ours', async () => {
      for (let seed = 1; seed <= 100; seed += 1) {
        const body = chatBody(seed);
        const sent = JSON.parse(body) as Fields;
        const answer = await rig.post(body);
        expect([body, answer.status]).toEqual([body, 200]);
        const arrived = rig.upstream.requests.at(-1)!;
        const text = arrived.body.toString();
        const members = membersOf(text);
        expect(members.filter(isOther)).toEqual(membersOf(body).filter(isOther));
        const asked = LIMITS.flatMap((name) => (sent[name] as number | undefined) ?? []);
        const limit = asked.length ? Math.min(...asked, 1_000) : 100;
        const set = Object.fromEntries(
          Object.entries(arrived.json).filter(([name]) => CHANGED.includes(`"${name}"`)),
        );
        expect([body, set]).toEqual([body, rightFields(sent, outputLimitField, limit)]);
        expect(Object.keys(OWN).filter((name) => name in arrived.json)).toEqual([]);
        // Nothing stands there that was not sent, but what is set.
        expect(new Set(members.map(([name]) => name)).size).toBe(members.length);
      }
    });
  },
);

describe('embeddings', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig({ kind: EMBEDDINGS as Kind, model: { type: 'embedding' } });
    const data = [{ object: 'embedding', index: 0, embedding: [0.5] }];
    rig.upstream.usually(json(200, { data, usage: { prompt_tokens: 3, total_tokens: 3 } }));
  });
  afterAll(() => rig[Symbol.asyncDispose]());

  it('arrive as they were sent, but for the model and what is ours', async () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const body = embeddingBody(seed);
      expect([body, (await rig.post(body)).status]).toEqual([body, 200]);
      const members = membersOf(rig.upstream.requests.at(-1)!.body.toString());
      expect(members.filter(isOther)).toEqual(membersOf(body).filter(isOther));
      expect(members.filter((member) => !isOther(member))).toEqual([['"model"', '"up-1"']]);
    }
  });
});

describe('a body that needs no change', () => {
  it('is the caller’s to the last byte', async () => {
    await using rig = await startRig({ model: { routes: [{ channel: 'main', model: 'm1' }] } });
    for (const style of STYLES) {
      const { open, colon, comma, close } = style;
      const members = [
        ['"some_future_field"', '[1.0, 1e5]'],
        ['"model"', '"m1"'],
        ['"max_tokens"', '50'],
        ['"messages"', MESSAGES[1]!],
      ];
      const body = `${open}${members.map(([name, value]) => `${name}${colon}${value}`).join(comma)}${close}`;
      expect((await rig.post(body)).status).toBe(200);
      expect(rig.upstream.requests.at(-1)!.body.toString()).toBe(body);
    }
  });
});
