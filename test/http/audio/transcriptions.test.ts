import { describe, expect, it } from 'vitest';
import { parseUsd } from '../../../src/money.ts';
import { boundaryOf, type FormPart, readForm } from '../../../src/multipart.ts';
import { readAnswer, type TestApp } from '../../support/app.ts';
import { form, SECOND, startAudioApp } from '../../support/audio.ts';
import { m4a, mp3, wav } from '../../support/sound.ts';
import { gated, json, raw, type RecordedRequest, reset } from '../../support/upstream.ts';

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const PATH = '/v1/audio/transcriptions';
/** Ten seconds. */
const TEN = wav(10);
const said = (more: object = {}) => json(200, { text: 'Hello there.', ...more });

async function send(app: TestApp, body: FormData, headers: Record<string, string>, path = PATH) {
  return readAnswer(await fetch(app.url + path, { method: 'POST', headers, body }));
}

function partsOf({ headers, body }: RecordedRequest): FormPart[] {
  return readForm(body, boundaryOf(headers['content-type'])!);
}

describe('a transcription', () => {
  it('passes on what was sent, without what is for the gateway, under both prefixes', async () => {
    await using app = await startAudioApp();
    const { secret, accountId } = await app.key('1');
    for (const path of [PATH, '/api/v1/audio/transcriptions']) {
      app.upstream.next(said({ usage: { type: 'duration', seconds: 10 } }));
      const body = form(
        {
          model: 'ears',
          language: 'en',
          max_credits: '5',
          nobody_knows: 'ä\r\n',
          'include[]': 'logprobs',
        },
        TEN,
        'my "talk".wav',
      );
      const answer = await send(app, body, bearer(secret), path);
      expect([answer.status, answer.json['text']]).toEqual([200, 'Hello there.']);
      expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
      expect(answer.headers.get('x-request-cost')).toBe('0.001');
      const sent = app.upstream.requests.at(-1)!;
      expect(sent.path).toBe('/v1/audio/transcriptions');
      const parts = partsOf(sent);
      expect(
        parts.map(({ name, filename, contentType, bytes }) => [
          name,
          filename,
          contentType,
          filename ? bytes.length : bytes.toString(),
        ]),
      ).toEqual([
        ['model', null, null, 'up-0'],
        ['language', null, null, 'en'],
        ['nobody_knows', null, null, 'ä\r\n'],
        ['include[]', null, null, 'logprobs'],
        ['file', 'my "talk".wav', 'audio/wav', TEN.length],
      ]);
      expect(parts.at(-1)!.bytes.equals(TEN)).toBe(true);
    }
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(
      parseUsd('1') - 20 * SECOND,
    );
    await app.check();
  });

  it.each([
    ['seconds in its usage', said({ usage: { type: 'duration', seconds: 9 } }), 9],
    ['its duration', said({ task: 'transcribe', duration: 9.5, segments: [] }), 9.5],
    ['its duration, in words', said({ duration: '8.25' }), 8.25],
    ['nothing', said(), 10],
    ['nonsense', said({ usage: { type: 'duration', seconds: -1 }, duration: 'long' }), 10],
    ['plain text', raw(200, 'text/plain; charset=utf-8', 'Hello there.'), 10],
    ['subtitles', raw(200, 'text/vtt', 'WEBVTT\n\n00:00.000 --> 00:09.000\nHello'), 10],
  ])(
    'costs the seconds that were reported, else those that were counted: %s',
    async (_name, behaviour, seconds) => {
      await using app = await startAudioApp();
      const { secret, accountId } = await app.key('1');
      app.upstream.next(behaviour);
      const answer = await send(app, form({ model: 'ears' }, TEN), bearer(secret));
      expect(answer.status).toBe(200);
      expect(answer.text).toContain('Hello');
      expect((await app.app.store.accounts.balance(accountId)).posted).toBe(
        parseUsd('1') - seconds * SECOND,
      );
      expect(answer.headers.get('x-balance-remaining')).toBe(
        (1 - (seconds * SECOND) / 1e9).toFixed(6),
      );
      await app.check();
    },
  );

  it('costs the tokens that were reported, where it is sold by tokens', async () => {
    await using app = await startAudioApp();
    const { secret, accountId } = await app.key('1');
    const usage = { type: 'tokens', input_tokens: 114, output_tokens: 31, total_tokens: 145 };
    app.upstream.next(said({ usage }));
    const answer = await send(
      app,
      form({ model: 'token-ears', prompt: 'ZyntriQix' }, TEN),
      bearer(secret),
    );
    const cost = 114 * 6_000 + 31 * 10_000;
    expect(answer.headers.get('x-request-cost')).toBe('0.000994');
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(parseUsd('1') - cost);
    const done = { type: 'transcript.text.done', text: 'Hello', usage };
    const events = `data: {"type":"transcript.text.delta","delta":"Hello"}\n\ndata: ${JSON.stringify(done)}\n\n`;
    app.upstream.next(
      raw(200, 'text/event-stream', events),
      raw(200, 'text/event-stream', events.slice(0, 60)),
    );
    const streamed = form({ model: 'token-ears', stream: 'true' }, TEN);
    const whole = await send(app, streamed, bearer(secret));
    expect([whole.text, whole.headers.get('content-type')]).toEqual([
      events,
      'text/event-stream; charset=utf-8',
    ]);
    expect((await send(app, streamed, bearer(secret))).status).toBe(502);
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(parseUsd('1') - 2 * cost);
    await app.check();
  });

  it('holds what its recording can cost, whatever the recording says of itself', async () => {
    await using app = await startAudioApp();
    const poor = await app.key('0.0055');
    // A minute that claims to be a second.
    const answer = await send(app, form({ model: 'ears' }, m4a(2_584, 1)), bearer(poor.secret));
    expect([answer.status, answer.json['error']!['code']]).toEqual([402, 'insufficient_credits']);
    expect(app.upstream.requests).toHaveLength(0);
    const rich = await app.key('1');
    const late = gated(said({ usage: { type: 'duration', seconds: 60 } }));
    app.upstream.next(late.behaviour);
    const asked = send(app, form({ model: 'ears' }, m4a(2_584, 1)), bearer(rich.secret));
    await app.upstream.arrived(1);
    const { held } = await app.app.store.accounts.balance(rich.accountId);
    // Upstreams report whole seconds, and hear a little more than is there.
    expect(held).toBe(62 * SECOND);
    late.open();
    expect((await asked).status).toBe(200);
    await app.check();
  });

  it('of a file that nobody can read holds the longest that it can be, and costs what such a file usually is', async () => {
    await using app = await startAudioApp();
    const { secret, accountId } = await app.key('1');
    for (const [bytes, held, cost] of [
      [40_000, 81, 10],
      [4_000_000, 600, 600],
    ] as const) {
      const before = (await app.app.store.accounts.balance(accountId)).posted;
      const late = gated(raw(200, 'text/plain', 'Hello'));
      app.upstream.next(late.behaviour);
      const count = app.upstream.requests.length;
      const asked = send(app, form({ model: 'ears' }, Buffer.alloc(bytes, 7)), bearer(secret));
      await app.upstream.arrived(count + 1);
      expect((await app.app.store.accounts.balance(accountId)).held).toBe(held * SECOND);
      late.open();
      expect((await asked).status).toBe(200);
      expect((await app.app.store.accounts.balance(accountId)).posted).toBe(before - cost * SECOND);
    }
    await app.check();
  });

  it('never costs more than was held, and the rest is the operator’s loss', async () => {
    await using app = await startAudioApp();
    const { secret, accountId } = await app.key('1');
    app.upstream.next(said({ usage: { type: 'duration', seconds: 900_000 } }));
    expect((await send(app, form({ model: 'ears' }, TEN), bearer(secret))).status).toBe(200);
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(
      parseUsd('1') - 11 * SECOND,
    );
    expect(app.logged.filter(({ event }) => event === 'charge_above_hold')).toHaveLength(1);
    await app.check();
  });

  it('names what is wrong with a form, and charges nothing', async () => {
    await using app = await startAudioApp({
      change: (config) => void (config.limits.failedRequests.count = 0),
    });
    const { secret, accountId } = await app.key('1');
    const two = form({ model: 'ears' }, TEN);
    two.append('other', new Blob(['x']), 'b.wav');
    const twice = form({ model: 'ears' }, TEN);
    twice.append('model', 'token-ears');
    const wrong: [body: FormData, field: string][] = [
      [form({ model: 'ears' }, null), 'file'],
      [form({}, TEN), 'model'],
      [form({ model: '' }, TEN), 'model'],
      [form({ model: 'voice' }, TEN), 'model'],
      [form({ model: 'ears', MODEL: 'token-ears' }, TEN), 'MODEL'],
      [twice, 'model'],
      [two, 'other'],
      [form({ model: 'ears' }, Buffer.alloc(0)), 'file'],
      [form({ model: 'ears' }, wav(601)), 'file'],
      [form({ model: 'ears', max_credits: 'many' }, TEN), 'max_credits'],
      [form({ model: 'ears', max_credits: '0.01' }, TEN), 'max_credits'],
      [form({ model: 'ears', quote_id: 'q_x' }, TEN), 'quote_id'],
      [form({ model: 'ears', file_id: 'file-1' }, TEN), 'file_id'],
    ];
    for (const [body, field] of wrong) {
      for (const path of [PATH, '/api/v1/audio/transcriptions']) {
        const answer = await send(app, body, bearer(secret), path);
        expect([field, answer.status]).toEqual([field, 400]);
        expect(answer.text).toContain(field);
      }
    }
    const noForm = await app.post(PATH, { model: 'ears' }, bearer(secret));
    expect([noForm.status, noForm.text.includes('multipart/form-data')]).toEqual([415, true]);
    const cut = { ...bearer(secret), 'content-type': 'multipart/form-data; boundary=x' };
    expect((await app.post(PATH, '--x\r\n', cut)).status).toBe(400);
    expect(app.upstream.requests).toHaveLength(0);
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(parseUsd('1'));
    await app.check();
  });

  it('is refused where it is larger than the server takes', async () => {
    await using app = await startAudioApp({
      change: (config) => void (config.limits.bodyBytes = 100_000),
    });
    const { secret } = await app.key('1');
    const answer = await send(
      app,
      form({ model: 'ears' }, TEN),
      bearer(secret),
      '/api/v1/audio/transcriptions',
    );
    expect([answer.status, answer.json['code']]).toEqual([413, 'PAYLOAD_TOO_LARGE']);
    await app.check();
  });

  it('has room for so many bytes at once, all callers together, and tells the others to come again', async () => {
    await using app = await startAudioApp({
      change: (config) => void (config.limits.bodyBytes = 200_000),
    });
    const { secret } = await app.key('1');
    const late = gated(said());
    app.upstream.usually(late.behaviour);
    const body = () => form({ model: 'ears' }, Buffer.alloc(190_000));
    const asked = Array.from({ length: 16 }, () => send(app, body(), bearer(secret)));
    await app.upstream.arrived(16);
    const refused = await send(app, body(), bearer(secret));
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '2']);
    late.open();
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(
      Array.from({ length: 16 }, () => 200),
    );
    expect((await send(app, body(), bearer(secret))).status).toBe(200);
    await app.check();
  });

  it('is taken from another channel where the first one fails, and failures cost nothing (U-18)', async () => {
    await using app = await startAudioApp({ providers: ['openai', 'venice'] });
    const { secret, accountId } = await app.key('1');
    const bad = [json(500, {}), json(200, { error: { message: 'no' } }), json(200, {}), reset()];
    for (const behaviour of bad) {
      app.upstream.next(behaviour, said());
      expect((await send(app, form({ model: 'ears' }, TEN), bearer(secret))).status).toBe(200);
    }
    const { posted } = await app.app.store.accounts.balance(accountId);
    expect(posted).toBe(parseUsd('1') - bad.length * 10 * SECOND);
    app.upstream.next(json(400, { error: { message: 'This audio is no good.' } }));
    const refused = await send(app, form({ model: 'ears' }, TEN), bearer(secret));
    expect([refused.status, refused.text.includes('no good')]).toEqual([400, true]);
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(posted);
    await app.check();
  });

  it('whose caller leaves is finished and paid for', async () => {
    await using app = await startAudioApp();
    const { secret, accountId } = await app.key('1');
    const late = gated(said());
    app.upstream.next(late.behaviour);
    const gone = new AbortController();
    const body = form({ model: 'ears' }, TEN);
    const asked = fetch(app.url + PATH, {
      method: 'POST',
      headers: bearer(secret),
      body,
      signal: gone.signal,
    });
    asked.catch(() => {});
    await app.upstream.arrived(1);
    gone.abort();
    late.open();
    await expect.poll(async () => (await app.app.store.accounts.balance(accountId)).held).toBe(0);
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(
      parseUsd('1') - 10 * SECOND,
    );
    await app.check();
  });

  it('with an Idempotency-Key is made once, though each form has another boundary (C-11)', async () => {
    await using app = await startAudioApp();
    const { secret, accountId } = await app.key('1');
    const headers = { ...bearer(secret), 'idempotency-key': 'talk-1' };
    app.upstream.next(said());
    const first = await send(app, form({ model: 'ears' }, TEN), headers);
    const again = await send(app, form({ model: 'ears' }, TEN), headers);
    expect([again.headers.get('idempotency-replayed'), again.text]).toEqual(['true', first.text]);
    expect((await send(app, form({ model: 'ears' }, wav(11)), headers)).status).toBe(422);
    expect(app.upstream.requests).toHaveLength(1);
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(
      parseUsd('1') - 10 * SECOND,
    );
    await app.check();
  });

  it('is priced for nobody by its beginning, and sold to the wallet that pays', async () => {
    await using app = await startAudioApp({
      change: (config) => void (config.payments.inlineMinimum = parseUsd('0.000001')),
    });
    // A minute and 38 seconds, of which the first quarter of a megabyte is read.
    const long = mp3(3_750);
    const asked = await send(app, form({ model: 'ears' }, long), {});
    expect(asked.status).toBe(402);
    const [{ amount }] = asked.json['accepts'] as unknown as [{ amount: string }];
    const seconds = (3_750 * 1_152) / 44_100;
    expect(Number(amount)).toBeGreaterThanOrEqual((seconds * SECOND) / 1_000);
    // Whole cents are asked for.
    expect(Number(amount)).toBeLessThan((1.2 * seconds * SECOND) / 1_000 + 10_000);
    const wallet = await app.evm();
    app.upstream.next(said({ usage: { type: 'duration', seconds: 97 } }));
    const pay = { 'payment-signature': await wallet.pay((Number(amount) / 1e6).toFixed(6)) };
    const paid = await send(app, form({ model: 'ears' }, long), pay);
    expect(paid.status).toBe(200);
    expect(await app.balanceOf(wallet)).toBe(Number(amount) * 1_000 - 97 * SECOND);
    await app.check();
  });

  it('hands on no page, and no secret of the channel', async () => {
    await using app = await startAudioApp();
    const { secret } = await app.key('1');
    app.upstream.next(raw(200, 'text/html', '<script>up-key-0123456789</script>'));
    const answer = await send(app, form({ model: 'ears' }, TEN), bearer(secret));
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.text).toBe('<script>[redacted]</script>');
    await app.check();
  });
});

