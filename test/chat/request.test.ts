import { afterEach, describe, expect, it } from 'vitest';
import { formatUsd, nanoUsd } from '../../src/money.ts';
import { MODEL, type Rig, type RigOptions, startRig } from '../support/chat.ts';
import {
  DONE,
  gated,
  goodStream,
  ROLE,
  startStream,
  STOP,
  usageEvent,
  whole,
  words,
  write,
} from '../support/upstream.ts';

let rig: Rig;
const start = async (options?: RigOptions) => {
  rig = await startRig(options);
  return rig;
};
afterEach(() => rig[Symbol.asyncDispose]());

const MESSAGES = [{ role: 'user', content: 'Say hello.' }];
const BODY = { model: 'm1', messages: MESSAGES, max_tokens: 50 };

async function refusal(body: unknown): Promise<Record<string, unknown>> {
  const answer = await rig.post(body);
  expect(rig.upstream.requests).toHaveLength(0);
  expect(await rig.charged()).toBe(0);
  return answer.json;
}

describe('a request', () => {
  it.each([
    ['no JSON', 'hello', 'invalid_json'],
    ['an empty body', '', 'invalid_json'],
    ['a list', '[]', 'invalid_json'],
    ['two objects', '{"model":"m1"}{}', 'invalid_json'],
    ['broken JSON inside', '{"model":"m1","messages":[{]}', 'invalid_json'],
    [
      'bytes that are no UTF-8',
      Buffer.from('{"model":"m1","messages":[{"role":"user","content":"\xff\xfe"}]}', 'latin1'),
      'invalid_json',
    ],
    ['a depth bomb (C-5)', `{"model":"m1","messages":${'['.repeat(20_000)}`, 'invalid_json'],
    ['no model', { messages: MESSAGES }, 'invalid_request'],
    ['a model that is a number', { ...BODY, model: 5 }, 'invalid_request'],
    ['an unknown model', { ...BODY, model: 'nope' }, 'model_not_found'],
    ['no messages', { model: 'm1' }, 'invalid_request'],
    ['empty messages', { ...BODY, messages: [] }, 'invalid_request'],
    ['messages that are text', { ...BODY, messages: 'hi' }, 'invalid_request'],
    ['a message that is text', { ...BODY, messages: ['hi'] }, 'invalid_request'],
    ['a limit of zero (L-13)', { ...BODY, max_tokens: 0 }, 'invalid_request'],
    ['a negative limit (L-13)', { ...BODY, max_tokens: -5 }, 'invalid_request'],
    ['a broken limit', { ...BODY, max_tokens: 1.5 }, 'invalid_request'],
    ['a limit that is text', { ...BODY, max_completion_tokens: '50' }, 'invalid_request'],
    [
      'a limit beyond any integer',
      '{"model":"m1","messages":[{}],"max_tokens":1e400}',
      'invalid_request',
    ],
    ['too many choices', { ...BODY, n: 17 }, 'invalid_request'],
    ['no choices', { ...BODY, n: 0 }, 'invalid_request'],
    ['stream that is text', { ...BODY, stream: 'true' }, 'invalid_request'],
    [
      'stream_options that are text',
      { ...BODY, stream: true, stream_options: 'x' },
      'invalid_request',
    ],
    ['model twice (C-6)', '{"model":"m1","messages":[{}],"model":"m2"}', 'invalid_request'],
    [
      'model twice, once disguised (C-6)',
      '{"model":"m1","messages":[{}],"mod\\u0065l":"m2"}',
      'invalid_request',
    ],
    [
      'max_tokens twice (C-6)',
      '{"model":"m1","messages":[{}],"max_tokens":1,"max_tokens":9}',
      'invalid_request',
    ],
    [
      'a limit in capitals (C-6)',
      '{"model":"m1","messages":[{}],"max_tokens":1,"MAX_TOKENS":9}',
      'invalid_request',
    ],
    [
      'a limit with a Kelvin sign (C-6)',
      '{"model":"m1","messages":[{}],"max_to\u212aens":9}',
      'invalid_request',
    ],
  ])('with %s is refused before anything is held', async (_what, body, code) => {
    await start();
    expect(await refusal(body)).toMatchObject({ code, message: expect.stringMatching(/\.$/) });
  });

  it.each([
    ['previous_response_id', 'resp_1'],
    ['conversation', 'conv_1'],
    ['background', true],
    ['store', true],
    ['service_tier', 'priority'],
    ['service_tier', 'flex'],
    ['web_search_options', {}],
    ['search_parameters', { mode: 'on' }],
    ['plugins', [{ id: 'web' }]],
    ['mcp_servers', []],
    ['modalities', ['text', 'audio']],
    ['audio', { voice: 'x', format: 'wav' }],
    ['tools', [{ type: 'web_search' }]],
    ['tools', [{ type: 'function', function: { name: 'f' } }, { type: 'code_interpreter' }]],
    ['tool_choice', { type: 'file_search' }],
    ['models', ['m1', 'dear']],
    ['api_base', 'http://evil'],
    ['venice_parameters', { enable_web_search: 'on' }],
  ])(
    'with the field %s is refused: it names upstream state or changes the cost',
    async (field, value) => {
      await start();
      const answer = await refusal({ ...BODY, [field]: value });
      expect(answer).toMatchObject({
        code: 'unsupported_parameter',
        details: { field },
        message: expect.stringContaining(`"${field}"`),
      });
    },
  );

  it.each([
    ['messages[0].content[0].file.file_id', { type: 'file', file: { file_id: 'file-1' } }],
    [
      'messages[0].content[0].file.file_data',
      { type: 'file', file: { file_data: 'https://example.com/1000-pages.pdf' } },
    ],
    ['messages[0].content[0].file.file_url', { type: 'file', file: { file_url: 'https://x.y/z' } }],
    ['messages[0].content[0].file_id', { type: 'input_image', file_id: 'file-1' }],
    ['messages[0].content[0]', { type: 'input_audio', input_audio: { data: 'x', format: 'wav' } }],
    ['messages[0].content[0]', { type: 'video_url', video_url: { url: 'http://x' } }],
  ])('with the part %s %j is refused', async (field, part) => {
    await start();
    const messages = [{ role: 'user', content: [part] }];
    expect(await refusal({ ...BODY, messages })).toMatchObject({
      code: 'unsupported_parameter',
      details: { field },
    });
  });

  it.each([
    ['messages[0].content[0].file.File_ID', [{ type: 'file', file: { File_ID: 'file-1' } }]],
    ['messages[0].content[0].Type', [{ type: 'text', Type: 'file', text: 'x' }]],
    ['messages[0].content[0].TYPE', [{ type: 'text', TYPE: 'file', text: 'x' }]],
  ])('with the disguised name %s is refused', async (field, content) => {
    await start();
    expect(await refusal({ ...BODY, messages: [{ role: 'user', content }] })).toMatchObject({
      code: 'invalid_request',
      details: { field },
    });
  });

  it.each([
    '{"role":"user","content":"x","content":[{"type":"file"}]}',
    '{"role":"user","content":[{"type":"text","text":"x","\\u0074ype":"file"}]}',
    '{"role":"user","content":[{"type":"image_url","image_url":{"url":"a","url":"b"}}]}',
  ])('with a name twice inside, %s, is refused (C-6)', async (message) => {
    await start();
    const body = `{"model":"m1","messages":[${message}]}`;
    expect(await refusal(body)).toMatchObject({ code: 'invalid_request' });
  });

  it('may have names twice in texts, and quotes and colons wherever JSON has them', async () => {
    await start();
    const text = '{"a":1,"a":2} \\" : "b": {"b":3}';
    const tool = {
      type: 'function',
      function: { name: 'f', parameters: { a: { a: ':' }, '': {} } },
    };
    const answer = await rig.post({
      ...BODY,
      messages: [{ role: 'user', content: text }],
      tools: [tool, tool],
    });
    expect(answer.status).toBe(200);
    expect(rig.upstream.requests).toHaveLength(1);
  });

  it('may say what changes nothing', async () => {
    await start();
    const harmless = {
      ...BODY,
      store: false,
      background: null,
      service_tier: 'auto',
      modalities: ['text'],
      tools: [
        { type: 'function', function: { name: 'f' } },
        { type: 'custom', custom: { name: 'c' } },
      ],
      tool_choice: 'auto',
      prediction: { type: 'content', content: 'x' },
      venice_parameters: { enable_web_search: 'off', include_venice_system_prompt: false },
      previous_response_id: null,
    };
    expect((await rig.post(harmless)).status).toBe(200);
    expect(rig.upstream.requests[0]!.json).toEqual({ ...harmless, model: 'up-1' });
  });

  it('with an image holds what an image can cost', async () => {
    await start();
    const ceiling = (content: unknown) =>
      rig.chat.price(
        Buffer.from(JSON.stringify({ ...BODY, messages: [{ role: 'user', content }] })),
      )!.ceiling;
    const text = ceiling([{ type: 'text', text: 'What is this?' }]);
    const url = `data:image/png;base64,${'A'.repeat(100_000)}`;
    const image = ceiling([{ type: 'image_url', image_url: { url } }]);
    expect(image - text).toBeGreaterThan(5_900);
    expect(image - text).toBeLessThan(6_300);
    // To the model this is text, whatever it looks like.
    expect(ceiling([{ type: 'text', text: url }]) - text).toBeGreaterThan(99_000);
  });
});

