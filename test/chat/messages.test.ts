import { afterEach, describe, expect, it } from 'vitest';
import { MESSAGES } from '../../src/chat/kinds.ts';
import { type Rig, type RigOptions, startRig } from '../support/chat.ts';
import { eventText, message, messageEvents, named } from '../support/dialects.ts';
import { hang, json, raw } from '../support/upstream.ts';

let rig: Rig;
const start = async (options: RigOptions = {}) =>
  (rig = await startRig({ kind: MESSAGES, channel: { provider: 'anthropic' }, ...options }));
afterEach(() => rig[Symbol.asyncDispose]());

const BODY = { model: 'm1', max_tokens: 50, messages: [{ role: 'user', content: 'Hello?' }] };
const STREAM = { ...BODY, stream: true };
/** 10 + 6 + 4 in, 5 out. */
const COST = 20 + 50;
const said = [{ type: 'text', text: 'Hello there.' }];
const sent = (at = 0) => rig.upstream.requests[at]!;
const passed = (text: string) => text.replace(/^: farebox .*\n\n/m, '');

describe('a request for a message over Anthropic', () => {
  it('passes byte for byte, but for the model, the limit and what is ours', async () => {
    await start();
    rig.upstream.usually(json(200, message(said)));
    const body = `{"model":"m1", "quote_id":null,"max_tokens":50,"system":[{"type":"text","text":"S",
      "cache_control":{"type":"ephemeral","ttl":"1h"}}],"messages":[{"role":"user","content":"h\\u00e9"}],
      "future": [1.0, {"x":null}], "thinking":{"type":"adaptive"} }`;
    expect((await rig.post(body)).status).toBe(200);
    expect(sent().path).toBe('/v1/messages');
    expect(sent().headers).toMatchObject({
      'x-api-key': 'sk-upstream-0123456789abcdef',
      'anthropic-version': '2023-06-01',
    });
    expect(sent().body.toString()).toBe(
      body.replace('"m1"', '"up-1"').replace(' "quote_id":null,', ''),
    );
  });

  it('is lowered to what is affordable, not below what its thoughts need', async () => {
    await start({ usd: '0.0000004' });
    rig.upstream.usually(json(200, message(said)));
    const lowered = await rig.post(BODY);
    expect(Number(lowered.headers.get('x-max-tokens-applied'))).toBeLessThan(50);
    expect(sent().json['max_tokens']).toBe(Number(lowered.headers.get('x-max-tokens-applied')));
    const thinking = { type: 'enabled', budget_tokens: 48 };
    const refused = await rig.post({ ...BODY, thinking });
    expect(refused.json).toMatchObject({ code: 'insufficient_balance' });
    expect(rig.upstream.requests).toHaveLength(1);
  });

  it('may hold every block that is in the body itself', async () => {
    await start();
    rig.upstream.usually(json(200, message(said)));
    const data = Buffer.from('%PDF-1.4 ...').toString('base64');
    const messages = [
      {
        role: 'user',
        content: [
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0K' } },
          { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
          { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'plain' } },
          { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data } },
          {
            type: 'search_result',
            source: 'https://a.b',
            title: 't',
            content: [{ type: 'text', text: 'x' }],
          },
        ],
      },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'Hm.', signature: 'abc' },
          { type: 'redacted_thinking', data: 'xyz' },
          { type: 'tool_use', id: 'toolu_1', name: 'f', input: { file_id: 'mine', Type: 'x' } },
        ],
      },
      {
        role: 'user',
        content: [
          {
            type: 'tool_result',
            tool_use_id: 'toolu_1',
            content: [{ type: 'text', text: 'three' }],
          },
        ],
      },
    ];
    const tools = [
      { name: 'f', input_schema: { type: 'object' } },
      { type: 'bash_20250124', name: 'bash' },
    ];
    const body = { ...BODY, messages, tools, tool_choice: { type: 'auto' } };
    expect((await rig.post(body)).status).toBe(200);
    expect(sent().json).toEqual({ ...body, model: 'up-1' });
  });

  it('with what is packed, holds all that the model can read', async () => {
    await start();
    const ceiling = (source: object) => {
      const messages = [{ role: 'user', content: [{ type: 'document', source }] }];
      return rig.chat.price(Buffer.from(JSON.stringify({ ...BODY, messages })))!.ceiling;
    };
    const pdf = { type: 'base64', media_type: 'application/pdf' };
    const packed = Buffer.from('%PDF-1.4\n…').toString('base64');
    expect(ceiling({ ...pdf, data: packed })).toBeGreaterThanOrEqual(100_000 + 500);
    expect(ceiling({ type: 'text', media_type: 'text/plain', data: 'plain' })).toBeLessThan(1_000);
  });

  it('with an image, holds what an image costs and not what its base64 would', async () => {
    await start();
    const data = 'iVBORw0KGgo/'.repeat(20_000);
    const source = { type: 'base64', media_type: 'image/png', data };
    const messages = [{ role: 'user', content: [{ type: 'image', source }] }];
    const price = rig.chat.price(Buffer.from(JSON.stringify({ ...BODY, messages })))!;
    expect(price.ceiling).toBeGreaterThan(5_000 + 2_400);
    expect(price.ceiling).toBeLessThan(5_000 + 2_400 + 1_000);
  });

  it.each([
    [{ messages: undefined }, 'messages'],
    [{ messages: [] }, 'messages'],
    [{ messages: [{ role: 'user' }] }, 'messages[0].content'],
    [{ messages: [{ role: 'user', content: ['x'] }] }, 'messages[0].content[0]'],
    [{ max_tokens: 0 }, 'max_tokens'],
    [{ system: 5 }, 'system'],
    [
      { messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'moon' } }] }] },
      'messages[0].content[0].source',
    ],
    [{ messages: [{ role: 'user', Content: 'x', content: 'y' }] }, 'messages[0].Content'],
  ])('is refused with %j, and nothing is charged', async (change, field) => {
    await start();
    const answer = await rig.post({ ...BODY, ...change });
    expect(answer.json).toMatchObject({ code: 'invalid_request', details: { field } });
    expect(rig.upstream.requests).toHaveLength(0);
    expect(await rig.charged()).toBe(0);
  });
});

