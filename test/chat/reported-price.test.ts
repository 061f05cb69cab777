/** Models whose price is what the upstream says that they cost. */
import { afterEach, describe, expect, it } from 'vitest';
import { parseUsd } from '../../src/money.ts';
import { type Rig, type RigOptions, startRig } from '../support/chat.ts';
import {
  gated,
  hang,
  ROLE,
  startStream,
  stream,
  whole,
  words,
  write,
} from '../support/upstream.ts';

const BODY = { model: 'm1', messages: [{ role: 'user', content: 'Hello?' }], max_tokens: 100 };
const USAGE = { prompt_tokens: 20, completion_tokens: 5, total_tokens: 25 };
const PRICE = { version: 'v1', rules: [], upstream: { markup: '1.2', maxUsd: '0.01' } };
const MAX = parseUsd('0.01');

let rig: Rig;
afterEach(() => rig[Symbol.asyncDispose]());

async function start(options: RigOptions = {}): Promise<void> {
  rig = await startRig({
    channel: { reportedCost: 'usage.cost' },
    model: { price: PRICE },
    usd: '0.05',
    ...options,
  });
}

describe('a price that is the upstream’s word', () => {
  it('holds the most, and costs what was said times the markup', async () => {
    await start();
    const gate = gated(whole({ usage: { ...USAGE, cost: 0.00123 } }));
    rig.upstream.next(gate.behaviour);
    const answer = rig.post(BODY);
    await rig.upstream.arrived(1);
    expect(await rig.held()).toBe(MAX);
    gate.open();
    expect((await answer).headers.get('x-request-cost')).toBe('0.001476');
    expect(await rig.charged()).toBe(1_476_000);
    await rig.store.check();
  });

  it('costs at most what was held, and the rest is the operator’s', async () => {
    await start();
    rig.upstream.next(whole({ usage: { ...USAGE, cost: 5 } }));
    await rig.post(BODY);
    expect(await rig.charged()).toBe(MAX);
    expect(rig.logged).toContainEqual(expect.objectContaining({ event: 'charge_above_hold' }));
    await rig.store.check();
  });

  it('costs its share of the most where nothing was said, and never nothing', async () => {
    await start();
    rig.upstream.next(whole({ usage: USAGE }));
    await rig.post(BODY);
    const counted = rig.chat.inputTokens(Buffer.from(JSON.stringify(BODY)));
    expect(await rig.charged()).toBe(Math.ceil((MAX * 25) / (counted + 100)));
    await rig.store.check();
  });

  it('costs what its rules say where nothing was said and there are rules', async () => {
    const rules = [
      { unit: 'input_token', per: 1_000_000, usd: '0.1' },
      { unit: 'output_token', per: 1_000_000, usd: '1' },
    ];
    await start({ model: { price: { ...PRICE, rules } } });
    rig.upstream.next(whole({ usage: USAGE }));
    await rig.post(BODY);
    expect(await rig.charged()).toBe(20 * 100 + 5 * 1_000);
    await rig.store.check();
  });

  it('costs its share when its caller leaves in the middle', async () => {
    await start();
    rig.upstream.next(async (response, request) => {
      startStream(response);
      for (const piece of [ROLE, ...words(3)]) await write(response, piece);
      await hang()(response, request);
    });
    const leaving = new AbortController();
    const answer = await rig.open({ ...BODY, stream: true }, { signal: leaving.signal });
    await answer.body!.getReader().read();
    leaving.abort();
    await rig.settled(1);
    const charged = await rig.charged();
    expect(charged).toBeGreaterThan(0);
    expect(charged).toBeLessThan(MAX);
    await rig.store.check();
  });

  it('costs nothing where nothing came', async () => {
    await start();
    rig.upstream.next(stream([], 'cut'));
    await rig.post({ ...BODY, stream: true });
    expect(await rig.charged()).toBe(0);
    await rig.store.check();
  });

  it('is not begun where the balance does not cover the most', async () => {
    await start({ usd: '0.009' });
    expect((await rig.post(BODY)).json).toMatchObject({ code: 'insufficient_balance' });
    expect(rig.upstream.requests).toHaveLength(0);
  });
});
