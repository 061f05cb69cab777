import { afterEach, describe, expect, it } from 'vitest';
import { type Rig, startRig } from '../support/chat.ts';
import { type Behaviour, gated, goodStream, json, whole } from '../support/upstream.ts';

const STREAM = { model: 'm1', messages: [{ role: 'user', content: 'Hello?' }], stream: true };

let rig: Rig;
afterEach(() => rig[Symbol.asyncDispose]());

/** A stream whose upstream is silent until a comment has reached the caller. */
async function silentThen(behaviour: Behaviour): Promise<string> {
  rig = await startRig({ limits: { sseKeepAliveMs: 20 } });
  const gate = gated(behaviour);
  rig.upstream.next(gate.behaviour);
  const response = await rig.open(STREAM);
  expect(response.status).toBe(200);
  let text = '';
  for await (const chunk of response.body!) {
    text += Buffer.from(chunk).toString();
    if (text.includes('keep-alive')) gate.open();
  }
  await rig.settled(1);
  return text;
}

describe('a stream that is silent before its first word', () => {
  it('is kept alive by comments, and goes on as ever', async () => {
    const text = await silentThen(goodStream());
    expect(text).toMatch(/^: keep-alive\n\n/);
    expect(text.match(/^data: \[DONE\]$/gm)).toHaveLength(1);
    // None after the first word.
    expect(text.lastIndexOf('keep-alive')).toBeLessThan(text.indexOf('data:'));
    expect(await rig.charged()).toBe(70);
  });

  it.each([
    ['an error', json(500, { error: { message: 'no' } })],
    ['no stream', whole()],
    ['nothing', (response: { destroy(): unknown }) => response.destroy()],
  ])('ends in an error event when %s comes after all, and costs nothing', async (_name, late) => {
    const text = await silentThen(late as Behaviour);
    expect(text).toContain('"error"');
    expect(text).not.toContain('[DONE]');
    expect(await rig.charged()).toBe(0);
    expect(await rig.held()).toBe(0);
  });

  it('stays silent when that is wanted', async () => {
    rig = await startRig({ limits: { sseKeepAliveMs: 0 } });
    const gate = gated(goodStream());
    rig.upstream.next(gate.behaviour);
    const answer = rig.post(STREAM);
    await rig.upstream.arrived(1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    gate.open();
    expect((await answer).text).not.toContain('keep-alive');
  });
});
