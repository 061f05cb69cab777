import { describe, expect, it } from 'vitest';
import { parseRequest } from '../../src/chat/request.ts';
import { openai } from '../../src/providers/openai.ts';
import type { StreamMeter } from '../../src/providers/provider.ts';
import { DONE, event, line, ROLE, STOP, USAGE, usageEvent, words } from '../support/upstream.ts';

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
    return openai.meter(request, {
      sseLineBytes,
      secrets: ['sk-secret-key'],
      reportedCost: 'usage.cost',
    });
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
      errorStatus: null,
      upstreamCostUsd: null,
    });
    const crlf = text.replaceAll('\n', '\r\n');
    expect(pass(crlf, size)).toMatchObject({
      out: chunks.join('').replaceAll('\n', '\r\n'),
      done: DONE.replaceAll('\n', '\r\n'),
      outputBytes: 25,
    });
    expect(pass(text, size, true).out).toBe([...chunks, usageEvent()].join(''));
  });

  it('reads events that are all alike as it reads the first one', () => {
    const alike = words(20).map((word, index) =>
      word.replace('word', index % 5 ? 'w' : 'wo\\"r\\nd'),
    );
    const one = alike
      .map((piece) => pass(piece).outputBytes)
      .reduce((sum, bytes) => sum + bytes, 0);
    const gauge = meter();
    const chunks = [
      ROLE,
      ...alike,
      event({ content: 'the key is sk-secret-key' }),
      event({ content: 'x"usage"' }),
    ];
    const out = chunks.flatMap((chunk) => gauge.push(Buffer.from(chunk))).join('');
    expect(out).toBe(chunks.join('').replace('sk-secret-key', '[redacted]'));
    expect(gauge.measured()).toMatchObject({
      outputBytes: one + 21 + 10,
      usage: null,
      isComplete: false,
    });
    gauge.push(Buffer.from(STOP));
    gauge.push(Buffer.from(usageEvent()));
    gauge.push(Buffer.from(DONE));
    expect(gauge.measured()).toMatchObject({ usage: { inputTokens: 20 }, isComplete: true });
    expect(gauge.isDone()).toBe(true);
  });

  it('sees a finish and usage on events that begin and end like the others', () => {
    const gauge = meter(true);
    for (const chunk of words(3, null)) gauge.push(Buffer.from(chunk));
    gauge.push(Buffer.from(event({ content: ' x' }, { finish: 'stop', usage: USAGE })));
    expect(gauge.measured()).toMatchObject({ usage: { outputTokens: 5 }, isComplete: true });
  });

  it('takes a key out of what surrounds the text, every time', () => {
    const gauge = meter();
    const chunks = Array.from({ length: 5 }, () =>
      line({ choices: [{ delta: { content: 'a' } }], by: 'sk-secret-key' }),
    );
    expect(chunks.flatMap((chunk) => gauge.push(Buffer.from(chunk))).join('')).not.toContain(
      'sk-secret-key',
    );
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