describe('a whole message', () => {
  it('passes as it is, and costs its usage with what the cache did', async () => {
    await start({
      model: {
        price: {
          version: 'v1',
          rules: [
            { unit: 'input_token', per: 1_000_000, usd: '0.001' },
            { unit: 'cached_input_token', per: 1_000_000, usd: '0.0001' },
            { unit: 'cache_write_token', per: 1_000_000, usd: '0.00125' },
            { unit: 'cache_write_1h_token', per: 1_000_000, usd: '0.002' },
            { unit: 'output_token', per: 1_000_000, usd: '0.01' },
          ],
        },
      },
    });
    const usage = {
      input_tokens: 100,
      cache_read_input_tokens: 1_000,
      cache_creation_input_tokens: 800,
      cache_creation: { ephemeral_5m_input_tokens: 600, ephemeral_1h_input_tokens: 200 },
      output_tokens: 7,
      output_tokens_details: { thinking_tokens: 3 },
      service_tier: 'standard',
    };
    rig.upstream.usually(json(200, message(said, { usage })));
    const long = [{ role: 'user', content: 'word '.repeat(3_000) }];
    const answer = await rig.post({ ...BODY, messages: long });
    expect(answer.json).toEqual(message(said, { usage }));
    // 100 x 1 + 1000 x 0.1 + 600 x 1.25 + 200 x 2 + 7 x 10 nano-dollars.
    expect(await rig.charged()).toBe(100 + 100 + 750 + 400 + 70);
  });

  it('without usage is counted from its text', async () => {
    await start();
    rig.upstream.usually(json(200, message(said, { usage: null })));
    await rig.post(BODY);
    expect(await rig.lastUsage()).toMatchObject({ estimated: true, output_tokens: 4 });
  });

  it('that is an error is one, and costs nothing', async () => {
    await start();
    const error = { type: 'error', error: { type: 'api_error', message: 'boom' } };
    rig.upstream.usually(json(200, error));
    expect((await rig.post(BODY)).json).toMatchObject({ code: 'upstream_failed' });
    rig.upstream.usually(json(429, error, { 'retry-after': '7' }));
    expect((await rig.post(BODY)).json).toMatchObject({
      code: 'upstream_busy',
      retryAfterSeconds: 7,
    });
    expect(await rig.charged()).toBe(0);
  });
});

