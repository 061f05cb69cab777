import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  countAhead,
  estimateText,
  inputTokens,
  outputTokensOf,
  type Tokenizer,
} from '../src/tokens.ts';

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

/** Characters of CJK by chance, the same ones each time; a megabyte of them over and over. */
function randomCjk(bytes: number): string {
  let state = 1;
  const characters = Array.from({ length: 350_000 }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return String.fromCharCode(0x4e00 + (state % 0x5200));
  });
  const count = Math.ceil(bytes / 3);
  const megabyte = characters.join('');
  return megabyte.repeat(Math.ceil(count / megabyte.length)).slice(0, count);
}

const TEXTS: Record<string, (bytes: number) => string> = {
  a: (bytes) => 'a'.repeat(bytes),
  blanks: (bytes) => ' '.repeat(bytes),
  'random CJK': randomCjk,
};
const tokenizers: Tokenizer[] = ['weighed', 'heuristic'];

describe('counting up to 10 MB', () => {
  /** Milliseconds of this process's CPU, the least of a few tries: others have the machine, too. */
  const cpuMs = (body: Buffer, tokenizer: Tokenizer) => {
    // What is counted once is known: each try has a body of its own.
    const tries = [1, 2, 3, 4, 5].map(() => Buffer.from(body));
    const times = tries.map((copy) => {
      const from = process.cpuUsage();
      estimateText(copy, tokenizer);
      const { user, system } = process.cpuUsage(from);
      return (user + system) / 1_000;
    });
    return Math.min(...times);
  };

  it.each(tokenizers)('costs twice as much for twice as much (%s)', (tokenizer) => {
    const lines: string[] = [];
    for (const [name, text] of Object.entries(TEXTS)) {
      cpuMs(inBody(text(1_000_000)), tokenizer);
      for (const bytes of [2_500_000, 5_000_000]) {
        const [one, two] = [inBody(text(bytes)), inBody(text(2 * bytes))];
        let once = cpuMs(one, tokenizer);
        let twice = cpuMs(two, tokenizer);
        // A busy machine is no square law: what is one stays one.
        for (let tries = 0; tries < 3 && twice > once * 2.5; tries++) {
          once = cpuMs(one, tokenizer);
          twice = cpuMs(two, tokenizer);
        }
        lines.push(`${tokenizer} ${name}, ${bytes / 1e6} MB: ${once} ms, twice that: ${twice} ms`);
        expect(twice, lines.at(-1)).toBeLessThanOrEqual(once * 2.5);
      }
    }
    console.log(lines.join('\n'));
  });

  it.each(tokenizers)(
    'lets others have their turn at each quarter of a megabyte (%s)',
    async (tokenizer) => {
      for (const [name, text] of Object.entries(TEXTS)) {
        const body = inBody(text(10_000_000));
        let turns = 0;
        let isDone = false;
        const counting = countAhead(body, tokenizer)!.then(() => (isDone = true));
        while (!isDone) {
          await new Promise((resolve) => setImmediate(resolve));
          turns++;
        }
        await counting;
        expect(turns, name).toBeGreaterThanOrEqual(38);
        // What was counted ahead is what counting at once comes to.
        const ahead = estimateText(body, tokenizer);
        expect(ahead).toBe(estimateText(body, tokenizer));
        expect(ahead).toEqual(estimateText(Buffer.from(body), tokenizer));
      }
    },
  );

  it('is no different where a slice ends in the middle of an image', async () => {
    const pieces = Array.from({ length: 40 }, (_, n) => `data:x;base64,${'A'.repeat(n * 9_000)}`);
    const body = Buffer.from(
      JSON.stringify(pieces.flatMap((piece) => [piece, 'word '.repeat(99)])),
    );
    await countAhead(body, 'weighed');
    const { tokens, dataRuns, dataBytes } = estimateText(body);
    expect([dataRuns, dataBytes]).toEqual([40, 9_000 * 780]);
    const text = Buffer.from(body.toString().replaceAll(/A+/g, ''));
    expect(tokens).toBe(estimateText(text).tokens);
  });

  it('is not put off for a small body', () => {
    expect(countAhead(Buffer.alloc(262_144), 'weighed')).toBeNull();
  });
});

describe('the heuristic', () => {
  const count = (text: string) => estimateText(Buffer.from(text), 'heuristic').tokens - 8;

  it('is three quarters of a token a character, and a token for 3.2 bytes', () => {
    expect(count('a'.repeat(1_000))).toBe(750);
    expect(count('漢'.repeat(1_000))).toBe(Math.ceil(3_000 / 3.2));
    expect(count('é'.repeat(1_000))).toBe(750);
  });

  it.each(corpus.filter(({ name }) => /^(English|German|Markdown|TypeScript|JSON)$/.test(name)))(
    'is enough for what people write: $name',
    ({ text, o200k, cl100k }) => expect(count(text)).toBeGreaterThan(Math.max(o200k, cl100k)),
  );

  it('leaves a body of base64 that is no text its other words', () => {
    const text = estimateText(
      Buffer.from('word '.repeat(1_000) + '9+/'.repeat(10_000)),
      'heuristic',
    );
    const without = inputTokens(text, { ...media(0, 0), rawTokens: 30_000 });
    expect(without).toBeGreaterThanOrEqual(3_750);
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
