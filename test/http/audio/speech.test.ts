import { request as httpRequest } from 'node:http';
import { describe, expect, it } from 'vitest';
import { parseUsd } from '../../../src/money.ts';
import { type TestApp, textOf } from '../../support/app.ts';
import { CHARACTER, sound, startAudioApp } from '../../support/audio.ts';
import { gated, hang, json, raw, reset } from '../../support/upstream.ts';

const bearer = (secret: string) => ({
  authorization: `Bearer ${secret}`,
  'content-type': 'application/json',
});
const BODY = { model: 'voice', input: 'Hello there.', voice: 'alloy' };
const COST = BODY.input.length * CHARACTER;

describe('speech', () => {
  it('passes through on both prefixes as it is, for what its characters cost', async () => {
    await using app = await startAudioApp();
    const { secret, accountId } = await app.key('1');
    let left: number = parseUsd('1');
    for (const prefix of ['/v1', '/api/v1']) {
      app.upstream.next(sound([Buffer.from([1, 2]), Buffer.from([255, 0])]));
      const more = { max_credits: 5, speed: 1.25, nobody_knows: { a: [1] } };
      const answer = await fetch(`${app.url}${prefix}/audio/speech`, {
        method: 'POST',
        headers: bearer(secret),
        body: JSON.stringify({ ...BODY, input: 'Grüße 👋🏽', ...more }),
      });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe('audio/mpeg');
      expect(answer.headers.get('x-request-cost')).toBe('0.00012');
      expect(Buffer.from(await answer.arrayBuffer())).toEqual(Buffer.from([1, 2, 255, 0]));
      // Code points: six letters and a blank, a hand and its colour.
      left -= 8 * CHARACTER;
      expect((await app.app.store.accounts.balance(accountId)).posted).toBe(left);
      expect(answer.headers.get('x-balance-remaining')).toBe((left / 1e9).toFixed(6));
      const sent = app.upstream.requests.at(-1)!;
      expect(sent.path).toBe('/v1/audio/speech');
      expect(sent.json).toEqual({
        ...BODY,
        input: 'Grüße 👋🏽',
        model: 'up-0',
        speed: 1.25,
        nobody_knows: { a: [1] },
      });
    }
    await app.check();
  });

  it('arrives while it is made', async () => {
    await using app = await startAudioApp();
    const { secret } = await app.key('1');
    const rest = gated((response) => response.end('sound'));
    app.upstream.next(async (response, request) => {
      response.writeHead(200, { 'content-type': 'audio/wav' });
      response.write('some ');
      await rest.behaviour(response, request);
    });
    const answer = await fetch(`${app.url}/v1/audio/speech`, {
      method: 'POST',
      headers: bearer(secret),
      body: JSON.stringify(BODY),
    });
    const reader = answer.body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('some ');
    rest.open();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('sound');
    expect((await reader.read()).done).toBe(true);
    await app.check();
  });

  it('is taken from another channel until its first byte is there, and failures cost nothing (U-18)', async () => {
    await using app = await startAudioApp({ providers: ['openai', 'openai'] });
    const { secret, accountId } = await app.key('1');
    const bad = [
      json(500, {}),
      json(200, { error: { message: 'no' } }),
      raw(200, 'audio/mpeg', ''),
      reset(),
      json(429, {}, { 'retry-after': '1' }),
    ];
    let calls = 0;
    for (const behaviour of bad) {
      app.upstream.next(behaviour, sound(['whole']));
      const answer = await app.post('/v1/audio/speech', BODY, bearer(secret));
      expect([answer.status, answer.text]).toEqual([200, 'whole']);
      calls += 1;
    }
    const { posted } = await app.app.store.accounts.balance(accountId);
    expect(posted).toBe(parseUsd('1') - calls * COST);
    await app.check();
  });

  it.each([
    ['an error', json(500, { error: 'x' }), 502],
    ['its own refusal', json(400, { error: { message: 'no such voice' } }), 400],
    ['JSON', json(200, { error: { message: 'quota' } }), 502],
    ['nothing', raw(200, 'audio/mpeg', ''), 502],
    ['a page', raw(200, 'text/html', '<p>hi'), 502],
    ['a break', reset(), 502],
  ])('that ends in %s costs nothing', async (_name, behaviour, status) => {
    await using app = await startAudioApp();
    const { secret, accountId } = await app.key('1');
    app.upstream.next(behaviour);
    const answer = await app.post('/api/v1/audio/speech', BODY, bearer(secret));
    expect(answer.status).toBe(status);
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(parseUsd('1'));
    await app.check();
  });

  it('that breaks in the middle costs nothing, and nobody takes it for the whole', async () => {
    await using app = await startAudioApp({ providers: ['openai', 'openai'] });
    const { secret, accountId } = await app.key('1');
    app.upstream.next(sound(['half'], { ending: 'cut' }));
    await expect(app.post('/v1/audio/speech', BODY, bearer(secret))).rejects.toThrow();
    // No other channel is asked once bytes went out.
    expect(app.upstream.requests).toHaveLength(1);
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(parseUsd('1'));
    await app.check();
  });

  it('whose caller leaves in the middle is paid for, and not made any further', async () => {
    await using app = await startAudioApp();
    const { secret, accountId } = await app.key('1');
    app.upstream.next(sound(['half'], { ending: 'hang' }));
    const left = leaveAfter(app, secret, 'first byte');
    await left;
    expect(await app.upstream.requests[0]!.closed).toBe(false);
    await settled(app, accountId, parseUsd('1') - COST);
    await app.check();
  });

  it('whose caller leaves before it is paid for when it was made, and free when it was not', async () => {
    for (const [behaviour, cost] of [
      [sound(['whole']), COST],
      [json(500, {}), 0],
      [sound(['half'], { ending: 'cut' }), 0],
    ] as const) {
      await using app = await startAudioApp();
      const { secret, accountId } = await app.key('1');
      const late = gated(behaviour);
      app.upstream.next(late.behaviour);
      await leaveAfter(app, secret, 'arrival');
      late.open();
      await settled(app, accountId, parseUsd('1') - cost);
      await app.check();
    }
  });

  it('is not had for nothing by reading it slowly until time is up', async () => {
    await using app = await startAudioApp({
      change: (config) => {
        for (const channel of config.channels)
          channel.timeout = { firstByteMs: 2_000, idleMs: 1_500, totalMs: 800 };
      },
    });
    const { secret, accountId } = await app.key('1');
    app.upstream.next((response, request) => {
      response.writeHead(200, { 'content-type': 'audio/mpeg' });
      response.write(Buffer.alloc(30_000_000));
      return request.closed;
    });
    const asked = httpRequest(
      `${app.url}/v1/audio/speech`,
      { method: 'POST', headers: bearer(secret) },
      (response) => {
        response.on('error', () => {}).pause();
      },
    );
    asked.on('error', () => {});
    asked.end(JSON.stringify(BODY));
    await app.upstream.arrived(1);
    await settled(app, accountId, parseUsd('1') - COST);
    asked.destroy();
    await app.check();
  });

  it('with an Idempotency-Key is made once, and given again byte for byte (C-11)', async () => {
    await using app = await startAudioApp();
    const { secret, accountId } = await app.key('1');
    const headers = { ...bearer(secret), 'idempotency-key': 'speech-1' };
    app.upstream.next(sound([Buffer.from([1, 2, 3])]));
    const first = await app.post('/v1/audio/speech', BODY, headers);
    const again = await app.post('/v1/audio/speech', BODY, headers);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect([again.text, again.headers.get('content-type')]).toEqual([first.text, 'audio/mpeg']);
    expect((await app.post('/v1/audio/speech', { ...BODY, input: 'x' }, headers)).status).toBe(422);
    expect(app.upstream.requests).toHaveLength(1);
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(parseUsd('1') - COST);
    await app.check();
  });

  it('is sold to a wallet that pays for it, at a price that is told before', async () => {
    await using app = await startAudioApp();
    const wallet = await app.evm();
    const asked = await app.post('/v1/audio/speech', BODY);
    expect(asked.status).toBe(402);
    app.upstream.next(sound());
    const headers = { 'payment-signature': await wallet.pay('0.05') };
    const paid = await app.post('/v1/audio/speech', BODY, headers);
    expect([paid.status, paid.text]).toEqual([200, 'some sound']);
    expect(await app.balanceOf(wallet)).toBe(parseUsd('0.05') - COST);
    await app.check();
  });

  it('is refused before anything is sent where its price is more than was approved, or there is', async () => {
    await using app = await startAudioApp();
    const { secret } = await app.key('0.0001');
    const post = (more: object, headers = {}) =>
      app.post('/v1/audio/speech', { ...BODY, ...more }, { ...bearer(secret), ...headers });
    expect((await post({ max_credits: 0.001 })).json['error']!['code']).toBe(
      'max_credits_exceeded',
    );
    expect((await post({}, { 'x-max-credits': '0.001' })).status).toBe(400);
    const poor = await post({ input: 'x'.repeat(10) });
    expect([poor.status, poor.json['error']!['code']]).toEqual([402, 'insufficient_credits']);
    expect(app.upstream.requests).toHaveLength(0);
    await app.check();
  });

  it('keeps to its quote', async () => {
    await using app = await startAudioApp();
    const { secret, accountId } = await app.key('1');
    const { json: estimate } = await app.post('/v1/credits/estimate', BODY);
    expect(estimate).toMatchObject({ modality: 'tts' });
    const quote_id = textOf(estimate['quote']?.['id']);
    app.upstream.next(sound());
    expect((await app.post('/v1/audio/speech', { ...BODY, quote_id }, bearer(secret))).status).toBe(
      200,
    );
    const longer = { ...BODY, input: `${BODY.input}!`, quote_id };
    expect((await app.post('/v1/audio/speech', longer, bearer(secret))).status).toBe(400);
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(parseUsd('1') - COST);
    await app.check();
  });

  it('names what is wrong with a request, and charges nothing', async () => {
    await using app = await startAudioApp();
    const { secret, accountId } = await app.key('1');
    const wrong: [change: object, field: string][] = [
      [{ input: undefined }, 'input'],
      [{ input: '' }, 'input'],
      [{ input: ['a'] }, 'input'],
      [{ input: 'x'.repeat(101) }, 'input'],
      [{ text: 'more' }, 'text'],
      [{ INPUT: 'more' }, 'INPUT'],
      [{ model: undefined }, 'model'],
      [{ model: 'ears' }, 'model'],
      [{ voice: { id: 'voice_1' } }, 'id'],
      [{ voice: ['alloy'] }, 'voice'],
      [{ base_url: 'https://a.example.com' }, 'base_url'],
      [{ extra: { file_id: 'file-1' } }, 'file_id'],
      [{ previous_response_id: 'x' }, 'previous_response_id'],
      [{ max_credits: 'many' }, 'max_credits'],
      [{ quote_id: 'q_x' }, 'quote_id'],
    ];
    for (const [change, field] of wrong) {
      const answer = await app.post('/v1/audio/speech', { ...BODY, ...change }, bearer(secret));
      expect([field, answer.status]).toEqual([field, 400]);
      expect(answer.text).toContain(field);
    }
    const nowhere = await app.post(
      '/v1/audio/speech',
      { ...BODY, model: 'nobody' },
      bearer(secret),
    );
    expect(nowhere.status).toBe(404);
    expect((await app.post('/v1/audio/speech', '{"model":', bearer(secret))).status).toBe(400);
    expect(app.upstream.requests).toHaveLength(0);
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(parseUsd('1'));
    await app.check();
  });

  it('offers the voices and formats that its model has, and the usual model to who names none', async () => {
    await using app = await startAudioApp({
      change: (config) => {
        const voice = config.models.find(({ id }) => id === 'voice')!;
        if (voice.type !== 'tts') throw new Error('no voice');
        voice.params.voices = ['alloy'];
        voice.params.formats = ['mp3'];
        voice.traits = ['default'];
      },
    });
    const { secret } = await app.key('1');
    for (const change of [{ voice: 'other' }, { response_format: 'flac' }]) {
      const answer = await app.post('/v1/audio/speech', { ...BODY, ...change }, bearer(secret));
      expect([answer.status, answer.text.includes('must be one of')]).toEqual([400, true]);
    }
    app.upstream.next(sound());
    expect(
      (await app.post('/api/v1/audio/speech', { ...BODY, model: undefined }, bearer(secret)))
        .status,
    ).toBe(200);
    expect(app.upstream.requests[0]!.json['model']).toBe('up-0');
    await app.check();
  });

  it('in pieces of an event stream is whole only with its last event', async () => {
    const events = (last: boolean) =>
      sound(
        [
          'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n',
          ...(last ? ['data: {"type":"speech.audio.done"}\n\n'] : []),
        ],
        { type: 'text/event-stream' },
      );
    await using app = await startAudioApp();
    const { secret, accountId } = await app.key('1');
    const body = { ...BODY, stream_format: 'sse' };
    app.upstream.next(events(true), events(false));
    expect((await app.post('/v1/audio/speech', body, bearer(secret))).text).toContain(
      'speech.audio.done',
    );
    await expect(app.post('/v1/audio/speech', body, bearer(secret))).rejects.toThrow();
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(parseUsd('1') - COST);
    await app.check();
  });

  it('counts in the rates of sound', async () => {
    await using app = await startAudioApp({
      change: (config) => void (config.limits.rates['audio']!.requestsPerMinute = 1),
    });
    const { secret } = await app.key('1');
    app.upstream.next(sound());
    const first = await app.post('/v1/audio/speech', BODY, bearer(secret));
    expect([first.status, first.headers.get('x-ratelimit-limit-requests')]).toEqual([200, '1']);
    expect((await app.post('/v1/audio/speech', BODY, bearer(secret))).status).toBe(429);
    await app.check();
  });

  it('does not wait for ever', async () => {
    await using app = await startAudioApp({
      change: (config) => {
        for (const channel of config.channels) channel.timeout.firstByteMs = 200;
      },
    });
    const { secret } = await app.key('1');
    app.upstream.next(hang());
    expect((await app.post('/v1/audio/speech', BODY, bearer(secret))).status).toBe(504);
    await app.check();
  });
});

/** Goes away once the upstream has the request, or once its own answer has begun. */
async function leaveAfter(
  app: TestApp,
  secret: string,
  what: 'arrival' | 'first byte',
): Promise<void> {
  const gone = new AbortController();
  const asked = fetch(`${app.url}/v1/audio/speech`, {
    method: 'POST',
    headers: bearer(secret),
    body: JSON.stringify(BODY),
    signal: gone.signal,
  });
  asked.catch(() => {});
  if (what === 'arrival') await app.upstream.arrived(1);
  else await (await asked).body!.getReader().read();
  gone.abort();
  // The server has seen it once it has answered others since.
  for (let n = 0; n < 3; n += 1) await app.get('/health');
}

/** Waits until nothing is held any more. */
async function settled(app: TestApp, accountId: string, expected: number): Promise<void> {
  await expect
    .poll(async () => (await app.app.store.accounts.balance(accountId)).held, { timeout: 5_000 })
    .toBe(0);
  expect((await app.app.store.accounts.balance(accountId)).posted).toBe(expected);
}
