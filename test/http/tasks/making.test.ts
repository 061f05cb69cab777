import { expect, it } from 'vitest';
import { type Json, listOf, textOf } from '../../support/app.ts';
import { startMediaApp } from '../../support/media-app.ts';

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
/** As the API-Key.org reference prints it. */
const VIDEO = {
  model: 'seedance-2-fast',
  prompt: 'A cinematic product launch video with clean camera motion',
  duration: 6,
  resolution: '720p',
  max_credits: 250,
  callback_url: 'https://your-app.com/webhooks/api-key',
};
const HALF = 500_000_000;

function resultOf(json: Json): Json[] {
  return listOf(json['result']!['data']!);
}

it('answers the printed video request with a task at once, and serves it until its end', async () => {
  await using app = await startMediaApp();
  app.studio.usually = { looksToEnd: 2, state: 'processing', progress: 40 };
  const { secret, accountId } = await app.key('1');
  const made = await app.post('/v1/videos', VIDEO, bearer(secret));
  expect(made.status).toBe(200);
  const id = textOf(made.json['id']);
  expect(made.json).toMatchObject({
    task_id: id,
    object: 'gateway.video.task',
    status: 'pending',
    model: 'seedance-2-fast',
    progress: 0,
    credits_held: 50,
    credits_charged: 0,
    result: null,
    error: null,
    callback_url: VIDEO.callback_url,
  });
  expect(id).toMatch(/^task_[0-9a-f]{28}$/);
  expect(made.headers.get('x-balance-remaining')).toBe('0.500000');
  expect(made.headers.get('x-balance-held')).toBe('0.500000');
  expect(made.headers.get('location')).toBe(`/v1/tasks/${id}`);
  await app.pass();
  // What is for Farebox alone goes nowhere else.
  const { fields } = app.studio.jobOf(id);
  expect(fields).toMatchObject({ prompt: VIDEO.prompt, model: 'up-clip' });
  expect(Object.keys(fields)).not.toEqual(
    expect.arrayContaining([expect.stringMatching(/credits|callback/)]),
  );
  await app.pass(2_000);
  const halfway = await app.get(`/v1/tasks/${id}`, bearer(secret));
  expect(halfway.json).toMatchObject({ status: 'processing', progress: 40 });
  await app.pass(2_000);
  const done = await app.get(`/v1/tasks/${id}`, bearer(secret));
  expect(done.json).toMatchObject({
    status: 'completed',
    progress: 100,
    credits_held: 0,
    credits_charged: 50,
    charged_usd: '0.50',
  });
  const [asset] = resultOf(done.json);
  expect(done.json['result']!['url']).toBe(asset!['url']);
  const media = await fetch(asset!['url'] as unknown as string);
  expect(media.headers.get('content-type')).toBe('video/mp4');
  expect(Buffer.from(await media.arrayBuffer())).toHaveLength(Number(asset!['bytes']));
  const { posted, held } = await app.app.store.accounts.balance(accountId);
  expect([posted, held]).toEqual([HALF, 0]);
  await app.check();
});

it('sells images and music in the same way, under both prefixes', async () => {
  await using app = await startMediaApp();
  const { secret } = await app.key('10');
  const paths: [path: string, body: object, object: string][] = [
    ['/v1/images/generations', { model: 'picture', prompt: 'A boat' }, 'gateway.image.task'],
    ['/v1/images/edits', { model: 'picture', prompt: 'A boat' }, 'gateway.image.task'],
    ['/v1/music/generations', { model: 'song', prompt: 'A song' }, 'gateway.music.task'],
    ['/api/v1/media/images', { model: 'picture', prompt: 'A boat' }, 'gateway.image.task'],
    ['/api/v1/media/videos', VIDEO, 'gateway.video.task'],
    ['/api/v1/media/music', { model: 'song', prompt: 'A song' }, 'gateway.music.task'],
  ];
  for (const [path, body, object] of paths) {
    const made = await app.post(path, body, bearer(secret));
    expect([path, made.status, made.json['object']]).toEqual([path, 200, object]);
    const read = await app.get(`/api/v1/media/tasks/${textOf(made.json['id'])}`, bearer(secret));
    expect(read.json['object']).toBe(object);
  }
});

