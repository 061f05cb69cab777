import { describe, expect, it } from 'vitest';
import { parseUsd } from '../../../src/money.ts';
import { CHARACTER, sound, startAudioApp } from '../../support/audio.ts';
import { json } from '../../support/upstream.ts';

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const BODY = { model: 'voice', input: 'Hello there.', voice: 'alloy' };
const COST = BODY.input.length * CHARACTER;

describe('speech over ElevenLabs', () => {
  it('is asked for in its words', async () => {
    await using app = await startAudioApp({ providers: ['elevenlabs'] });
    const { secret, accountId } = await app.key('1');
    app.upstream.next(sound());
    const body = {
      ...BODY,
      voice: 'JBFqnCBsd6RMkjVDRZzb',
      response_format: 'opus',
      speed: 1.1,
      language: 'de',
      voice_settings: { stability: 0.4 },
      seed: 7,
      max_credits: 9,
    };
    const answer = await app.post('/v1/audio/speech', body, bearer(secret));
    expect([answer.status, answer.text]).toEqual([200, 'some sound']);
    const sent = app.upstream.requests[0]!;
    expect(sent.path).toBe('/v1/text-to-speech/JBFqnCBsd6RMkjVDRZzb?output_format=opus_48000_128');
    expect([sent.headers['xi-api-key'], sent.headers.authorization]).toEqual([
      'up-key-0123456789',
      undefined,
    ]);
    expect(sent.json).toEqual({
      text: BODY.input,
      model_id: 'up-0',
      language_code: 'de',
      voice_settings: { stability: 0.4, speed: 1.1 },
      seed: 7,
    });
    expect((await app.app.store.accounts.balance(accountId)).posted).toBe(parseUsd('1') - COST);
    await app.check();
  });

  it('says when to come again by what it is busy with, and what it refuses', async () => {
    await using app = await startAudioApp({ providers: ['elevenlabs'] });
    const { secret } = await app.key('1');
    const post = (more: object = {}) =>
      app.post('/v1/audio/speech', { ...BODY, ...more }, bearer(secret));
    const busy = (status: string) => json(429, { detail: { status, message: 'wait' } });
    for (const [status, seconds] of [
      ['too_many_concurrent_requests', '2'],
      ['system_busy', '15'],
    ] as const) {
      await using one = await startAudioApp({ providers: ['elevenlabs'] });
      const key = await one.key('1');
      one.upstream.next(busy(status));
      const answer = await one.post('/v1/audio/speech', BODY, bearer(key.secret));
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, seconds]);
      await one.check();
    }
    app.upstream.next(
      json(400, { detail: { status: 'voice_not_found', message: 'A voice was not found.' } }),
    );
    const refused = await post();
    expect([refused.status, refused.text.includes('A voice was not found.')]).toEqual([400, true]);
    for (const [change, field] of [
      [{ response_format: 'flac' }, 'response_format'],
      [{ voice: '../../v1/voices' }, 'voice'],
      [{ pronunciation_dictionary_locators: [{}] }, 'pronunciation_dictionary_locators'],
      [{ previous_request_ids: ['x'] }, 'previous_request_ids'],
    ] as const) {
      const answer = await post(change);
      expect([answer.status, answer.text.includes(field)]).toEqual([400, true]);
    }
    expect(app.upstream.requests).toHaveLength(1);
    await app.check();
  });
});
