import { afterEach, describe, expect, it } from 'vitest';
import { RESPONSES } from '../../src/chat/kinds.ts';
import { channel, type Rig, type RigOptions, startRig } from '../support/chat.ts';
import {
  eventText,
  last,
  named,
  opening,
  response,
  responseEvent,
  textDelta,
} from '../support/dialects.ts';
import { hang, json, raw, startStream, write } from '../support/upstream.ts';

let rig: Rig;
const start = async (options: RigOptions = {}) =>
  (rig = await startRig({ kind: RESPONSES, ...options }));
afterEach(() => rig[Symbol.asyncDispose]());

const BODY = { model: 'm1', input: 'Say hello.', max_output_tokens: 50 };
const STREAM = { ...BODY, stream: true };
/** 1 nano-dollar an input token, 10 an output token. */
const COST = 20 + 50;
const sent = (at = 0) => rig.upstream.requests[at]!;
/** What went out, without the comment of ours. */
const passed = (text: string) => text.replace(/^: farebox .*\n\n/m, '');

describe('a request for a response', () => {
  it('goes to /responses byte for byte, but for the model, the limit, what is ours, and nothing is stored', async () => {
    await start();
    rig.upstream.usually(json(200, response()));
    const body = `{ "input":[{"role":"user","content":"h\\u00e9llo"}], "max_credits": 3,
      "model":"m1",  "future_field":{"a":[1.50,"x"]},"max_output_tokens":50, "metadata":{"k":"v"} }`;
    expect((await rig.post(body)).status).toBe(200);
    expect(sent().path).toBe('/v1/responses');
    expect(sent().body.toString()).toBe(
      `{"store":false, "input":[{"role":"user","content":"h\\u00e9llo"}],
      "model":"up-1",  "future_field":{"a":[1.50,"x"]},"max_output_tokens":50, "metadata":{"k":"v"} }`,
    );
  });

  it('is given the limit that is paid for, and told so', async () => {
    await start();
    rig.upstream.usually(json(200, response()));
    const { max_output_tokens: _limit, ...open } = BODY;
    const answer = await rig.post(open);
    expect(sent().json['max_output_tokens']).toBe(100);
    expect(answer.headers.get('x-max-tokens-applied')).toBe('100');
    await rig.post({ ...BODY, max_output_tokens: 1_000_000 });
    expect(sent(1).json['max_output_tokens']).toBe(1_000);
    const asked = await rig.post({ ...BODY, store: false });
    expect(sent(2).json).toEqual({ ...BODY, model: 'up-1', store: false });
    expect(asked.headers.get('x-max-tokens-applied')).toBeNull();
  });

  it('is not lowered below what upstreams take', async () => {
    await start({ usd: '0.00000018' });
    rig.upstream.usually(json(200, response()));
    const refused = await rig.post({ ...BODY, max_output_tokens: 20 });
    expect(refused.json).toMatchObject({ code: 'insufficient_balance' });
    expect(rig.upstream.requests).toHaveLength(0);
  });

  it.each([
    [{ input: undefined }, 'input'],
    [{ input: [] }, 'input'],
    [{ input: [5] }, 'input[0]'],
    [{ instructions: [] }, 'instructions'],
    [{ max_output_tokens: 0 }, 'max_output_tokens'],
    [{ stream: 'yes' }, 'stream'],
    [{ input: [{ role: 'user' }] }, 'input[0].content'],
    [{ input: [{ type: 'function_call', call_id: 'c', name: 'f' }] }, 'input[0].arguments'],
    [{ model: 'nobody' }, null],
    [{ prompt_cache_options: { ttl: '12h' } }, 'prompt_cache_options'],
    [{ access_programs: { cyber: 'daybreak_red' } }, 'access_programs'],
    [{ context_management: [{ type: 'compaction' }] }, 'context_management'],
  ])('is refused with %j, and nothing is charged', async (change, field) => {
    await start();
    const answer = await rig.post({ ...BODY, ...change });
    expect(['invalid_request', 'unsupported_parameter', 'model_not_found']).toContain(
      answer.json['code'],
    );
    if (field) expect(answer.json['details']).toMatchObject({ field });
    expect(rig.upstream.requests).toHaveLength(0);
    expect(await rig.charged()).toBe(0);
  });

  it('may hold all that is in the body itself', async () => {
    await start();
    rig.upstream.usually(json(200, response()));
    const input = [
      { role: 'developer', content: 'Be brief.' },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hi' }] },
      {
        role: 'user',
        content: [
          { type: 'input_image', image_url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'low' },
          { type: 'input_file', filename: 'a.txt', file_data: 'data:text/plain;base64,aGVsbG8=' },
        ],
      },
      { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'abc' },
      {
        type: 'message',
        id: 'msg_1',
        role: 'assistant',
        content: [{ type: 'output_text', text: 'x', annotations: [] }],
      },
      { type: 'function_call', id: 'fc_1', call_id: 'c1', name: 'f', arguments: '{"file_id":1}' },
      { type: 'function_call_output', call_id: 'c1', output: 'three' },
      {
        type: 'function_call_output',
        call_id: 'c1',
        output: [{ type: 'input_image', image_url: 'https://example.com/a.png' }],
      },
    ];
    const tools = [{ type: 'function', name: 'f', parameters: { type: 'object' }, strict: true }];
    const include = ['reasoning.encrypted_content'];
    const body = { ...BODY, input, tools, include, truncation: 'auto', store: false };
    expect((await rig.post(body)).status).toBe(200);
    expect(sent().json).toEqual({ ...body, model: 'up-1' });
  });

  it('is refused where no channel of the model has responses, and says so', async () => {
    await start({ channel: { responses: false } });
    expect((await rig.post(BODY)).json).toMatchObject({
      code: 'invalid_request',
      details: { field: 'model' },
    });
  });

  it('goes over the channels that have responses alone', async () => {
    await start();
    const chatOnly = channel('http://127.0.0.1:9/v1', {
      id: 'chat-only',
      priority: 9,
      responses: false,
    });
    const other = channel('http://127.0.0.1:9/v1', {
      id: 'claude',
      priority: 8,
      provider: 'anthropic',
    });
    const both = channel(rig.upstream.url);
    rig.routing.replace([chatOnly, other, both]);
    rig.catalogue.replace([
      {
        ...rig.catalogue.tokenEntry('m1').model,
        routes: [
          { channel: 'chat-only', model: 'a' },
          { channel: 'claude', model: 'b' },
          { channel: 'main', model: 'c' },
        ],
      },
    ]);
    rig.upstream.usually(json(200, response()));
    expect((await rig.post(BODY)).status).toBe(200);
    expect(sent().json['model']).toBe('c');
  });
});