it('refuses before anything is held or sent', async () => {
  await using app = await startMediaApp();
  const { secret } = await app.key('10');
  const bad: [more: object, status: number, code: string, headers?: Record<string, string>][] = [
    [{ max_credits: 49 }, 400, 'max_credits_exceeded'],
    [{}, 400, 'max_credits_exceeded', { 'x-max-credits': '49' }],
    [{ model: 'picture' }, 400, 'invalid_request'],
    [{ model: 'demo-chat' }, 400, 'invalid_request'],
    [{ model: 'no-such-model' }, 404, 'model_not_found'],
    [{ model: 7 }, 400, 'invalid_request'],
    [{ duration: 7 }, 400, 'invalid_request'],
    [{ resolution: '8k' }, 400, 'invalid_request'],
    [{ quote_id: 'q_x' }, 400, 'invalid_request'],
    [{ callback_url: 'ftp://your-app.com' }, 400, 'invalid_request'],
    [{ callback_url: 'http://169.254.169.254/' }, 400, 'invalid_request'],
  ];
  for (const [more, status, code, headers = {}] of bad) {
    const answer = await app.post(
      '/v1/videos',
      { ...VIDEO, ...more },
      { ...bearer(secret), ...headers },
    );
    expect([more, answer.status, answer.json['error']?.['code']]).toEqual([more, status, code]);
  }
  const broken = await app.post('/v1/videos', '{"model": ', bearer(secret));
  expect(broken.json['error']!['code']).toBe('invalid_json');
  await app.pass();
  expect(app.studio.jobs).toEqual([]);
  const list = await app.get('/v1/tasks', bearer(secret));
  expect(list.json).toEqual({ object: 'list', data: [], has_more: false, next_cursor: null });
  await app.check();
});

it('asks nobody and the poor for the price of this very task', async () => {
  await using app = await startMediaApp();
  const nobody = await app.post('/v1/videos', VIDEO);
  expect(nobody.status).toBe(402);
  expect(listOf(nobody.json['accepts']!)[0]).toMatchObject({ amount: '500000' });
  const wallet = await app.evm('0.1');
  const poor = await app.post('/v1/videos', VIDEO, { 'sign-in-with-x': await wallet.signIn() });
  expect(poor.status).toBe(402);
  expect(poor.json['error']!['code']).toBe('insufficient_credits');
  const { secret } = await app.key('0.1');
  const key = await app.post('/v1/videos', VIDEO, bearer(secret));
  expect([key.status, 'accepts' in key.json]).toEqual([402, false]);
  await app.check();
});

it('takes a payment that comes along, and keeps what is left of it', async () => {
  await using app = await startMediaApp();
  const wallet = await app.evm();
  const header = await wallet.pay('0.75');
  const made = await app.post('/v1/videos', VIDEO, { 'payment-signature': header });
  expect(made.status).toBe(200);
  expect(made.headers.get('payment-response')).not.toBeNull();
  await app.pass();
  await app.pass(2_000);
  const id = textOf(made.json['id']);
  const read = await app.get(`/v1/tasks/${id}`, { 'sign-in-with-x': await wallet.signIn() });
  expect(read.json['status']).toBe('completed');
  expect(await app.balanceOf(wallet)).toBe(250_000_000);
  await app.check();
});

it('makes one task of a request that is sent twice under one key', async () => {
  await using app = await startMediaApp();
  const { secret } = await app.key('10');
  const headers = { ...bearer(secret), 'idempotency-key': 'once' };
  const first = await app.post('/v1/videos', VIDEO, headers);
  const again = await app.post('/v1/videos', VIDEO, headers);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect(again.json).toEqual(first.json);
  const other = await app.post('/v1/videos', { ...VIDEO, prompt: 'Else' }, headers);
  expect(other.status).toBe(422);
  await app.pass();
  await app.pass(2_000);
  expect(app.studio.jobs).toHaveLength(1);
  const ended = await app.post('/v1/videos', VIDEO, headers);
  expect(ended.json).toEqual(first.json);
  await app.check();
  // A task that was refused takes no key.
  const refused = { ...bearer(secret), 'idempotency-key': 'twice' };
  const bad = await app.post('/v1/videos', { ...VIDEO, duration: 7 }, refused);
  expect(bad.status).toBe(400);
  expect((await app.post('/v1/videos', VIDEO, refused)).status).toBe(200);
});

