import { expect, it } from 'vitest';
import type { MediaModel } from '../../../src/config/config.ts';
import { parseUsd } from '../../../src/money.ts';
import { readAnswer } from '../../support/app.ts';
import { AUDIO_MODELS, CHARACTER, form, SECOND, sound } from '../../support/audio.ts';
import {
  bearer,
  type ByokApp,
  newKey,
  platformKey,
  startByok,
  stored,
} from '../../support/byok.ts';
import { load } from '../../support/config.ts';
import { fileOf } from '../../support/media-model.ts';
import { wav } from '../../support/sound.ts';
import { json } from '../../support/upstream.ts';

const DOLLAR = 1_000_000_000;
const SPOKEN = { model: 'voice', input: 'Hello there.', voice: 'alloy' };
const PRICE = SPOKEN.input.length * CHARACTER;

function start(fee = { percent: '12.5', perRequest: parseUsd('0.000001') }): Promise<ByokApp> {
  return startByok({
    fee,
    change: (config) => {
      const routes = [{ channel: 'c0', model: 'up' }];
      const models = load(fileOf(...AUDIO_MODELS)).models as MediaModel[];
      config.models.push(...models.map((model) => ({ ...model, routes })));
    },
  });
}

it('sound over a key of its owner goes with that key, and costs the fee', async () => {
  await using app = await start();
  const owner = await app.owner();
  const key = newKey();
  await stored(owner, 'acme', key);
  app.upstreams[0]!.next(sound());
  const spoken = await app.post('/v1/audio/speech', SPOKEN, bearer(owner.secret));
  expect([spoken.status, spoken.headers.get('x-byok')]).toEqual([200, 'used']);
  const first = Math.ceil(PRICE / 8) + 1_000;
  expect(await owner.left()).toBe(DOLLAR - first);
  app.upstreams[0]!.next(json(200, { text: 'Hello.', duration: 8 }));
  const heard = await readAnswer(
    await fetch(`${app.url}/v1/audio/transcriptions`, {
      method: 'POST',
      headers: bearer(owner.secret),
      body: form({ model: 'ears' }, wav(10)),
    }),
  );
  expect([heard.status, heard.headers.get('x-byok')]).toEqual([200, 'used']);
  expect(await owner.left()).toBe(DOLLAR - first - (8 * SECOND) / 8 - 1_000);
  expect(app.saw(0)).toEqual([`Bearer ${key}`, `Bearer ${key}`]);
  await app.check();
});

it('a vendor that refuses the key is said so, and nothing is charged', async () => {
  await using app = await start();
  const owner = await app.owner();
  await stored(owner, 'acme', newKey());
  app.upstreams[0]!.next(json(401, { error: { message: 'bad key' } }));
  const refused = await app.post('/v1/audio/speech', SPOKEN, bearer(owner.secret));
  expect([refused.status, refused.headers.get('x-byok')]).toEqual([403, 'failed']);
  expect(await owner.left()).toBe(DOLLAR);
  const other = await app.owner();
  app.upstreams[0]!.next(sound());
  expect((await app.post('/v1/audio/speech', SPOKEN, bearer(other.secret))).status).toBe(200);
  expect(await other.left()).toBe(DOLLAR - PRICE);
  expect(app.saw(0).at(-1)).toBe(`Bearer ${platformKey(0)}`);
  await app.check();
});