describe('a whole response', () => {
  it('passes as it is and costs its usage', async () => {
    await start();
    rig.upstream.usually(json(200, response()));
    const answer = await rig.post(BODY);
    expect(answer.json).toEqual(response());
    expect(answer.headers.get('x-request-cost')).toBe('0.00000007');
    expect(await rig.charged()).toBe(COST);
    expect(await rig.lastUsage()).toMatchObject({ cached_input_tokens: 4, reasoning_tokens: 2 });
  });

  it('that stopped at its limit while it thought costs its usage (U-12)', async () => {
    await start();
    const incomplete = {
      status: 'incomplete',
      output: [],
      incomplete_details: { reason: 'max_output_tokens' },
    };
    rig.upstream.usually(json(200, response(incomplete)));
    expect((await rig.post(BODY)).status).toBe(200);
    expect(await rig.charged()).toBe(COST);
  });

  it.each([
    ['failed', { status: 'failed', output: [], error: { code: 'server_error', message: 'boom' } }],
    ['cancelled', { status: 'cancelled', output: [] }],
    ['queued', { status: 'queued', output: [], usage: null }],
  ])('that is %s costs nothing, and is an error', async (_name, change) => {
    await start();
    rig.upstream.usually(json(200, response(change)));
    expect((await rig.post(BODY)).json).toMatchObject({ code: 'upstream_failed' });
    expect(await rig.charged()).toBe(0);
    expect(await rig.held()).toBe(0);
  });

  it('without usage is counted from its text, and never free', async () => {
    await start();
    rig.upstream.usually(json(200, response({ usage: null })));
    expect((await rig.post(BODY)).status).toBe(200);
    expect(await rig.lastUsage()).toMatchObject({ estimated: true, output_tokens: 4 });
    expect(await rig.charged()).toBeGreaterThan(40);
  });

  it('that is none is an error', async () => {
    await start();
    rig.upstream.usually(json(200, { object: 'chat.completion', choices: [] }));
    expect((await rig.post(BODY)).json).toMatchObject({ code: 'upstream_failed' });
  });
});