describe('a transcription of a video’s link', () => {
  const link = { url: 'https://www.youtube.com/watch?v=x', response_format: 'json' };
  const VIDEO = '/api/v1/video/transcriptions';

  it('passes the link on to Venice as it is, and costs the longest that is declared', async () => {
    await using app = await startAudioApp({ providers: ['openai', 'venice'] });
    const { secret, accountId } = await app.key('1');
    app.upstream.next(json(200, { transcript: 'Hello', lang: 'en' }));
    const answer = await app.post(VIDEO, { ...link, max_credits: 100 }, bearer(secret));
    expect([answer.status, answer.json]).toEqual([200, { transcript: 'Hello', lang: 'en' }]);
    const [sent] = app.upstream.requests;
    expect([sent!.path, sent!.json]).toEqual(['/v1/video/transcriptions', link]);
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(
      parseUsd('1') - 600 * SECOND,
    );
    app.upstream.next(raw(200, 'text/plain', 'Hello'));
    const plain = await app.post(VIDEO, { ...link, response_format: 'text' }, bearer(secret));
    expect([plain.text, plain.headers.get('content-type')]).toEqual([
      'Hello',
      'text/plain; charset=utf-8',
    ]);
    await app.check();
  });

  it('names what is wrong, and is not sold without a channel that can', async () => {
    await using app = await startAudioApp({ providers: ['venice'] });
    const { secret } = await app.key('1');
    const wrong: [change: object, field: string][] = [
      [{ url: undefined }, 'url'],
      [{ url: 'file:///etc/passwd' }, 'url'],
      [{ url: 'x' }, 'url'],
      [{ response_format: 'srt' }, 'response_format'],
      [{ language: 'en' }, 'language'],
    ];
    for (const [change, field] of wrong) {
      const answer = await app.post(VIDEO, { ...link, ...change }, bearer(secret));
      expect([field, answer.status, answer.json['code']]).toEqual([field, 400, 'INVALID_REQUEST']);
      expect(answer.text).toContain(field);
    }
    expect(app.upstream.requests).toHaveLength(0);
    await app.check();
    await using other = await startAudioApp();
    const key = await other.key('1');
    expect((await other.post(VIDEO, link, bearer(key.secret))).status).toBe(400);
    expect((await other.post(VIDEO, { ...link, model: 'ears' }, bearer(key.secret))).status).toBe(
      503,
    );
    await other.check();
  });
});
