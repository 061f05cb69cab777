import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRequest } from '../../src/chat/request.ts';
import { openai } from '../../src/providers/openai.ts';
import { channel } from '../support/chat.ts';
import { USAGE, wholeBody } from '../support/upstream.ts';

const MESSAGES = '"messages":[{"role":"user","content":"caf\u00e9 \\u4e2d \\/ "}]';

function sent(body: string, edits = {}, more = {}): string {
  const { request } = parseRequest(Buffer.from(body));
  const all = { upstreamModel: 'm', outputLimit: 50, ...edits };
  return openai.chat(channel('http://h/v1/', more), request, all).body.toString();
}

describe('the body that is sent', () => {
  it('is the caller’s, byte for byte, where nothing is to be changed', () => {
    const body = ` {\t"model":"m", ${MESSAGES} ,"max_tokens":50,\r\n"x":1e-7 ,"y":12345678901234567890} \n`;
    expect(sent(body)).toBe(body);
  });

  it.each([
    [
      'the model',
      `{"model":"m",${MESSAGES},"max_tokens":50}`,
      { upstreamModel: 'a/"b"' },
      `{"model":"a/\\"b\\"",${MESSAGES},"max_tokens":50}`,
    ],
    [
      'a lower limit',
      `{"max_tokens": 99 ,"model":"m",${MESSAGES}}`,
      {},
      `{"max_tokens": 50 ,"model":"m",${MESSAGES}}`,
    ],
    [
      'a limit where there is none',
      `{ "model":"m",${MESSAGES}}`,
      {},
      `{"max_tokens":50, "model":"m",${MESSAGES}}`,
    ],
    [
      'a limit for null',
      `{"model":"m",${MESSAGES},"max_tokens":null}`,
      {},
      `{"model":"m",${MESSAGES},"max_tokens":50}`,
    ],
    [
      'a limit in plain digits',
      `{"model":"m",${MESSAGES},"max_tokens":5e1}`,
      {},
      `{"model":"m",${MESSAGES},"max_tokens":50}`,
    ],
    [
      'the name that the channel obeys',
      `{"model":"m",${MESSAGES},"max_completion_tokens":50}`,
      {},
      `{"max_tokens":50,"model":"m",${MESSAGES}}`,
    ],
    [
      'one limit for two',
      `{"max_completion_tokens":70,"model":"m","max_tokens":50,${MESSAGES}}`,
      {},
      `{"model":"m","max_tokens":50,${MESSAGES}}`,
    ],
    [
      'no field of ours',
      `{"max_credits":5,"model":"m","quote_id":"q",${MESSAGES},"max_tokens":50,"callback_url":"u"}`,
      {},
      `{"model":"m",${MESSAGES},"max_tokens":50}`,
    ],
    [
      'none of several in a row',
      `{"max_credits":5, "quote_id":"q" , "model":"m",${MESSAGES},"max_tokens":50}`,
      {},
      `{"model":"m",${MESSAGES},"max_tokens":50}`,
    ],
    [
      'the question for usage',
      `{"model":"m",${MESSAGES},"max_tokens":50,"stream":true}`,
      {},
      `{"stream_options":{"include_usage":true},"model":"m",${MESSAGES},"max_tokens":50,"stream":true}`,
    ],
    [
      'it among other options',
      `{"model":"m",${MESSAGES},"max_tokens":50,"stream":true,"stream_options":{"a":[1]}}`,
      {},
      `{"model":"m",${MESSAGES},"max_tokens":50,"stream":true,"stream_options":{"include_usage":true,"a":[1]}}`,
    ],
    [
      'it in place of no',
      `{"model":"m",${MESSAGES},"max_tokens":50,"stream":true,"stream_options":{"include_usage": false}}`,
      {},
      `{"model":"m",${MESSAGES},"max_tokens":50,"stream":true,"stream_options":{"include_usage": true}}`,
    ],
    [
      'it in no options',
      `{"model":"m",${MESSAGES},"max_tokens":50,"stream":true,"stream_options":{}}`,
      {},
      `{"model":"m",${MESSAGES},"max_tokens":50,"stream":true,"stream_options":{"include_usage":true}}`,
    ],
    [
      'it in place of null',
      `{"model":"m",${MESSAGES},"max_tokens":50,"stream":true,"stream_options":null}`,
      {},
      `{"model":"m",${MESSAGES},"max_tokens":50,"stream":true,"stream_options":{"include_usage":true}}`,
    ],
  ])('has %s', (_what, body, edits, expected) => {
    expect(sent(body, edits)).toBe(expected);
  });

  it('is not asked for usage twice, nor without a stream', () => {
    const asked = `{"model":"m",${MESSAGES},"max_tokens":50,"stream":true,"stream_options":{"include_usage":true}}`;
    expect(sent(asked)).toBe(asked);
    const whole = `{"model":"m",${MESSAGES},"max_tokens":50,"stream":false}`;
    expect(sent(whole)).toBe(whole);
  });

  it('means what the caller meant, for any body', () => {
    const name = fc.constantFrom(
      'a',
      'b"\\',
      '\u4e2d',
      'temperature',
      'max_credits',
      'quote_id',
      'max_tokens',
      'max_completion_tokens',
    );
    const own = ['max_credits', 'quote_id', 'max_tokens', 'max_completion_tokens'];
    const value = (key: string) =>
      key.startsWith('max_')
        ? fc.integer({ min: 1, max: 99 })
        : key === 'quote_id'
          ? fc.string()
          : fc.jsonValue();
    const fields = fc
      .uniqueArray(name)
      .chain((keys) => fc.tuple(...keys.map((key) => fc.tuple(fc.constant(key), value(key)))));
    fc.assert(
      fc.property(
        fields,
        fc.nat(8),
        fc.constantFrom(0, 1, 4),
        fc.boolean(),
        (others, at, indent, isStream) => {
          const members: [string, unknown][] = [...others];
          members.splice(
            at,
            0,
            ['model', 'm'],
            ['messages', [{ role: 'user' }]],
            ['stream', isStream],
          );
          const body = Object.fromEntries(members) as Record<string, unknown>;
          const got = JSON.parse(
            sent(JSON.stringify(body, null, indent), { upstreamModel: 'up' }),
          ) as Record<string, unknown>;
          const expected = Object.fromEntries(
            Object.entries(JSON.parse(JSON.stringify(body)) as object).filter(
              ([key]) => !own.includes(key),
            ),
          );
          expect(got).toEqual({
            ...expected,
            model: 'up',
            max_tokens: 50,
            ...(isStream && { stream_options: { include_usage: true } }),
          });
        },
      ),
    );
  });

  it('goes to the channel’s path, with its key and its headers', () => {
    const { request } = parseRequest(Buffer.from(`{"model":"m",${MESSAGES},"stream":true}`));
    const way = channel('https://h.example/api/v1/', { headers: { 'X-Title': 't' }, apiKey: 'k' });
    expect(openai.chat(way, request, { upstreamModel: 'm', outputLimit: 1 })).toMatchObject({
      path: '/api/v1/chat/completions',
      headers: {
        authorization: 'Bearer k',
        'x-title': 't',
        accept: 'text/event-stream',
        'accept-encoding': 'identity',
      },
    });
    const open = channel('http://h', { apiKey: null });
    const bare = openai.chat(open, request, { upstreamModel: 'm', outputLimit: 1 });
    expect(bare.path).toBe('/chat/completions');
    expect(bare.headers).not.toHaveProperty('authorization');
  });
});

