import { afterEach, describe, expect, it } from 'vitest';
import { formatUsd, nanoUsd } from '../../src/money.ts';
import { type Answer, readAnswer, type Rig, type RigOptions, startRig } from '../support/chat.ts';
import {
  DONE,
  event,
  gated,
  goodStream,
  json,
  line,
  ROLE,
  startStream,
  STOP,
  stream,
  USAGE,
  usageEvent,
  whole,
  words,
  write,
} from '../support/upstream.ts';

let rig: Rig;
const start = async (options?: RigOptions) => {
  rig = await startRig(options);
  return rig;
};
afterEach(() => rig[Symbol.asyncDispose]());

const BODY = { model: 'm1', messages: [{ role: 'user', content: 'Say hello.' }], max_tokens: 50 };
const STREAM = { ...BODY, stream: true };
/** 20 input tokens at 1 nano, 5 output tokens at 10. */
const USED = 70;
const left = (charged: number) => ((1e9 - charged) / 1e9).toFixed(9).slice(0, 8);

function expectCharged(answer: Answer, nano: number): void {
  expect(answer.headers.get('x-request-cost')).toBe(formatUsd(nanoUsd(nano)));
  expect(answer.headers.get('x-balance-remaining')).toBe(left(nano));
  expect(answer.headers.get('x-balance-held')).toBe('0.000000');
}

describe('a whole answer', () => {
  it('costs the usage that was reported, and its headers say what is left', async () => {
    await start();
    const answer = await rig.post(BODY);
    expect(answer.status).toBe(200);
    expectCharged(answer, USED);
    expect(await rig.charged()).toBe(USED);
    expect(await rig.lastUsage()).toEqual({ channel: 'main', input_tokens: 20, output_tokens: 5 });
  });

  it('is counted from its text where no usage came, flagged, and never free (U-10)', async () => {
    await start();
    rig.upstream.next(whole({ text: 'x'.repeat(64), usage: null }));
    expect((await rig.post(BODY)).status).toBe(200);
    const usage = await rig.lastUsage();
    expect(usage).toMatchObject({ output_tokens: 20, estimated: true });
    expect(await rig.charged()).toBe(Number(usage!['input_tokens']) + 200);
  });

  it('estimates no more than the hold (U-10)', async () => {
    await start();
    rig.upstream.next(whole({ text: 'x'.repeat(6_400), usage: null }));
    await rig.post(BODY);
    const usage = await rig.lastUsage();
    expect(usage).toMatchObject({ output_tokens: 50, estimated: true });
    expect(rig.logged.map(({ event: name }) => name)).not.toContain('charge_above_hold');
  });

  it.each([
    ['zero', { prompt_tokens: 0, completion_tokens: 0 }],
    ['negative', { prompt_tokens: -5, completion_tokens: -1 }],
    ['text', { prompt_tokens: '20', completion_tokens: '5' }],
    ['not an object', 'lots'],
    ['not a number', { prompt_tokens: null, completion_tokens: {} }],
  ])('is estimated where the usage is %s (U-11)', async (_name, usage) => {
    await start();
    rig.upstream.next(whole({ usage, text: 'x'.repeat(32) }));
    expect((await rig.post(BODY)).status).toBe(200);
    expect(await rig.lastUsage()).toMatchObject({ output_tokens: 10, estimated: true });
    expect(await rig.charged()).toBeGreaterThan(100);
  });

  it('charges the hold and books the rest as our loss where the cost is above it (L-10)', async () => {
    await start();
    rig.upstream.next(whole({ usage: { prompt_tokens: 20, completion_tokens: 500 } }));
    const { ceiling } = rig.chat.price(Buffer.from(JSON.stringify(BODY)))!;
    expectCharged(await rig.post(BODY), ceiling);
    const { ledger } = rig.store;
    const loss = await ledger.read
      .selectFrom('entries')
      .selectAll()
      .where('kind', '=', 'SHORTFALL')
      .execute();
    expect(loss.map((entry) => entry.amount)).toEqual([5_020 - ceiling]);
    expect(rig.logged).toContainEqual(
      expect.objectContaining({ event: 'charge_above_hold', costNano: 5_020 }),
    );
  });

  it('never believes more than the model can do (U-11)', async () => {
    await start();
    rig.upstream.next(whole({ usage: { prompt_tokens: 1e300, completion_tokens: 9e15 } }));
    await rig.post(BODY);
    expect(await rig.lastUsage()).toEqual({
      channel: 'main',
      input_tokens: 100_000,
      output_tokens: 1_000,
    });
  });

  it('costs nothing where a 200 carries an error (U-13)', async () => {
    await start();
    rig.upstream.next(json(200, { error: { message: 'overloaded', code: 502 } }));
    expect((await rig.post(BODY)).json).toMatchObject({
      code: 'upstream_failed',
      message: expect.stringContaining('overloaded'),
    });
    expect(await rig.charged()).toBe(0);
  });

  it('costs nothing where it is empty and ended in an error (U-13)', async () => {
    await start();
    rig.upstream.next(whole({ text: '', choice: { finish_reason: 'error' } }));
    expect((await rig.post(BODY)).json).toMatchObject({ code: 'upstream_failed' });
    expect(await rig.charged()).toBe(0);
  });

  it('is awaited and charged when the caller leaves while the upstream works (C-9)', async () => {
    await start();
    const gate = gated(whole());
    rig.upstream.next(gate.behaviour);
    const leaving = new AbortController();
    const answer = rig.open(BODY, { signal: leaving.signal }).catch(() => null);
    await rig.upstream.arrived(1);
    leaving.abort();
    await answer;
    gate.open();
    await rig.settled(1);
    expect(await rig.upstream.requests[0]!.closed).toBe(true);
    expect(await rig.charged()).toBe(USED);
  });
});