it('waits for an image where the caller prefers to, and answers as OpenAI does', async () => {
  await using app = await startMediaApp();
  app.studio.usually = { files: ['one.png', 'two.png'] };
  const { secret } = await app.key('10');
  const wait = { ...bearer(secret), prefer: 'wait=20' };
  const body = { model: 'picture', prompt: 'A boat', n: 2 };
  const asked = app.post('/v1/images/generations', body, wait);
  const encoded = app.post(
    '/v1/images/generations',
    { ...body, response_format: 'b64_json' },
    wait,
  );
  const passing = setInterval(() => void app.pass(2_000), 20);
  const [answer, inline] = await Promise.all([asked, encoded]);
  clearInterval(passing);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('preference-applied')).toBe('wait=20');
  expect(answer.headers.get('x-request-cost')).toBe('0.04');
  const urls = listOf(answer.json['data']!).map(({ url }) => url as unknown as string);
  expect(urls).toHaveLength(2);
  const bytes = Buffer.from(await (await fetch(urls[0]!)).arrayBuffer());
  expect(listOf(inline.json['data']!)).toEqual(
    Array.from({ length: 2 }, () => ({ b64_json: bytes.toString('base64') })),
  );
  await app.check();
});

it('says why an image that was waited for did not come, or that it is still to come', async () => {
  await using app = await startMediaApp();
  const { secret } = await app.key('10');
  const body = { model: 'picture', prompt: 'A boat' };
  const headers = (seconds: number, key: string) => ({
    ...bearer(secret),
    prefer: `respond-async, wait=${seconds}`,
    'idempotency-key': key,
  });
  const slow = await app.post('/v1/images/generations', body, headers(0, 'slow'));
  expect([slow.status, slow.json['status']]).toEqual([202, 'pending']);
  app.studio.usually = { looksToEnd: 99, state: 'failed', failure: { failure: 'failed' } };
  const asked = app.post('/v1/images/generations', body, headers(20, 'fails'));
  const passing = setInterval(() => void app.pass(2_000), 20);
  const failed = await asked;
  clearInterval(passing);
  expect([failed.status, failed.json['error']!['code']]).toEqual([502, 'upstream_failed']);
  await app.check();
  // What was not charged for frees its key.
  const again = await app.post('/v1/images/generations', body, headers(0, 'fails'));
  expect(again.status).toBe(202);
});

it('reads a form with files as OpenAI’s edits send it', async () => {
  await using app = await startMediaApp();
  const { secret } = await app.key('10');
  const form = new FormData();
  form.set('model', 'picture');
  form.set('prompt', 'A boat');
  form.append('image[]', new Blob([Buffer.from('one')], { type: 'image/png' }), 'a.png');
  form.append('image[]', new Blob([Buffer.from('two')], { type: 'image/png' }), 'b.png');
  const response = await fetch(`${app.url}/v1/images/edits`, {
    method: 'POST',
    headers: bearer(secret),
    body: form,
  });
  expect(response.status).toBe(200);
  await app.pass();
  expect(app.studio.jobs[0]!.fields['images']).toEqual([
    `data:image/png;base64,${Buffer.from('one').toString('base64')}`,
    `data:image/png;base64,${Buffer.from('two').toString('base64')}`,
  ]);
});

it('counts a task in the limits of its key, and in what its caller may ask for', async () => {
  await using app = await startMediaApp();
  const { keys } = app.app.store;
  const { accountId } = await app.key('10');
  const limits = { usd: 0.7, diem: null, vcu: null };
  const key = await keys.create({ accountId, type: 'INFERENCE', description: '', limits });
  const headers = bearer(key.secret);
  const first = await app.post('/v1/videos', VIDEO, headers);
  expect(first.headers.get('x-limit-remaining')).toBe('0.200000');
  expect((await app.post('/v1/videos', VIDEO, headers)).json['error']!['code']).toBe(
    'spend_limit_exceeded',
  );
  const rules = { modalities: ['image'] as const };
  const narrow = await keys.create({ accountId, type: 'INFERENCE', description: '', rules });
  expect((await app.post('/v1/videos', VIDEO, bearer(narrow.secret))).status).toBe(403);
  await app.pass();
  await app.pass(2_000);
  await app.check();
});
