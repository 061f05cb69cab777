import { expect, it } from 'vitest';
import { startMediaApp } from '../../support/media-app.ts';

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const START = '{"model":"seedance-2-fast","prompt":"x","duration":6,"resolution":"720p"';

it('reads no body of brackets alone, or with a field twice, and holds nothing for one', async () => {
  await using app = await startMediaApp();
  const { secret } = await app.key('1');
  const send = (body: string) =>
    fetch(`${app.url}/v1/videos`, {
      method: 'POST',
      headers: { ...bearer(secret), 'content-type': 'application/json' },
      body,
    });
  const bodies: [body: string, code: string][] = [
    [`${START},"extra":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, 'invalid_json'],
    [`${START},"extra":[${'[],'.repeat(200_000)}[]]}`, 'invalid_json'],
    [`${START},"extra":[${'0,'.repeat(2_000_000)}0]}`, 'invalid_json'],
    [`${START},"duration":10}`, 'invalid_request'],
    [`${START},"extra":{"a":1,"a":2}}`, 'invalid_request'],
    ['[]', 'invalid_json'],
    [START, 'invalid_json'],
    ['', 'invalid_json'],
  ];
  for (const [body, code] of bodies) {
    const answer = await send(body);
    expect(answer.status, body.slice(0, 90)).toBe(400);
    expect(((await answer.json()) as { error: { code: string } }).error.code).toBe(code);
  }
  expect((await app.get('/v1/tasks', bearer(secret))).json['data']).toEqual([]);
  await app.check();
});

it('takes parts of a form for what they are called, whatever that is elsewhere', async () => {
  await using app = await startMediaApp();
  const { secret } = await app.key('1');
  const form = new FormData();
  const parts = { model: 'seedance-2-fast', prompt: 'x', duration: '6', resolution: '720p' };
  for (const [name, value] of Object.entries(parts)) form.append(name, value);
  for (const name of ['constructor', '__proto__', 'toString']) form.append(name, 'y');
  const headers = bearer(secret);
  const made = await fetch(`${app.url}/v1/videos`, { method: 'POST', headers, body: form });
  expect(made.status).toBe(200);
  const { id } = (await made.json()) as { id: string };
  await app.pass();
  const { fields } = app.studio.jobOf(id);
  expect(fields).toMatchObject({ constructor: 'y', toString: 'y', prompt: 'x' });
});
