import { afterEach, describe, expect, it } from 'vitest';
import { MODEL, type Rig, type RigOptions, startRig } from '../support/chat.ts';
import { json, whole, wholeBody } from '../support/upstream.ts';

let rig: Rig;
const start = async (options: RigOptions = {}) => (rig = await startRig(options));
afterEach(() => rig[Symbol.asyncDispose]());

const body = (...content: object[]) => ({
  model: 'm1',
  max_tokens: 10,
  messages: [{ role: 'user', content }],
});
const ceiling = (...content: object[]) =>
  rig.chat.price(Buffer.from(JSON.stringify(body(...content))))?.ceiling ?? null;
/** 1 nano-dollar an input token, 10 an output token, 30 one of sound. */
const HEARING = {
  capabilities: ['video_input'],
  price: {
    version: 'v1',
    rules: [...MODEL.price.rules, { unit: 'input_audio_token', per: 1_000_000, usd: '0.03' }],
  },
};

/** Plain samples of so many seconds; `rate` frames of two bytes a second. */
function wav(
  seconds: number,
  rate = 8_000,
  more: { format?: number; claims?: number } = {},
): string {
  const data = Buffer.alloc(seconds * rate * 2);
  const head = Buffer.alloc(44);
  head.write('RIFF', 0, 'latin1');
  head.writeUInt32LE(36 + data.length, 4);
  head.write('WAVEfmt ', 8, 'latin1');
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(more.format ?? 1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(more.claims ?? rate * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36, 'latin1');
  head.writeUInt32LE(data.length, 40);
  return Buffer.concat([head, data]).toString('base64');
}

const sound = (data: string, format: string) => ({
  type: 'input_audio',
  input_audio: { data, format },
});
const text = { type: 'text', text: 'What is this?' };

describe('sound in a chat', () => {
  it('passes on as it is, and its tokens cost their own price (U-15)', async () => {
    await start({ model: HEARING });
    const usage = {
      prompt_tokens: 100,
      completion_tokens: 5,
      prompt_tokens_details: { audio_tokens: 80 },
    };
    rig.upstream.usually(whole({ usage }));
    const asked = body(text, sound(wav(4), 'wav'));
    expect((await rig.post(asked)).status).toBe(200);
    expect(rig.upstream.requests[0]!.json).toEqual({ ...asked, model: 'up-1' });
    expect(await rig.charged()).toBe(20 * 1 + 80 * 30 + 5 * 10);
    expect(await rig.lastUsage()).toMatchObject({ input_audio_tokens: 80 });
  });

  it('is refused by a model that has no price for it', async () => {
    await start();
    const refused = await rig.post(body(text, sound(wav(1), 'wav')));
    expect(refused.json).toMatchObject({
      code: 'unsupported_parameter',
      details: { field: 'messages[0].content[1]' },
    });
    expect(rig.upstream.requests).toHaveLength(0);
  });

  it('is held by the second, never low and not by its bytes', async () => {
    await start({ model: HEARING });
    const silent = ceiling(text)!;
    // 40 tokens a second at 30 nano-dollars: Gemini counts 32, others fewer.
    for (const seconds of [1, 10, 60]) {
      const held = ceiling(text, sound(wav(seconds), 'wav'))! - silent;
      expect(held).toBeGreaterThanOrEqual(seconds * 32 * 30);
      expect(held).toBeLessThan(seconds * 41 * 30 + 500);
    }
    const mp3 = Buffer.alloc(16_000, 'ID3').toString('base64');
    const held = ceiling(text, sound(mp3, 'mp3'))! - silent;
    expect(held).toBeGreaterThanOrEqual(16 * 32 * 30);
    expect(held).toBeLessThan(16 * 41 * 30 + 500);
  });

  it('that could be of any length is held as all that the model can take', async () => {
    await start({ model: HEARING });
    const all = 100_000 * 30;
    const slow = wav(1, 8_000, { claims: 1 });
    for (const part of [
      sound(slow, 'wav'),
      sound(wav(1, 8_000, { format: 85 }), 'wav'),
      sound(wav(1), 'mp3'),
      sound('AAAA', 'flac'),
      sound('AAAA', 'wav'),
      sound('not base64!', 'mp3'),
      { type: 'audio_url', audio_url: { url: 'https://example.com/a.mp3' } },
    ]) {
      expect(ceiling(part), JSON.stringify(part).slice(0, 80)).toBeGreaterThanOrEqual(all);
    }
  });
});

describe('video in a chat', () => {
  it('is held as all that the model can see and hear, and passes on', async () => {
    await start({ model: HEARING });
    rig.upstream.usually(whole());
    const part = { type: 'video_url', video_url: { url: 'https://example.com/a.mp4' } };
    expect(ceiling(part)).toBeGreaterThanOrEqual(100_000 * 30);
    const inline = `data:video/mp4;base64,${'A'.repeat(400_000)}`;
    const held = ceiling({ type: 'video_url', video_url: { url: inline } })!;
    expect(held).toBeLessThan(100_000 * 30 + 10_000);
    const asked = body(text, part);
    expect((await rig.post(asked)).status).toBe(200);
    expect(rig.upstream.requests[0]!.json).toEqual({ ...asked, model: 'up-1' });
    expect(await rig.charged()).toBe(20 + 50);
  });

  it('is refused by a model that does not say it takes it', async () => {
    await start();
    const part = { type: 'video_url', video_url: { url: 'https://example.com/a.mp4' } };
    expect((await rig.post(body(part))).json).toMatchObject({ code: 'unsupported_parameter' });
  });
});

describe('files and images in a chat', () => {
  const file = (data: string) => ({ type: 'file', file: { filename: 'a', file_data: data } });
  const base64 = (value: string | Buffer) => Buffer.from(value).toString('base64');

  it('that are packed are held as all that the model can read, plain text by its bytes', async () => {
    await start();
    const packed = [
      base64('%PDF-1.7 …'),
      base64(`${'x'.repeat(2_000)}%PDF-1.7`),
      base64(Buffer.from('PK\u0003\u0004', 'latin1')),
    ];
    for (const data of packed) {
      for (const form of [
        data,
        `data:application/pdf;base64,${data}`,
        `data:text/plain;base64,${data}`,
      ]) {
        expect(ceiling(file(form)), form.slice(0, 60)).toBeGreaterThanOrEqual(100_000);
      }
    }
    const plain = base64('Dear Sir or Madam, '.repeat(100));
    for (const form of [plain, `data:text/plain;base64,${plain}`]) {
      expect(ceiling(file(form))).toBeGreaterThan(1_900);
      expect(ceiling(file(form))).toBeLessThan(8_000);
    }
  });

  it('cost what the model says that one costs at most', async () => {
    await start({ model: { imageTokens: 48_200 } });
    const url = 'https://example.com/a.png';
    const image = { type: 'image_url', image_url: { url } };
    const one = ceiling(image)!;
    expect(ceiling(image, image)! - one).toBeGreaterThan(48_000);
    await rig[Symbol.asyncDispose]();
    await start();
    expect(ceiling(image, image)! - ceiling(image)!).toBeLessThan(6_000);
  });

  it('in full size hold what full size costs', async () => {
    await start();
    const image = (detail?: string) => ({
      type: 'image_url',
      image_url: { url: 'https://example.com/a.png', ...(detail && { detail }) },
    });
    const usual = ceiling(image())!;
    expect(usual).toBeGreaterThan(5_000);
    expect(ceiling(image('high'))! - usual).toBeLessThan(50);
    expect(ceiling(image('original'))! - usual).toBeGreaterThan(19_000);
  });

  it('are never fetched by us', async () => {
    await start();
    rig.upstream.usually(json(200, wholeBody()));
    const url = `${rig.upstream.url}/never.png`;
    expect((await rig.post(body({ type: 'image_url', image_url: { url } }))).status).toBe(200);
    expect(rig.upstream.requests.map(({ path }) => path)).toEqual(['/v1/chat/completions']);
  });
});