describe('the output limit', () => {
  it('is the caller’s where it covers it, and nothing is said', async () => {
    await start();
    const answer = await rig.post(BODY);
    expect(answer.headers.has('x-max-tokens-applied')).toBe(false);
    expect(rig.upstream.requests[0]!.json['max_tokens']).toBe(50);
  });

  it('is the model’s default where the caller sets none, priced, sent and said', async () => {
    await start();
    const answer = await rig.post({ model: 'm1', messages: MESSAGES });
    expect(answer.headers.get('x-max-tokens-applied')).toBe('100');
    expect(rig.upstream.requests[0]!.json['max_tokens']).toBe(100);
  });

  it('is lowered to the model’s greatest (C-14)', async () => {
    await start();
    const answer = await rig.post({ ...BODY, max_tokens: 1e9 });
    expect(answer.headers.get('x-max-tokens-applied')).toBe('1000');
    expect(rig.upstream.requests[0]!.json['max_tokens']).toBe(1_000);
  });

  it('is fitted to the balance down to half, and the hold is never above it', async () => {
    await start({ usd: '0.0000008' });
    const body = { ...BODY, max_tokens: 100 };
    const { ceiling } = rig.chat.price(Buffer.from(JSON.stringify(body)))!;
    const input = ceiling - 1_000;
    expect(input + 500).toBeLessThan(800);
    const answer = await rig.post(body);
    const applied = Number(answer.headers.get('x-max-tokens-applied'));
    expect(applied).toBe(Math.floor((800 - input) / 10));
    expect(rig.upstream.requests[0]!.json['max_tokens']).toBe(applied);
    expect(answer.headers.get('x-request-cost')).toBe(formatUsd(nanoUsd(70)));
  });

  it('is not lowered below half: that is 402, with what is needed', async () => {
    await start({ usd: '0.0000005' });
    const body = { ...BODY, max_tokens: 100 };
    const { ceiling } = rig.chat.price(Buffer.from(JSON.stringify(body)))!;
    expect(await refusal(body)).toMatchObject({
      code: 'insufficient_balance',
      details: { availableNano: 500, neededNano: ceiling - 500, ceilingNano: ceiling },
    });
  });

  it('is not lowered at all where the caller says so', async () => {
    await start({ usd: '0.0000008' });
    const answer = await rig.post({ ...BODY, max_tokens: 100 }, { mode: 'refuse' });
    expect(answer.json).toMatchObject({ code: 'insufficient_balance' });
  });

  it('counts for every choice', async () => {
    await start();
    const price = (n: number) =>
      rig.chat.price(Buffer.from(JSON.stringify({ ...BODY, n })))!.ceiling;
    expect(price(4) - price(1)).toBe(3 * 50 * 10);
    rig.upstream.next(whole({ usage: { prompt_tokens: 20, completion_tokens: 200 } }));
    await rig.post({ ...BODY, n: 4 });
    expect(await rig.charged()).toBe(2_020);
  });
});

