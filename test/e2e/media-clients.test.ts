import { LLMock } from '@copilotkit/aimock';
import OpenAI, { toFile } from 'openai';
import { VeniceClient } from 'venice-x402-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { type DemoUpstream, startDemoUpstream } from '../../src/demo-upstream.ts';
import { SYSTEM } from '../../src/ledger/ledger.ts';
import { parseUsd } from '../../src/money.ts';
import { startApp, type TestApp } from '../support/app.ts';
import { CHARACTER, SECOND, sellSound } from '../support/audio.ts';
import { evmNetwork } from '../support/evm-payment.ts';
import { png } from '../support/media.ts';
import { wav } from '../support/sound.ts';

const SOUND = Buffer.from('some sound that nobody hears');
const TEXT = 'The quick brown fox 🦊.';
const COST = 22 * CHARACTER;
const CENT = 10_000_000;

describe('OpenAI’s client, in front of servers that nobody here wrote', () => {
  const mock = new LLMock({ port: 0, host: '127.0.0.1' });
  let app: TestApp;

  beforeAll(async () => {
    const audio = { b64Json: SOUND.toString('base64'), contentType: 'audio/mpeg' };
    mock.onSpeech(/.*/, { audio });
    mock.onElevenLabsTTS(/.*/, { audio });
    mock.onTranscription({
      transcription: { text: 'Hello there.', language: 'en', duration: 7.5 },
    });
    await mock.start();
    app = await startApp({
      demoUrl: `${mock.url}/v1`,
      change: (config) => sellSound(config, ['openai', 'elevenlabs']),
    });
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await mock.stop();
  });

  async function customer() {
    const { secret, accountId } = await app.key('1');
    const client = new OpenAI({ baseURL: `${app.url}/v1`, apiKey: secret, maxRetries: 0 });
    const left = async () => (await app.app.store.accounts.balance(accountId)).posted;
    return { client, left };
  }

  it('speaks, for what the characters cost', async () => {
    const { client, left } = await customer();
    const answer = await client.audio.speech.create({
      model: 'voice',
      voice: 'alloy',
      input: TEXT,
    });
    expect(Buffer.from(await answer.arrayBuffer()).equals(SOUND)).toBe(true);
    expect(await left()).toBe(parseUsd('1') - COST);
    await app.check();
  });

  it('hears, for what the seconds cost', async () => {
    const { client, left } = await customer();
    const file = await toFile(wav(10), 'talk.wav');
    const plain = await client.audio.transcriptions.create({ model: 'ears', file });
    expect(plain.text).toBe('Hello there.');
    const first = await left();
    // This answer says nothing of its length, so what was counted is charged.
    expect(first).toBe(parseUsd('1') - 10 * SECOND);
    const verbose = await client.audio.transcriptions.create({
      model: 'ears',
      file: await toFile(wav(10), 'talk.wav'),
      response_format: 'verbose_json',
    });
    expect(verbose.text).toBe('Hello there.');
    expect(await left()).toBe(first - 7.5 * SECOND);
    await app.check();
  });
});