describe('a streamed response', () => {
  it.each([
    ['completed', {}],
    ['incomplete', { incomplete_details: { reason: 'max_output_tokens' } }],
  ])(
    'passes byte for byte until %s, and costs the usage that this says (U-12)',
    async (type, more) => {
      await start();
      const events = [...opening(), last(type, more)];
      rig.upstream.usually(named(events));
      const answer = await rig.post(STREAM);
      expect(answer.status).toBe(200);
      expect(passed(answer.text)).toBe(events.map((event) => eventText(event)).join(''));
      expect(answer.final).toMatchObject({ cost: '0.00000007' });
      expect(answer.text.indexOf(': farebox')).toBeLessThan(
        answer.text.indexOf(`event: response.${type}`),
      );
      expect(await rig.charged()).toBe(COST);
    },
  );

  it('passes in any pieces, with any line ends, also without names', async () => {
    await start();
    for (const newline of ['\n', '\r\n']) {
      const events = [...opening(), last('completed')];
      const text = events.map((event) => eventText(event, newline)).join('');
      rig.upstream.next(async (reply) => {
        startStream(reply);
        for (let at = 0; at < text.length; at += 7) await write(reply, text.slice(at, at + 7));
        reply.end();
      });
      expect(passed((await rig.post(STREAM)).text)).toBe(text);
    }
    const bare = [...opening(), last('completed')].map(
      (event) => `data: ${JSON.stringify(event)}\n\n`,
    );
    rig.upstream.next(raw(200, 'text/event-stream', bare.join('')));
    expect(passed((await rig.post(STREAM)).text)).toBe(bare.join(''));
    expect(await rig.charged()).toBe(3 * COST);
  });

  it('ends with its last event, whatever the upstream does then', async () => {
    await start();
    rig.upstream.usually(named([...opening(), last('completed')], 'hang'));
    const answer = await rig.post(STREAM);
    expect(answer.text.trimEnd().endsWith('}')).toBe(true);
    expect(await rig.charged()).toBe(COST);
  });

  it('that fails before any output costs nothing', async () => {
    await start();
    const failed = last('failed', { output: [], error: { code: 'server_error', message: 'boom' } });
    rig.upstream.usually(raw(200, 'text/event-stream', eventText(failed)));
    expect((await rig.post(STREAM)).json).toMatchObject({
      code: 'upstream_failed',
      message: 'The upstream failed: boom',
    });
    const created = opening().slice(0, 2);
    rig.upstream.usually(named([...created, failed]));
    const late = await rig.post(STREAM);
    expect(late.text).toContain('event: response.failed');
    expect(await rig.charged()).toBe(0);
    expect(await rig.held()).toBe(0);
  });

  it('that says error before any output is tried nowhere twice, and costs nothing', async () => {
    await start();
    const error = responseEvent('error', {
      code: 'rate_limit_exceeded',
      message: 'slow',
      param: null,
    });
    rig.upstream.usually(raw(200, 'text/event-stream', eventText(error)));
    expect((await rig.post(STREAM)).json).toMatchObject({ code: 'upstream_busy' });
    expect(rig.upstream.requests).toHaveLength(1);
    expect(await rig.charged()).toBe(0);
  });

  it('that fails after some output costs what was delivered, and the error passes', async () => {
    await start();
    const failed = last('failed', {
      output: [],
      usage: null,
      error: { code: 'x', message: 'boom' },
    });
    rig.upstream.usually(named([...opening(), failed]));
    const answer = await rig.post(STREAM);
    expect(answer.text).toContain('event: response.failed');
    expect(answer.text).not.toContain('event: error');
    expect(await rig.lastUsage()).toMatchObject({ estimated: true, output_tokens: 4 });
  });

  it('that breaks after some output ends in an error event of the dialect, and costs what was delivered (C-10)', async () => {
    await start();
    rig.upstream.usually(named(opening(), 'cut'));
    const answer = await rig.post(STREAM);
    const error = JSON.parse(answer.events.at(-1)!) as Record<string, unknown>;
    expect(answer.text).toContain('event: error\n');
    expect(error).toMatchObject({ type: 'error', code: 'upstream_failed', sequence_number: 6 });
    expect(rig.upstream.requests).toHaveLength(1);
    expect(await rig.lastUsage()).toMatchObject({ estimated: true, output_tokens: 4 });
    expect(await rig.held()).toBe(0);
  });

  it('that ends in the middle of an event gives nobody half of one', async () => {
    await start();
    const text = opening()
      .map((event) => eventText(event))
      .join('');
    rig.upstream.usually(
      raw(200, 'text/event-stream', `${text}event: response.completed\ndata: {"ty`),
    );
    const answer = await rig.post(STREAM);
    expect(answer.text).toContain('event: error\n');
    expect(answer.text).not.toContain('response.completed');
  });

  it('whose last event lacks its blank line is whole all the same', async () => {
    await start();
    const text = [...opening(), last('completed')].map((event) => eventText(event)).join('');
    rig.upstream.usually(raw(200, 'text/event-stream', text.trimEnd()));
    const answer = await rig.post(STREAM);
    expect(answer.text).not.toContain('event: error');
    expect(await rig.charged()).toBe(COST);
  });

  it('counts calls of tools as output', async () => {
    await start();
    const call = responseEvent('response.function_call_arguments.delta', {
      delta: '{"q":"boats"}',
    });
    rig.upstream.usually(named([...opening().slice(0, 2), call], 'cut'));
    await rig.post(STREAM);
    expect(await rig.lastUsage()).toMatchObject({ estimated: true });
    expect((await rig.lastUsage())!['output_tokens']).toBeGreaterThan(3);
  });

  it('never says our key, whole or split over events', async () => {
    await start();
    const secret = 'sk-upstream-0123456789abcdef';
    rig.upstream.usually(named([...opening(), textDelta(`key ${secret}`), last('completed')]));
    const answer = await rig.post(STREAM);
    expect(answer.text).not.toContain(secret);
    expect(answer.text).toContain('[redacted]');
  });

  it('refuses an event longer than the bound', async () => {
    await start({ limits: { sseLineBytes: 4_096 } });
    rig.upstream.usually(named([...opening(), textDelta('x'.repeat(1_000_000))]));
    const answer = await rig.post(STREAM);
    expect(answer.text).toContain('event: error\n');
    expect(answer.text).not.toContain('xxxx');
  });

  it('may say long instructions again, whatever the bound of other events', async () => {
    await start({ limits: { sseLineBytes: 4_096 } });
    const instructions = 'Be kind. '.repeat(10_000);
    const events = [
      ...opening().map((event) => ({ ...event, ...('response' in event && { instructions }) })),
      last('completed', { instructions }),
    ];
    rig.upstream.usually(named(events));
    const answer = await rig.post({ ...STREAM, instructions });
    expect(passed(answer.text)).toBe(events.map((event) => eventText(event)).join(''));
  });

  it('is silent no longer than the keep-alive allows, in comments', async () => {
    await start({ limits: { sseKeepAliveMs: 20 } });
    rig.upstream.usually(hang());
    const gone = new AbortController();
    const reply = await rig.open(STREAM, { signal: gone.signal });
    const { value } = (await reply.body!.getReader().read()) as { value: Uint8Array };
    expect(Buffer.from(value).toString()).toBe(': keep-alive\n\n');
    gone.abort();
    await rig.settled(1);
  });

  it('that its caller leaves before any output costs the input (C-9)', async () => {
    await start();
    rig.upstream.usually(hang());
    const gone = new AbortController();
    const left = rig.open(STREAM, { signal: gone.signal }).catch(() => null);
    await rig.upstream.arrived(1);
    gone.abort();
    await left;
    await rig.settled(1);
    expect(await rig.lastUsage()).toMatchObject({ estimated: true, output_tokens: 0 });
    expect(await rig.charged()).toBeGreaterThan(0);
  });
});
