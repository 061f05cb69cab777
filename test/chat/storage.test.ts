import { afterEach, describe, expect, it } from 'vitest';
import { type Rig, startRig } from '../support/chat.ts';
import { gated, goodStream, whole } from '../support/upstream.ts';

const BODY = { model: 'm1', messages: [{ role: 'user', content: 'Say hello.' }], max_tokens: 50 };
const STREAM = { ...BODY, stream: true };

let rig: Rig;
afterEach(() => rig[Symbol.asyncDispose]());

describe('an answer whose charge cannot be stored', () => {
  it.each([
    ['JSON', BODY, whole()],
    ['a stream', STREAM, goodStream()],
  ])('still reaches its caller: %s', async (_name, body, behaviour) => {
    rig = await startRig();
    const gate = gated(behaviour);
    rig.upstream.next(gate.behaviour);
    const answer = rig.post(body);
    await rig.upstream.arrived(1);
    await rig.store.close();
    gate.open();
    const { status, text, headers } = await answer;
    expect(status).toBe(200);
    expect(text).toMatch(/Hello there|word2/);
    expect(text).not.toContain(': farebox');
    expect(headers.has('x-request-cost')).toBe(false);
    expect(rig.logged).toContainEqual(expect.objectContaining({ event: 'settlement_failed' }));
  });
});
