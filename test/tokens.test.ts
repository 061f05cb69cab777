import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { estimateText, inputTokens, outputTokensOf } from '../src/tokens.ts';

interface Counted {
  name: string;
  o200k: number;
  cl100k: number;
  text: string;
}

/** Counted once with gpt-tokenizer 4.0.0. */
const corpus = JSON.parse(
  readFileSync(new URL('fixtures/token-counts.json', import.meta.url), 'utf8'),
) as Counted[];

const inBody = (text: string) =>
  Buffer.from(JSON.stringify({ model: 'm', messages: [{ role: 'user', content: text }] }));

describe('the estimate of a text', () => {
  it.each(corpus)('is never below what GPT counts: $name', ({ text, o200k, cl100k }) => {
    const { tokens } = estimateText(inBody(text));
    // Around a message the template adds three tokens, and three for the answer.
    expect(tokens).toBeGreaterThanOrEqual(Math.max(o200k, cl100k) + 6);
    // Nor is it hidden in the overhead of a short body: many copies are as safe as one.
    const many = estimateText(inBody(text.repeat(20)));
    expect(many.tokens).toBeGreaterThanOrEqual(20 * Math.max(o200k, cl100k));
  });

  it.each(['English', 'Markdown', 'TypeScript', 'Python', 'SQL'])(
    'is not much above it: %s',
    (name) => {
      const { text, o200k } = corpus.find((counted) => counted.name === name)!;
      expect(estimateText(inBody(text.repeat(20))).tokens).toBeLessThan(20 * o200k * 2.3);
    },
  );

  it('is at most four tokens a byte and never nothing', () => {
    expect(estimateText(Buffer.alloc(0)).tokens).toBeGreaterThan(0);
    for (let byte = 0; byte < 256; byte++) {
      expect(estimateText(Buffer.alloc(1_000, byte)).tokens).toBeLessThanOrEqual(4_010);
    }
  });

  it('takes time in proportion to the bytes, whatever they are', () => {
    const hostile = [
      'a',
      ' ',
      '"',
      '\\',
      '{[',
      'a1',
      ';base64,',
      ';base64,"',
      '\u{1f600}',
      '\ud800',
    ];
    const time = (text: string, bytes: number) => {
      const body = Buffer.from(text.repeat(Math.ceil(bytes / Buffer.byteLength(text))));
      const best = [1, 2, 3].map(() => {
        const from = performance.now();
        estimateText(body);
        return performance.now() - from;
      });
      return Math.min(...best);
    };
    for (const text of hostile) time(text, 100_000);
    for (const text of hostile) {
      const few = time(text, 200_000);
      const many = time(text, 3_200_000);
      // Sixteen times the bytes; a square law would be 256 times the time.
      expect(many, text).toBeLessThan(few * 16 * 6 + 20);
    }
  });
});

const media = (images: number, bytes: number) => ({
  images,
  originals: 0,
  imageBytes: bytes,
  dataBytes: bytes,
  rawTokens: 0,
  audioTokens: 0,
  hiddenTokens: 0,
});

describe('the estimate of an image', () => {
  const url = `data:image/png;base64,${'iVBORw0KGgo'.repeat(1_000)}`;
  const body = inBody(url);

  it('is a flat number of tokens and a little for its size', () => {
    const text = estimateText(body);
    expect(text).toMatchObject({ dataRuns: 1, dataBytes: 11_000 });
    const tokens = inputTokens(text, media(1, 11_000));
    expect(tokens - text.tokens).toBe(5_000 + 110);
  });

  it('is a token a byte for what is no image part', () => {
    const text = estimateText(body);
    expect(inputTokens(text, media(0, 0)) - text.tokens).toBe(11_000);
    expect(inputTokens(text, media(1, 1_000)) - text.tokens).toBe(5_000 + 10 + 10_000);
  });

  it('is the flat number where the image is only named', () => {
    const text = estimateText(inBody('https://example.com/cat.png'));
    expect(inputTokens(text, media(2, 0)) - text.tokens).toBe(10_000);
  });
});

it('output that nobody counted is about a token per three bytes', () => {
  expect(outputTokensOf(0)).toBe(0);
  expect(outputTokensOf(1)).toBe(1);
  expect(outputTokensOf(3_200)).toBe(1_000);
});