describe('a stream', () => {
  it('costs the usage of its last chunk, and ends with the final figures', async () => {
    await start();
    rig.upstream.next(goodStream());
    const answer = await rig.post(STREAM);
    expect(answer.final).toEqual({
      cost: '0.00000007',
      balance_remaining: left(USED),
      balance_held: '0.000000',
    });
    expect(answer.text.endsWith(`}\n\n${DONE}`)).toBe(true);
    const { ceiling } = rig.chat.price(Buffer.from(JSON.stringify(STREAM)))!;
    expect(answer.headers.get('x-balance-remaining')).toBe(left(ceiling));
    expect(await rig.charged()).toBe(USED);
  });

  it('keeps the usage chunk that only we asked for, and passes on one that the caller asked for', async () => {
    await start();
    rig.upstream.usually(goodStream());
    const silent = await rig.post(STREAM);
    expect(silent.text).not.toContain('usage');
    expect(silent.text).toContain([ROLE, ...words(3), STOP].join(''));
    const asked = await rig.post({ ...STREAM, stream_options: { include_usage: true } });
    expect(asked.text).toContain([ROLE, ...words(3), STOP, usageEvent()].join(''));
    expect(rig.upstream.requests.map(({ json: body }) => body['stream_options'])).toEqual([
      { include_usage: true },
      { include_usage: true },
    ]);
  });

  it('takes the last usage where chunks disagree (U-11)', async () => {
    await start();
    const running = words(3, { prompt_tokens: 20, completion_tokens: 90 });
    rig.upstream.next(
      stream([
        ...running,
        STOP,
        usageEvent(),
        usageEvent({ prompt_tokens: 20, completion_tokens: 7 }),
        DONE,
      ]),
    );
    await rig.post(STREAM);
    expect(await rig.charged()).toBe(90);
  });

  it('is counted from its text where no usage came (U-10)', async () => {
    await start();
    rig.upstream.next(stream([ROLE, event({ content: 'x'.repeat(64) }), STOP, DONE]));
    const answer = await rig.post(STREAM);
    const usage = await rig.lastUsage();
    expect(usage).toMatchObject({ output_tokens: 20, estimated: true });
    expect(Number(answer.final!.cost) * 1e9).toBeCloseTo(Number(usage!['input_tokens']) + 200);
  });

  it('that breaks off costs what was delivered, and says that it broke (U-12)', async () => {
    await start();
    rig.upstream.next(stream([ROLE, event({ content: 'x'.repeat(32) })], 'cut'));
    const answer = await rig.post(STREAM);
    expect(JSON.parse(answer.events.at(-1)!)).toMatchObject({
      error: { type: 'gateway_error', code: 'upstream_failed' },
    });
    expect(answer.text).not.toContain('[DONE]');
    const usage = await rig.lastUsage();
    expect(usage).toMatchObject({ output_tokens: 10, estimated: true });
    expect(await rig.charged()).toBe(Number(usage!['input_tokens']) + 100);
  });

  it('that ends without its own end is broken, too (U-12)', async () => {
    await start();
    rig.upstream.next(stream([ROLE, ...words(2)]));
    const answer = await rig.post(STREAM, { dialect: 'venice' });
    expect(JSON.parse(answer.events.at(-1)!)).toEqual({
      error: expect.any(String),
      code: 'UPSTREAM_FAILED',
    });
    expect(await rig.lastUsage()).toMatchObject({ estimated: true });
  });

  it('with a finish reason is complete without [DONE] (U-12)', async () => {
    await start();
    rig.upstream.next(stream([ROLE, ...words(3), STOP, usageEvent()]));
    const answer = await rig.post(STREAM);
    expect(answer.text).not.toContain('error');
    expect(answer.final).toMatchObject({ cost: '0.00000007' });
  });

  it('with an error event after output costs what was delivered and passes the event on (U-13)', async () => {
    await start();
    const failure = line({ error: { message: 'backend died' }, choices: [] });
    rig.upstream.next(stream([ROLE, event({ content: 'x'.repeat(32) }), failure, DONE]));
    const answer = await rig.post(STREAM);
    expect(answer.text).toContain(failure);
    expect(answer.events.filter((data) => data.includes('"error"'))).toHaveLength(1);
    expect(await rig.lastUsage()).toMatchObject({ output_tokens: 10, estimated: true });
  });

  it('with usage on its error event costs that usage (U-13)', async () => {
    await start();
    rig.upstream.next(
      stream([ROLE, ...words(1), line({ error: { message: 'died' }, choices: [], usage: USAGE })]),
    );
    await rig.post(STREAM);
    expect(await rig.charged()).toBe(USED);
  });

  it('with an error before any output costs nothing and is answered with an error (U-13)', async () => {
    await start();
    rig.upstream.next(stream([line({ error: { message: 'no capacity' } }), DONE]));
    expect((await rig.post(STREAM)).json).toMatchObject({
      code: 'upstream_failed',
      message: expect.stringContaining('no capacity'),
    });
    expect(await rig.charged()).toBe(0);
  });

  it('with an error after its head and no output costs nothing (U-13)', async () => {
    await start();
    const failed = gated(async (response) => {
      await write(response, [event({}, { finish: 'error' }), usageEvent(), DONE].join(''));
      response.end();
    });
    rig.upstream.next(async (response, request) => {
      startStream(response);
      await write(response, ROLE);
      await failed.behaviour(response, request);
    });
    const response = await rig.open(STREAM);
    failed.open();
    const answer = await readAnswer(response);
    expect(answer.status).toBe(200);
    expect(answer.final).toMatchObject({ cost: '0.00' });
    expect(await rig.charged()).toBe(0);
  });

  it('with a role and an error at once is answered with an error (U-13)', async () => {
    await start();
    rig.upstream.next(stream([[ROLE, event({}, { finish: 'error' }), DONE].join('')]));
    expect((await rig.post(STREAM)).json).toMatchObject({ code: 'upstream_failed' });
    expect(await rig.charged()).toBe(0);
  });

  it('that is empty costs nothing', async () => {
    await start();
    rig.upstream.next(stream([]), stream([DONE]));
    expect((await rig.post(STREAM)).json).toMatchObject({ code: 'upstream_failed' });
    expect((await rig.post(STREAM)).json).toMatchObject({ code: 'upstream_failed' });
    expect(await rig.charged()).toBe(0);
  });
});