describe('money', () => {
  it('of a key that is used up is no reason to top up', async () => {
    await start({ usd: '0' });
    expect((await rig.post(BODY, { as: 'key' })).json).toMatchObject({ code: 'credit_exhausted' });
    expect((await rig.post(BODY)).json).toMatchObject({ code: 'insufficient_balance' });
  });

  it('is needed first from a wallet that never paid', async () => {
    await start();
    expect((await rig.post(BODY, { as: 'stranger' })).json).toMatchObject({
      code: 'insufficient_balance',
      details: { availableNano: 0 },
    });
  });

  it.each([false, true])(
    'for 10 ceilings serves exactly 10 of 200 at once, stream %s (L-1)',
    async (isStream) => {
      const body = { ...BODY, stream: isStream };
      await start();
      const { ceiling } = rig.chat.price(Buffer.from(JSON.stringify(body)))!;
      const account = await rig.store.wallet(formatUsd(nanoUsd(10 * ceiling + 9)));
      const gate = gated(isStream ? goodStream() : whole());
      rig.upstream.usually(gate.behaviour);
      const answers = Array.from({ length: 200 }, () =>
        rig.post(body, { mode: 'refuse', as: account }),
      );
      await rig.settled(190);
      await rig.upstream.arrived(10);
      expect(await rig.store.available(account)).toBe(9);
      gate.open();
      const all = await Promise.all(answers);
      expect(all.filter(({ status }) => status === 200)).toHaveLength(10);
      expect(all.filter((answer) => answer.json['code'] === 'insufficient_balance')).toHaveLength(
        190,
      );
      expect(rig.upstream.requests).toHaveLength(10);
      expect(await rig.store.available(account)).toBe(10 * ceiling + 9 - 10 * 70);
    },
  );

  it('is charged at the price that the hold was taken at, though it changed meanwhile (L-12)', async () => {
    await start();
    const gate = gated(async (response) => {
      for (const piece of [...words(3), STOP, usageEvent(), DONE]) await write(response, piece);
      response.end();
    });
    rig.upstream.next(async (response, request) => {
      startStream(response);
      await write(response, ROLE);
      await gate.behaviour(response, request);
    });
    const answer = rig.post({ ...BODY, stream: true });
    await rig.upstream.arrived(1);
    const rules = MODEL.price.rules.map((rule) => ({ ...rule, usd: '9' }));
    rig.catalogue.replace([{ ...MODEL, price: { version: 'v2', rules } }]);
    gate.open();
    expect((await answer).final!.cost).toBe(formatUsd(nanoUsd(70)));
    const row = await rig.store.ledger.read
      .selectFrom('holds')
      .selectAll()
      .executeTakeFirstOrThrow();
    expect(row).toMatchObject({
      price_version: 'v1',
      captured: 70,
      model: 'm1',
      request_id: 'req_1',
      purpose: 'chat',
    });
  });

  it('is not moved for a model that is free, but the request is on record (L-13)', async () => {
    const rules = MODEL.price.rules.map((rule) => ({ ...rule, usd: '0' }));
    await start({ model: { price: { version: 'v', rules } }, usd: '0' });
    const answer = await rig.post(BODY);
    expect(answer.headers.get('x-request-cost')).toBe('0.00');
    expect(await rig.lastUsage()).toEqual({ channel: 'main', input_tokens: 20, output_tokens: 5 });
  });
});

describe('the price of a request', () => {
  it('is its ceiling', async () => {
    await start();
    const { ceiling } = rig.chat.price(Buffer.from(JSON.stringify(BODY)))!;
    const gate = gated(whole());
    rig.upstream.next(gate.behaviour);
    const answer = rig.post(BODY);
    await rig.upstream.arrived(1);
    expect(await rig.held()).toBe(ceiling);
    gate.open();
    await answer;
  });

  it('is read from a body that was cut off', async () => {
    await start();
    const text = JSON.stringify({
      ...BODY,
      messages: [{ role: 'user', content: 'word '.repeat(1_000) }],
    });
    expect(rig.chat.price(Buffer.from(text).subarray(0, 2_000), text.length)).toMatchObject({
      model: 'm1',
    });
    expect(rig.chat.price(Buffer.from(text).subarray(0, 2_000))).toBeNull();
  });

  it.each([
    '',
    '{',
    '{"model":',
    '[]',
    'null',
    '{"model":"nope","messages":[{}]}',
    '{"messages":[{"role":',
  ])('of %j is unknown', async (text) => {
    await start();
    expect(rig.chat.price(Buffer.from(text), text.length)).toBeNull();
    expect(rig.chat.price(Buffer.from(text))).toBeNull();
  });
});
