import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRequest } from '../../src/chat/request.ts';
import { openai } from '../../src/providers/openai.ts';
import type { StreamMeter } from '../../src/providers/provider.ts';
import { channel } from '../support/chat.ts';
import {
  DONE,
  event,
  line,
  ROLE,
  STOP,
  USAGE,
  usageEvent,
  wholeBody,
  words,
} from '../support/upstream.ts';

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
      key.startsWith('max_') ? fc.integer({ min: 1, max: 99 }) : fc.jsonValue();
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
            Object.entries(body).filter(([key]) => !own.includes(key)),
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
  const read = (answer: object) => openai.readChat(Buffer.from(JSON.stringify(answer)));

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
    expect(openai.readChat(Buffer.from('<html>'))).toBeNull();
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
    );
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('the meter of a stream', () => {
  const meter = (wantsUsage = false, sseLineBytes = 65_536): StreamMeter => {
    const { request } = parseRequest(
      Buffer.from(
        JSON.stringify({
          model: 'm',
          messages: [{}],
          stream: true,
          stream_options: { include_usage: wantsUsage },
        }),
      ),
    );
    return openai.meter(request, { sseLineBytes, secrets: ['sk-secret-key'] });
  };
  function pass(text: string, size = Infinity, wantsUsage = false) {
    const bytes = Buffer.from(text);
    const gauge = meter(wantsUsage);
    const out: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size)
      out.push(...gauge.push(bytes.subarray(at, at + size)));
    const { rest, done } = gauge.end();
    return {
      out: Buffer.concat([...out, ...rest]).toString(),
      done: done?.toString() ?? null,
      ...gauge.measured(),
    };
  }

  const chunks = [
    ': hello\n\n',
    ROLE,
    event({ content: 'caf\u00e9 \u4e2d\u{1f600}' }),
    ...words(2),
    STOP,
  ];

  it.each([1, 2, 7, 64, 1_000, Infinity])('gives the same for pieces of %s bytes', (size) => {
    const text = [...chunks, usageEvent(), DONE].join('');
    expect(pass(text, size)).toEqual({
      out: chunks.join(''),
      done: DONE,
      usage: {
        inputTokens: 20,
        outputTokens: 5,
        cachedInputTokens: 0,
        cacheWriteTokens: 0,
        reasoningTokens: 0,
      },
      outputBytes: 13 + 12,
      isComplete: true,
      error: null,
    });
    const crlf = text.replaceAll('\n', '\r\n');
    expect(pass(crlf, size)).toMatchObject({
      out: chunks.join('').replaceAll('\n', '\r\n'),
      done: DONE.replaceAll('\n', '\r\n'),
      outputBytes: 25,
    });
    expect(pass(text, size, true).out).toBe([...chunks, usageEvent()].join(''));
  });

  it('passes on the very buffers that came in, where there is nothing to take out', () => {
    const chunk = Buffer.from(event({ content: 'x' }));
    expect(meter().push(chunk)[0]).toBe(chunk);
  });

  it('counts text, reasoning and tool arguments, and no ids, roles or fingerprints', () => {
    const delta = (value: object) =>
      pass(line({ choices: [{ delta: value }], system_fingerprint: 'fp_0123456789' })).outputBytes;
    expect(delta({ role: 'assistant' })).toBe(0);
    expect(delta({ content: null, refusal: null })).toBe(0);
    expect(delta({ role: 'assistant', content: 'abc' })).toBe(3);
    expect(delta({ reasoning_content: 'ab' })).toBe(2);
    expect(delta({ content: 'say "delta": {' })).toBe(16);
    const call = {
      index: 0,
      id: 'call_123456',
      type: 'function',
      function: { name: 'f', arguments: '{"a"' },
    };
    expect(delta({ tool_calls: [call] })).toBe(1 + 6);
    expect(
      pass(line({ choices: [{ delta: { content: 'a' } }, { delta: { content: 'bc' } }] }))
        .outputBytes,
    ).toBe(3);
    expect(
      pass('data: {"choices": [{"finish_reason": null, "delta": {"content": "abc"}}]}\n\n')
        .outputBytes,
    ).toBe(3);
  });

  it('is not fooled by text that looks like what it seeks', () => {
    const text = [
      '"usage":{"prompt_tokens":9}',
      '"error": {"message":"x"}',
      '"finish_reason":"stop"',
      'usage',
      'data: [DONE]',
    ];
    for (const content of text) {
      const chunk = event({ content });
      expect(pass(chunk)).toMatchObject({
        out: chunk,
        done: null,
        usage: null,
        error: null,
        isComplete: false,
      });
    }
  });

  it.each([
    ['on the last chunk', [event({}, { finish: 'stop', usage: USAGE })], true],
    ['on every chunk', words(3, USAGE), true],
    ['in x_groq', [line({ choices: [], x_groq: { usage: USAGE } })], false],
    ['with blanks', [`data: {"choices": [ ], "usage" : ${JSON.stringify(USAGE)}}\n\n`], false],
    [
      'without a blank after data',
      [`data:{"choices":[],"usage":${JSON.stringify(USAGE)}}\n\n`],
      false,
    ],
  ])('finds usage %s', (_where, pieces, isPassedOn) => {
    const { usage, out } = pass(pieces.join(''));
    expect(usage).toMatchObject({ inputTokens: 20, outputTokens: 5 });
    expect(out).toBe(isPassedOn ? pieces.join('') : '');
  });

  it('passes on usage that is null, as some servers put it on every chunk', () => {
    const chunk = event({ content: 'a' }, { usage: null });
    expect(pass(chunk)).toMatchObject({ out: chunk, usage: null });
  });

  it('sees errors of every form', () => {
    expect(pass(line({ error: { message: 'm' } })).error).toBe('m');
    expect(pass('event: error\ndata: {"message":"m"}\n\n').error).toBe('m');
    expect(pass('event: error\ndata: gone\n\n').error).toBe('gone');
    expect(pass(event({}, { finish: 'error' })).error).not.toBeNull();
    expect(pass(line({ error: null, choices: [] })).error).toBeNull();
  });

  it('drops an event that was cut off, and keeps one that only lacks its end', () => {
    const whole = event({ content: 'abc' });
    expect(pass(whole + whole.slice(0, -10)).out).toBe(whole);
    expect(pass(whole + whole.trimEnd()).out).toBe(whole + whole);
    expect(pass(`${whole}data: [DONE]`)).toMatchObject({ out: whole, isComplete: true });
    expect(pass(`${whole}data: [DONE]`).done).toMatch(/^data: \[DONE\]\n\n/);
  });

  it('says nothing of what follows the end', () => {
    expect(pass(DONE + event({ content: 'late' }))).toMatchObject({
      out: '',
      outputBytes: 0,
      isComplete: false,
    });
  });

  it('takes secrets out, also where they are split', () => {
    const echo = event({ content: 'the key is sk-secret-key.' });
    for (const size of [3, 50, Infinity])
      expect(pass(echo, size).out).toBe(echo.replace('sk-secret-key', '[redacted]'));
  });

  it('refuses a line without end, in memory that is bounded (U-6)', () => {
    const gauge = meter(false, 10_000);
    const one = Buffer.from('x');
    expect(() => {
      for (let count = 0; count < 20_000; count++) gauge.push(one);
    }).toThrow(expect.objectContaining({ code: 'upstream_failed' }));
  });

  it('takes a million small chunks in reasonable time (U-6)', () => {
    const gauge = meter();
    const pieces = Buffer.from(event({ content: 'ab' }));
    const from = performance.now();
    let out = 0;
    for (let count = 0; count < 1e6; count++) {
      const at = (count * 4) % (pieces.length - (pieces.length % 4));
      for (const piece of gauge.push(pieces.subarray(at, at + 4))) out += piece.length;
    }
    expect(out).toBeGreaterThan(0);
    expect(performance.now() - from).toBeLessThan(8_000);
  });
});
