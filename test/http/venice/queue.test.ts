import { describe, expect, it } from 'vitest';
import { type Json, textOf } from '../../support/app.ts';
import { type MediaApp, startMediaApp } from '../../support/media-app.ts';
import { mp4 } from '../../support/media.ts';
import { documentedApi } from '../../support/openapi.ts';

const venice = documentedApi('venice/media.yaml');
const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const VIDEO = { model: 'seedance-2-fast', prompt: 'A boat', duration: '6s', resolution: '720p' };
const SONG = { model: 'song', prompt: 'A sea shanty' };
const HALF = 500_000_000;

interface Retrieved {
  status: number;
  type: string | null;
  bytes: Buffer;
  json: Json;
}

async function retrieve(
  app: MediaApp,
  secret: string,
  body: object,
  room = 'video',
): Promise<Retrieved> {
  const response = await fetch(`${app.url}/api/v1/${room}/retrieve`, {
    method: 'POST',
    headers: { ...bearer(secret), 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const type = response.headers.get('content-type');
  const bytes = Buffer.from(await response.arrayBuffer());
  const isJson = type?.startsWith('application/json');
  return {
    status: response.status,
    type,
    bytes,
    json: isJson ? (JSON.parse(bytes.toString()) as Json) : {},
  };
}

async function queue(
  app: MediaApp,
  secret: string,
  body: object = VIDEO,
  room = 'video',
): Promise<string> {
  expect(venice.allowsBody('post', `/${room}/queue`, body)).toBe(true);
  const queued = await app.post(`/api/v1/${room}/queue`, body, bearer(secret));
  expect([queued.status, queued.text.slice(0, 200)]).toEqual([200, expect.any(String)]);
  venice.expectAnswer('post', `/${room}/queue`, 200, queued.json);
  return textOf(queued.json['queue_id']);
}

describe('Venice’s queues', () => {
  it('give back a state while it is made, and then the bytes, by the queue id alone', async () => {
    await using app = await startMediaApp();
    app.studio.usually = { looksToEnd: 2, state: 'processing' };
    const { secret, accountId } = await app.key('1');
    const queue_id = await queue(app, secret);
    expect((await app.app.store.accounts.balance(accountId)).held).toBe(HALF);
    await app.pass();
    await app.pass(2_000);
    const waiting = await retrieve(app, secret, { queue_id });
    expect(waiting.json).toMatchObject({ status: 'PROCESSING', execution_duration: 2_000 });
    venice.expectAnswer('post', '/video/retrieve', 200, waiting.json);
    await app.pass(5_000);
    for (const body of [{ queue_id }, { model: VIDEO.model, queue_id }]) {
      const made = await retrieve(app, secret, body);
      expect([made.status, made.type, made.bytes.equals(mp4())]).toEqual([200, 'video/mp4', true]);
    }
    const { posted, held } = await app.app.store.accounts.balance(accountId);
    expect([posted, held]).toEqual([HALF, 0]);
    await app.check();
  });

  it('hand over music in the same way', async () => {
    await using app = await startMediaApp();
    app.studio.usually = { files: ['a.wav'] };
    const { secret } = await app.key('1');
    const queue_id = await queue(app, secret, SONG, 'audio');
    await app.pass();
    await app.pass(2_000);
    const made = await retrieve(app, secret, { model: SONG.model, queue_id }, 'audio');
    expect([made.status, made.type]).toEqual([200, 'audio/wav']);
    // One queue knows nothing of the other.
    expect((await retrieve(app, secret, { queue_id })).status).toBe(404);
    await app.check();
  });

  it('hide what may pass: trouble of the upstream is still PROCESSING', async () => {
    await using app = await startMediaApp();
    const { secret } = await app.key('1');
    const queue_id = await queue(app, secret);
    app.studio.onLook = (response) => response.writeHead(503).end();
    await app.pass();
    for (let looks = 0; looks < 5; looks += 1) {
      await app.pass(20_000);
      expect((await retrieve(app, secret, { queue_id })).json).toMatchObject({
        status: 'PROCESSING',
      });
    }
    app.studio.onLook = null;
    await app.pass(20_000);
    expect((await retrieve(app, secret, { queue_id })).type).toBe('video/mp4');
    await app.check();
  });

  it('say that it failed in an answer that their client understands, and charge nothing', async () => {
    await using app = await startMediaApp();
    app.studio.usually = { state: 'failed', failure: { failure: 'failed' } };
    const { secret, accountId } = await app.key('1');
    const queue_id = await queue(app, secret);
    await app.pass();
    await app.pass(2_000);
    const failed = await retrieve(app, secret, { queue_id });
    expect([failed.status, failed.json['status']]).toEqual([200, 'failed']);
    expect(textOf(failed.json['error'])).not.toBe('');
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(2 * HALF);
    await app.check();
  });

  it('delete the result once it arrived, where that was asked for, or afterwards', async () => {
    await using app = await startMediaApp();
    const { secret } = await app.key('10');
    const [at_once, later] = [await queue(app, secret), await queue(app, secret)];
    const completed = (queue_id: string) =>
      app.post('/api/v1/video/complete', { model: VIDEO.model, queue_id }, bearer(secret));
    // What is not made yet cannot be deleted.
    expect((await completed(later)).json).toEqual({ success: false });
    await app.pass();
    await app.pass(2_000);
    await app.pass(2_000);
    const made = await retrieve(app, secret, {
      queue_id: at_once,
      delete_media_on_completion: true,
    });
    expect(made.bytes.equals(mp4())).toBe(true);
    await expect
      .poll(async () => (await retrieve(app, secret, { queue_id: at_once })).status)
      .toBe(404);
    expect((await retrieve(app, secret, { queue_id: later })).status).toBe(200);
    const success = await completed(later);
    venice.expectAnswer('post', '/video/complete', 200, success.json);
    expect(success.json).toEqual({ success: true });
    expect((await retrieve(app, secret, { queue_id: later })).status).toBe(404);
    expect((await completed(later)).json).toEqual({ success: true });
    await app.check();
  });

  it('are as strict as Venice’s document, and name what is wrong', async () => {
    await using app = await startMediaApp({
      change: (config) => void (config.limits.failedRequests.count = 0),
    });
    const { secret } = await app.key('10');
    const wrong: [room: string, body: object, field: string][] = [
      ['video', { ...VIDEO, model: undefined }, 'model'],
      ['video', { ...VIDEO, prompt: '' }, 'prompt'],
      ['video', { ...VIDEO, duration: '7s' }, 'duration'],
      ['video', { ...VIDEO, resolution: '4k' }, 'resolution'],
      ['video', { ...VIDEO, audio: 'yes' }, 'audio'],
      [
        'video',
        {
          ...VIDEO,
          reference_image_urls: Array.from({ length: 31 }, () => 'https://a.example.com'),
        },
        'reference_image_urls',
      ],
      ['video', { ...VIDEO, model: 'song' }, 'model'],
      ['audio', { ...SONG, prompt: undefined }, 'prompt'],
      ['audio', { ...SONG, duration_seconds: 0 }, 'duration_seconds'],
      ['audio', { ...SONG, speed: 5 }, 'speed'],
      ['audio', { ...SONG, nobody_knows: 1 }, 'nobody_knows'],
      ['audio', { ...SONG, model: 'seedance-2-fast' }, 'model'],
    ];
    for (const [room, body, field] of wrong) {
      const answer = await app.post(`/api/v1/${room}/queue`, body, bearer(secret));
      expect([room, field, answer.status]).toEqual([room, field, 400]);
      expect(answer.text).toContain(field);
    }
    for (const [path, body] of [
      ['retrieve', {}],
      ['retrieve', { queue_id: 'x', nobody_knows: 1 }],
      ['complete', { queue_id: 'x', delete_media_on_completion: true }],
    ] as const) {
      expect((await app.post(`/api/v1/video/${path}`, body, bearer(secret))).status).toBe(400);
    }
    await app.check();
  });

  it('know nothing of somebody else’s, and serve nobody without a credential', async () => {
    await using app = await startMediaApp();
    const [mine, other] = [await app.key('1'), await app.key('1')];
    const queue_id = await queue(app, mine.secret);
    await app.pass();
    await app.pass(2_000);
    for (const path of ['retrieve', 'complete']) {
      const answer = await app.post(`/api/v1/video/${path}`, { queue_id }, bearer(other.secret));
      expect([answer.status, answer.json['code']]).toEqual([404, 'NOT_FOUND']);
      expect((await app.post(`/api/v1/video/${path}`, { queue_id })).status).toBe(401);
    }
    expect((await retrieve(app, mine.secret, { queue_id })).status).toBe(200);
    await app.check();
  });

  it('take a payment with the request, and make it once for an Idempotency-Key (C-11)', async () => {
    await using app = await startMediaApp();
    const wallet = await app.evm();
    expect((await app.post('/api/v1/video/queue', VIDEO)).status).toBe(402);
    const pay = { 'payment-signature': await wallet.pay('0.5') };
    expect((await app.post('/api/v1/video/queue', VIDEO, pay)).status).toBe(200);
    const { secret } = await app.key('1');
    const headers = { ...bearer(secret), 'idempotency-key': 'clip-1' };
    const first = await app.post('/api/v1/video/queue', VIDEO, headers);
    const again = await app.post('/api/v1/video/queue', VIDEO, headers);
    expect([again.headers.get('idempotency-replayed'), again.json]).toEqual(['true', first.json]);
    await app.pass();
    await app.pass(2_000);
    expect(app.studio.jobs).toHaveLength(2);
    await app.check();
  });
});