/** Everything that the sandbox sells, at the prices of its settings file. */
describe('Venice’s client', () => {
  let demo: DemoUpstream;
  let app: TestApp;
  let client: VeniceClient;
  let left: () => Promise<number>;

  beforeAll(async () => {
    demo = await startDemoUpstream({ delayMs: 50 });
    app = await startApp({
      change: (config) => {
        // This client signs in on Base and nowhere else, so play money will not do.
        config.mode = 'live';
        const nobody = { kind: 'remote' as const, url: 'http://127.0.0.1:9', cdp: null };
        config.payments.networks = [evmNetwork(nobody, null)];
        for (const channel of config.channels) channel.baseUrl = demo.url;
      },
    });
    const key = generatePrivateKey();
    const address = privateKeyToAccount(key).address.toLowerCase();
    const wallet = { family: 'eip155' as const, address };
    await app.app.store.ledger.write(async (tx) => {
      const credit = await tx.walletAccount({ ...wallet, chain: '' });
      await tx.post({
        kind: 'GRANT',
        ref: address,
        debit: SYSTEM.grants,
        credit,
        amount: parseUsd('100'),
      });
    });
    client = new VeniceClient(key, { apiUrl: app.url });
    left = () => app.balanceOf(wallet);
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await demo[Symbol.asyncDispose]();
  });

  /** Runs it and tells what it cost, which is what the client was told is left. */
  async function costOf<T>(work: () => Promise<T>): Promise<[answer: T, nano: number]> {
    const before = await left();
    const answer = await work();
    const after = await left();
    expect(Math.abs(client.balance - after / 1e9)).toBeLessThan(0.000_002);
    return [answer, before - after];
  }

  it('speaks and hears', async () => {
    const [sound, spoken] = await costOf(() =>
      client.audio.speech({ model: 'demo-voice', voice: 'hum', input: TEXT }),
    );
    expect([sound.type, spoken]).toEqual(['audio/wav', COST]);
    const [heard, cost] = await costOf(() =>
      client.audio.transcribe({ model: 'demo-ears', file: wav(4, 5_512), mimeType: 'audio/wav' }),
    );
    // At six tenths of a cent a minute.
    const [, seconds] = /about ([\d.]+) seconds/.exec((heard as { text: string }).text) ?? [];
    expect([seconds, cost]).toEqual(['4', 4 * SECOND]);
    await app.check();
  });

  it('makes images, and images of images', async () => {
    const image = png().toString('base64');
    const [made, cost] = await costOf(() =>
      client.images.generate({ model: 'demo-image', prompt: 'A boat' }),
    );
    expect((made as unknown as { images: string[] }).images).toHaveLength(1);
    const [one, again] = await costOf(() =>
      client.images.generations({ model: 'demo-image', prompt: 'A boat' }),
    );
    expect(one).toMatchObject({ data: [{ b64_json: expect.any(String) as string }] });
    expect([cost, again]).toEqual([2 * CENT, 2 * CENT]);
    const others: [work: () => Promise<unknown>, cents: number][] = [
      [() => client.images.edit({ image, prompt: 'Red' } as never), 3],
      [() => client.images.multiEdit({ images: [image, image], prompt: 'Red' } as never), 3],
      [() => client.images.upscale({ image, scale: 2 } as never), 2],
      [() => client.images.backgroundRemove({ image } as never), 1],
    ];
    for (const [work, cents] of others) {
      const [blob, paid] = await costOf(work);
      expect(blob).toBeInstanceOf(Blob);
      expect((blob as Blob).type).toMatch(/^image\//);
      expect(paid).toBe(cents * CENT);
    }
    await app.check();
  });

  it('makes a video, polling until there is a Blob, and music', async () => {
    const before = await left();
    const clip = await client.video.generate(
      { model: 'demo-video', prompt: 'A boat', duration: '4s' } as never,
      200,
    );
    expect(clip).toBeInstanceOf(Blob);
    expect(clip.type).toBe('video/mp4');
    expect(clip.size).toBeGreaterThan(1_000);
    const after = await left();
    expect(before - after).toBe(4 * 5 * CENT);
    const queued = await client.audio.queue({
      model: 'demo-music',
      prompt: 'A shanty',
      duration_seconds: 10,
    } as never);
    const { queue_id } = queued as { queue_id: string };
    await expect
      .poll(async () => (await client.audio.retrieve({ queue_id } as never)) instanceof Blob, {
        interval: 200,
        timeout: 10_000,
      })
      .toBe(true);
    // Quantities are millionths of a minute, rounded up.
    expect(after - (await left())).toBe(16_666_700);
    expect(await client.audio.complete({ model: 'demo-music', queue_id } as never)).toEqual({
      success: true,
    });
    await app.check();
  });
});