describe('a caller that leaves a stream', () => {
  /** Leaves once the caller has seen `after` bytes; 0 leaves before any. */
  async function leave(after: number, pieces: string[]): Promise<boolean> {
    let show = () => {};
    const shown = new Promise<void>((resolve) => {
      show = resolve;
    });
    rig.upstream.next(async (response, request) => {
      startStream(response);
      for (const piece of pieces) await write(response, piece);
      show();
      await request.closed;
    });
    const leaving = new AbortController();
    const opening = rig.open(STREAM, { signal: leaving.signal });
    opening.catch(() => {});
    await shown;
    if (after) {
      const reader = (await opening).body!.getReader();
      for (let seen = 0; seen < after;) seen += (await reader.read()).value?.length ?? after;
    }
    leaving.abort();
    await rig.settled(1);
    return rig.upstream.requests[0]!.closed;
  }

  it('before any output pays for the input, and the upstream is cut off (C-9)', async () => {
    await start();
    expect(await leave(0, [])).toBe(false);
    const usage = await rig.lastUsage();
    expect(usage).toMatchObject({ output_tokens: 0, estimated: true });
    expect(await rig.charged()).toBe(usage!['input_tokens']);
    expect(await rig.held()).toBe(0);
  });

  it('in the middle pays for the input and what was sent (C-10)', async () => {
    await start();
    const pieces = [ROLE, event({ content: 'x'.repeat(320) })];
    expect(await leave(pieces.join('').length, pieces)).toBe(false);
    const usage = await rig.lastUsage();
    expect(usage).toMatchObject({ output_tokens: 50, estimated: true });
    expect(await rig.charged()).toBe(Number(usage!['input_tokens']) + 500);
  });

  it('in the middle pays the last usage that was seen (U-14)', async () => {
    await start();
    const pieces = words(2, { prompt_tokens: 20, completion_tokens: 2 });
    await leave(pieces.join('').length, pieces);
    expect(await rig.charged()).toBe(40);
    expect(await rig.lastUsage()).not.toHaveProperty('estimated');
  });

  it('pays for the whole answer where the channel is read to its end (U-14)', async () => {
    await start({ channel: { onDisconnect: 'drain' } });
    const gate = gated(async (response) => {
      for (const piece of [...words(2), STOP, usageEvent(), DONE]) await write(response, piece);
      response.end();
    });
    rig.upstream.next(async (response, request) => {
      startStream(response);
      await write(response, ROLE);
      await gate.behaviour(response, request);
    });
    const leaving = new AbortController();
    const response = await rig.open(STREAM, { signal: leaving.signal });
    await response.body!.getReader().read();
    leaving.abort();
    gate.open();
    await rig.settled(1);
    expect(await rig.upstream.requests[0]!.closed).toBe(true);
    expect(await rig.charged()).toBe(USED);
  });

  it('before the upstream was called pays nothing (C-8)', async () => {
    await start({ channel: { concurrency: 1 } });
    const gate = gated(goodStream());
    rig.upstream.next(gate.behaviour);
    const first = rig.post(STREAM);
    await rig.upstream.arrived(1);
    const leaving = new AbortController();
    const second = rig.open(STREAM, { signal: leaving.signal }).catch(() => null);
    await expect
      .poll(
        async () => (await rig.store.ledger.read.selectFrom('holds').select('id').execute()).length,
      )
      .toBe(2);
    leaving.abort();
    await second;
    await rig.settled(1);
    gate.open();
    await first;
    expect(await rig.charged()).toBe(USED);
    expect(await rig.held()).toBe(0);
    expect(rig.upstream.requests).toHaveLength(1);
  });

  it('at any moment pays at most its hold, once, and leaves nothing held (C-8, C-9, C-10)', async () => {
    await start();
    rig.upstream.usually(async (response) => {
      startStream(response);
      for (const piece of [ROLE, ...words(10), STOP, usageEvent(), DONE]) {
        await write(response, piece);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      response.end();
    });
    const { ceiling } = rig.chat.price(Buffer.from(JSON.stringify(STREAM)))!;
    const sweep = Array.from({ length: 60 }, async (_, delay) => {
      const leaving = new AbortController();
      const left = rig
        .post({ ...BODY, stream: delay % 4 > 0 }, { signal: leaving.signal })
        .catch(() => null);
      await new Promise((resolve) => setTimeout(resolve, delay));
      leaving.abort();
      await left;
    });
    await Promise.all(sweep);
    const holds = () => rig.store.ledger.read.selectFrom('holds').selectAll().execute();
    for (const hold of await holds()) expect(hold.captured).toBeLessThanOrEqual(ceiling);
    // Some of the requests arrive after their callers have left.
    const left = async () => [
      await rig.held(),
      (await holds()).filter((hold) => hold.state === 'open').length,
    ];
    await expect.poll(left, { timeout: 10_000 }).toEqual([0, 0]);
  });
});
