import { request as httpRequest } from 'node:http';
import { describe, expect, it } from 'vitest';
import { MAX_JOINED } from '../../src/idempotency/slot.ts';
import { chatBody, startApp } from '../support/app.ts';
import {
  expectOneCharge,
  holdsOf,
  isReplay,
  keyed,
  rowsOf,
  whatItSays,
} from '../support/idempotency.ts';
import {
  DONE,
  event,
  gated,
  goodStream,
  json,
  ROLE,
  startStream,
  STOP,
  stream,
  usageEvent,
  whole,
  words,
  write,
} from '../support/upstream.ts';

const ASKED = [
  ['JSON', {}, whole()],
  ['a stream', { stream: true }, goodStream()],
] as const;

describe.each(ASKED)('a request with an Idempotency-Key for %s', (_name, more, good) => {
  const isStream = 'stream' in more;

  it('is answered again as it was answered first, and charged once (C-11)', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    shop.upstream.usually(good);
    const first = await shop.chat(keyed(secret), more);
    expect(first.status).toBe(200);
    expect(isReplay(first)).toBe(false);
    const other = await shop.chat(keyed(secret, 'k-2'), more);
    shop.upstream.requests.pop();
    const again = await shop.chat(keyed(secret), more);
    expect(isReplay(again)).toBe(true);
    expect(whatItSays(again)).toEqual(whatItSays(first));
    expect(again.headers.get('x-balance-remaining')).not.toBe(null);
    expect(other.headers.get('x-request-id')).not.toBe(again.headers.get('x-request-id'));
    expect(shop.upstream.requests).toHaveLength(1);
    expect(await holdsOf(shop, 'captured')).toHaveLength(2);
    await shop.check();
  });

  it('is refused when its key comes with another body or path (C-11)', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    shop.upstream.usually(good);
    await shop.chat(keyed(secret), more);
    const other = await shop.chat(keyed(secret), { ...more, temperature: 1 });
    expect([other.status, other.json['error']?.['code']]).toEqual([422, 'idempotency_mismatch']);
    const venice = await shop.post('/api/v1/chat/completions', chatBody(more), keyed(secret));
    expect([venice.status, venice.json['code']]).toEqual([422, 'IDEMPOTENCY_MISMATCH']);
    expect(isReplay(await shop.chat(keyed(secret), more))).toBe(true);
    await expectOneCharge(shop);
  });

  it('sent 50 times at once is one call and one charge (C-11)', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    const gate = gated(good);
    shop.upstream.usually(gate.behaviour);
    const asked = Array.from({ length: 50 }, () => shop.chat(keyed(secret), more));
    await shop.upstream.arrived(1);
    gate.open();
    const answers = await Promise.all(asked);
    const [first, ...replays] = answers.toSorted(
      (a, b) => Number(isReplay(a)) - Number(isReplay(b)),
    );
    expect(first!.status).toBe(200);
    for (const replay of replays) {
      expect(isReplay(replay)).toBe(true);
      expect(whatItSays(replay)).toEqual(whatItSays(first!));
    }
    await expectOneCharge(shop);
  });

  it('that still runs is joined by some and refused to the rest, and to another body (C-11)', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    const gate = gated(good);
    shop.upstream.usually(gate.behaviour);
    const first = shop.chat(keyed(secret), more);
    await shop.upstream.arrived(1);
    const other = await shop.chat(keyed(secret), { ...more, temperature: 1 });
    expect(other.status).toBe(422);
    const asked = Array.from({ length: MAX_JOINED + 5 }, () => shop.chat(keyed(secret), more));
    const refused = await Promise.race(asked);
    expect([refused.status, refused.json['error']?.['code']]).toEqual([
      409,
      'idempotency_in_progress',
    ]);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    gate.open();
    const answers = await Promise.all(asked);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(5);
    expect(answers.filter(isReplay)).toHaveLength(MAX_JOINED);
    expect((await first).status).toBe(200);
    await expectOneCharge(shop);
  });

  it('is answered again after a restart (C-11)', async () => {
    await using before = await startApp();
    const { secret } = await before.key();
    before.upstream.usually(good);
    const first = await before.chat(keyed(secret), more);
    await before.stop();
    await using shop = await startApp({ dataDir: before.dataDir });
    const again = await shop.chat(keyed(secret), more);
    expect(isReplay(again)).toBe(true);
    expect(whatItSays(again)).toEqual(whatItSays(first));
    expect(shop.upstream.requests).toHaveLength(0);
    const other = await shop.chat(keyed(secret), { ...more, temperature: 1 });
    expect(other.status).toBe(422);
    await shop.check();
  });

  it('whose caller leaves goes on to its end, and is answered whole afterwards (C-11)', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    const rest = gated(
      isStream
        ? async (response) => {
            for (const piece of [...words(3), STOP, usageEvent(), DONE])
              await write(response, piece);
            response.end();
          }
        : good,
    );
    shop.upstream.next(async (response, request) => {
      if (isStream) {
        startStream(response);
        await write(response, ROLE + event({ content: 'first' }));
      }
      await rest.behaviour(response, request);
    });
    const client = httpRequest(`${shop.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { ...keyed(secret), 'content-type': 'application/json' },
    });
    client.on('error', () => {});
    client.end(JSON.stringify(chatBody(more)));
    await shop.upstream.arrived(1);
    if (isStream) {
      await new Promise<void>((resolve) =>
        client.once('response', (response) => response.once('data', () => resolve())),
      );
    }
    client.destroy();
    // Whoever asks now learns of it after the server has seen the caller leave.
    for (const path of ['/health', '/health', '/health']) await shop.get(path);
    const joined = shop.chat(keyed(secret), more);
    rest.open();
    const answer = await joined;
    expect(isReplay(answer)).toBe(true);
    expect(answer.status).toBe(200);
    if (isStream) {
      for (const word of ['first', 'word0', 'word2', '[DONE]', ': farebox']) {
        expect(answer.text).toContain(word);
      }
    } else expect(answer.text).toContain('Hello there.');
    expect(await shop.upstream.requests[0]!.closed).toBe(true);
    expect(whatItSays(await shop.chat(keyed(secret), more))).toEqual(whatItSays(answer));
    await expectOneCharge(shop);
  });

  it('that is too large to be kept says what it was and what it cost (C-11)', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key('5');
    const text = 'x'.repeat(1024 * 1024);
    shop.upstream.usually(
      isStream
        ? stream([
            ROLE,
            ...Array.from({ length: 5 }, () => event({ content: text })),
            STOP,
            usageEvent(),
            DONE,
          ])
        : whole({ text: text.repeat(5) }),
    );
    const first = await shop.chat(keyed(secret), more);
    expect(first.status).toBe(200);
    expect(first.text.length).toBeGreaterThan(5 * 1024 * 1024);
    const again = await shop.chat(keyed(secret), more);
    const [hold] = await holdsOf(shop, 'captured');
    expect([again.status, again.json['error']]).toMatchObject([
      409,
      {
        code: 'idempotency_answer_gone',
        details: { requestId: first.headers.get('x-request-id'), costUsd: '0.000015' },
      },
    ]);
    expect(hold).toMatchObject({ captured: 15_000 });
    expect(await rowsOf(shop)).toMatchObject([{ state: 'done', answer: null, bytes: 0 }]);
    await expectOneCharge(shop);
  });

  it('that failed, uncharged, frees its key: those that wait hear the same, the next one is served (C-11)', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    const gate = gated(json(500, { error: { message: 'no' } }));
    shop.upstream.usually(gate.behaviour);
    const asked = Array.from({ length: 5 }, () => shop.chat(keyed(secret), more));
    await shop.upstream.arrived(1);
    gate.open();
    for (const answer of await Promise.all(asked)) expect(answer.status).toBe(502);
    expect(await rowsOf(shop)).toEqual([]);
    const calls = shop.upstream.requests.length;
    shop.upstream.usually(good);
    const next = await shop.chat(keyed(secret), more);
    expect([next.status, isReplay(next)]).toEqual([200, false]);
    expect(isReplay(await shop.chat(keyed(secret), more))).toBe(true);
    expect(shop.upstream.requests).toHaveLength(calls + 1);
    expect(await holdsOf(shop, 'captured')).toHaveLength(1);
    await shop.check();
  });
});