describe('a streamed message', () => {
  it('passes byte for byte, and costs what its end says, nulls aside', async () => {
    await start();
    const usage = { input_tokens: null, cache_read_input_tokens: null, output_tokens: 5 };
    const events = messageEvents(['Hello', ' there.'], usage);
    rig.upstream.usually(named(events));
    const answer = await rig.post(STREAM);
    expect(passed(answer.text)).toBe(events.map((event) => eventText(event)).join(''));
    expect(answer.text.indexOf(': farebox')).toBeLessThan(answer.text.indexOf('message_stop'));
    expect(answer.text.indexOf(': farebox')).toBeGreaterThan(answer.text.indexOf('message_delta'));
    expect(await rig.charged()).toBe(COST);
    expect(await rig.lastUsage()).toMatchObject({ cached_input_tokens: 6, cache_write_tokens: 4 });
  });

  it('that breaks ends in an error event, and costs what was delivered (C-10)', async () => {
    await start();
    rig.upstream.usually(named(messageEvents(['Hello', ' there.']).slice(0, 5), 'cut'));
    const answer = await rig.post(STREAM);
    expect(JSON.parse(answer.events.at(-1)!)).toMatchObject({
      type: 'error',
      error: { type: 'api_error' },
    });
    expect(answer.text).toContain('event: error\n');
    expect(await rig.lastUsage()).toMatchObject({ input_tokens: 20, output_tokens: 4 });
  });

  it('that is overloaded before its first word is an error with a status, and costs nothing', async () => {
    await start();
    const error = {
      type: 'error',
      error: { type: 'overloaded_error', message: 'Overloaded' },
      request_id: 'req_1',
    };
    rig.upstream.usually(raw(200, 'text/event-stream', eventText(error)));
    expect((await rig.post(STREAM)).json).toMatchObject({ code: 'upstream_failed' });
    expect(await rig.charged()).toBe(0);
    rig.upstream.usually(named([...messageEvents(['Hello']).slice(0, 4), error]));
    const late = await rig.post(STREAM);
    expect(late.events.filter((event) => event.includes('"error"'))).toHaveLength(1);
    expect(await rig.lastUsage()).toMatchObject({ input_tokens: 20, output_tokens: 2 });
  });

  it('is kept alive by pings', async () => {
    await start({ limits: { sseKeepAliveMs: 20 } });
    rig.upstream.usually(hang());
    const gone = new AbortController();
    const reply = await rig.open(STREAM, { signal: gone.signal });
    const { value } = (await reply.body!.getReader().read()) as { value: Uint8Array };
    expect(Buffer.from(value).toString()).toBe('event: ping\ndata: {"type":"ping"}\n\n');
    gone.abort();
    await rig.settled(1);
  });

  it('counts the arguments of tools', async () => {
    await start();
    const events = [
      messageEvents([])[0]!,
      {
        type: 'content_block_start',
        index: 0,
        content_block: { type: 'tool_use', id: 't', name: 'find', input: {} },
      },
      {
        type: 'content_block_delta',
        index: 0,
        delta: { type: 'input_json_delta', partial_json: '{"query":"all the boats"}' },
      },
    ];
    rig.upstream.usually(named(events, 'cut'));
    await rig.post(STREAM);
    expect((await rig.lastUsage())!['output_tokens']).toBeGreaterThan(8);
  });
});