describe('a whole answer', () => {
  const read = (answer: object) =>
    openai.readChat(Buffer.from(JSON.stringify(answer)), { reportedCost: null });

  it('tells its usage, with what was cached and thought', () => {
    const usage = {
      prompt_tokens: 100,
      completion_tokens: 50,
      prompt_tokens_details: { cached_tokens: 40, cache_write_tokens: 5 },
      completion_tokens_details: { reasoning_tokens: 30 },
    };
    expect(read(wholeBody({ usage }))!.usage).toEqual({
      inputTokens: 100,
      outputTokens: 50,
      cachedInputTokens: 40,
      cacheWriteTokens: 5,
      reasoningTokens: 30,
    });
    expect(
      read(
        wholeBody({
          usage: { prompt_tokens: 9, prompt_cache_hit_tokens: 4, completion_tokens: 1 },
        }),
      )!.usage,
    ).toMatchObject({
      cachedInputTokens: 4,
    });
    expect(
      read(wholeBody({ usage: null, more: { x_groq: { usage: USAGE } } }))!.usage,
    ).toMatchObject({ inputTokens: 20 });
  });

  it('of llama.cpp tells it by its timings', () => {
    const timings = { prompt_n: 12, cache_n: 30, predicted_n: 7, predicted_ms: 80.5 };
    expect(read(wholeBody({ usage: null, more: { timings } }))!.usage).toEqual({
      inputTokens: 42,
      outputTokens: 7,
      cachedInputTokens: 30,
      cacheWriteTokens: 0,
      reasoningTokens: 0,
    });
    expect(read(wholeBody({ more: { timings } }))!.usage).toMatchObject({ inputTokens: 20 });
    expect(read(wholeBody({ usage: null, more: { timings: { prompt_n: 1 } } }))!.usage).toBeNull();
  });

  it('tells how much text there is in all of its choices and calls', () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } };
    const choices = [
      {
        message: { role: 'assistant', content: 'caf\u00e9', reasoning_content: 'hm' },
        finish_reason: 'stop',
      },
      {
        message: { content: [{ type: 'text', text: 'abc' }], tool_calls: [call] },
        finish_reason: 'tool_calls',
      },
    ];
    expect(read({ choices })).toMatchObject({
      outputBytes: 5 + 2 + 3 + 8,
      isComplete: true,
      error: null,
    });
  });

  it('is none without choices or an error', () => {
    expect(read({})).toBeNull();
    expect(read([])).toBeNull();
    expect(openai.readChat(Buffer.from('<html>'), { reportedCost: null })).toBeNull();
    expect(read({ error: 'dead' })).toMatchObject({ error: 'dead', isComplete: false });
    expect(read({ choices: [null, 5, { message: 3 }], usage: 'x' })).toMatchObject({
      usage: null,
      outputBytes: 0,
    });
  });

  it('with __proto__ in it changes nothing for anybody (U-9)', () => {
    openai.readChat(
      Buffer.from(
        '{"__proto__":{"polluted":1},"choices":[{"__proto__":{"polluted":1},"message":{}}],"usage":{"__proto__":{"prompt_tokens":5}}}',
      ),
      { reportedCost: null },
    );
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});
