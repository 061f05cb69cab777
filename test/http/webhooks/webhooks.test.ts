import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { HOUSE_ACCOUNT } from '../../../src/keys/keys.ts';
import { type Answer, type Json, listOf, textOf } from '../../support/app.ts';
import { type MediaApp, startMediaApp } from '../../support/media-app.ts';
import { mp4 } from '../../support/media.ts';
import { operator, send } from '../../support/operator.ts';
import { startReceiver, status } from '../../support/receiver.ts';
import { hookOf } from '../../support/webhooks.ts';

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
type Headers = Record<string, string>;
const CLIP = { model: 'seedance-2-fast', prompt: 'a cat', duration: 6, resolution: '720p' };

interface Owner {
  accountId: string;
  /** ADMIN key of a wallet's account. */
  admin: Headers;
  /** INFERENCE key of the same account. */
  key: Headers;
}

async function owner(app: MediaApp): Promise<Owner> {
  const { secret, accountId } = await app.key('10', 'ADMIN');
  const inference = await app.app.store.keys.create({
    type: 'INFERENCE',
    description: '',
    accountId,
  });
  return { accountId, admin: bearer(secret), key: bearer(inference.secret) };
}

/** A video whose end is told to this URL, and has come. */
async function madeVideo(app: MediaApp, headers: Headers, callback: string): Promise<string> {
  const body = { ...CLIP, callback_url: callback };
  const made = await app.post('/v1/videos', body, headers);
  expect([made.status, made.text]).toEqual([200, made.text]);
  const id = textOf(made.json['id']);
  for (let turn = 0; turn < 10; turn += 1) {
    await app.pass(2_000);
    const { json } = await app.get(`/v1/tasks/${id}`, headers);
    if (!['pending', 'processing'].includes(textOf(json['status']))) break;
  }
  await app.app.webhooks.deliverDue();
  return id;
}

describe('a callback', () => {
  it('hears of the end of its task, in a form that it can verify, with a link that works', async () => {
    await using receiver = await startReceiver();
    await using app = await startMediaApp();
    // Receivers look at the time.
    app.clock.ms = Date.now();
    const { admin } = await owner(app);
    const id = await madeVideo(app, admin, `${receiver.origin}/in?token=1`);
    await receiver.arrived(1);
    const [got] = receiver.requests;
    const { json: secret } = await app.get('/v1/webhooks/secret', admin);
    expect(secret).toMatchObject({ object: 'webhook.secret', previous_until: null });
    const verified = new Webhook(textOf(secret['secret'])).verify(
      got!.body.toString(),
      hookOf(got!),
    ) as { type: string; data: { result: { url: string } } };
    const { json: task } = await app.get(`/v1/tasks/${id}`, admin);
    expect(task).toMatchObject({ status: 'completed' });
    expect(verified).toMatchObject({ type: 'task.completed', data: { id, status: 'completed' } });
    const { result: _said, ...said } = verified.data as Record<string, unknown>;
    const { result: _shown, ...shown } = task as Record<string, unknown>;
    expect(said).toEqual(shown);
    const file = await fetch(verified.data.result.url);
    expect(Buffer.from(await file.arrayBuffer()).equals(mp4())).toBe(true);
    const { json: list } = await app.get('/v1/webhooks/deliveries', admin);
    expect(list).toEqual({
      object: 'list',
      next_cursor: null,
      data: [
        {
          id: got!.headers['webhook-id'],
          object: 'webhook.delivery',
          task_id: id,
          event: 'task.completed',
          url: `${receiver.origin}/in?token=1`,
          status: 'delivered',
          attempts: 1,
          last_status: 204,
          last_error: null,
          created_at: expect.any(Number),
          delivered_at: expect.any(Number),
          next_attempt_at: null,
        },
      ],
    });
    await app.check();
  });

  it('is refused before anything is sold where it may not be called (W-4, W-5)', async () => {
    await using app = await startMediaApp({
      change: (config) => (config.webhooks = { allowPrivate: [], ports: [443, 80] }),
    });
    const { admin } = await owner(app);
    for (const callback of [
      'http://127.0.0.1/',
      'https://[::1]/',
      'https://0x7f000001/',
      'https://hooks.example.com:22/',
      'https://user:pass@hooks.example.com/',
      'ftp://hooks.example.com/',
      'hooks',
      7,
    ]) {
      const body = { ...CLIP, callback_url: callback };
      const { status: code, json } = await app.post('/v1/videos', body, admin);
      expect([callback, code, json['error']?.['code']]).toEqual([callback, 400, 'invalid_request']);
      expect(textOf(json['error']?.['message'])).toMatch(/^callback_url: /);
    }
    expect(listOf((await app.get('/v1/tasks', admin)).json['data'])).toEqual([]);
    expect(app.studio.submits.size).toBe(0);
    await app.check();
  });

  it('is sent again when its owner asks, and by the operator (W-1)', async () => {
    await using receiver = await startReceiver(status(410));
    await using app = await startMediaApp();
    const { admin, key } = await owner(app);
    const id = await madeVideo(app, key, receiver.origin);
    const [failed] = listOf(
      (await app.get('/v1/webhooks/deliveries?status=failed', admin)).json['data'],
    );
    expect(failed).toMatchObject({ task_id: id, status: 'failed', last_status: 410, attempts: 1 });
    receiver.usually(status(200));
    app.clock.ms += 1_000;
    const again = await app.post(`/v1/tasks/${id}/redeliver`, '', key);
    expect(again.json).toMatchObject({ data: [{ id: failed!['id'], status: 'pending' }] });
    const soon = await app.post(`/v1/tasks/${id}/redeliver`, '', admin);
    expect([soon.status, soon.headers.get('retry-after')]).toEqual([429, '10']);
    await app.app.webhooks.deliverDue();
    app.clock.ms += 20_000;
    const boss = await operator(app);
    const listed = await boss.list(`/webhooks?taskId=${id}`);
    expect(listed).toMatchObject([
      { state: 'delivered', origin: receiver.origin, lastStatus: 200 },
    ]);
    const pressed = await boss.post(`/webhooks/${textOf(failed!['id'])}/redeliver`, {});
    expect(pressed.json).toMatchObject({ id: failed!['id'], state: 'pending' });
    await app.app.webhooks.deliverDue();
    const ids = receiver.requests.map(({ headers }) => headers['webhook-id']);
    expect(ids).toEqual([failed!['id'], failed!['id'], failed!['id']]);
    const [change] = await boss.audit();
    expect(change).toMatchObject({
      action: 'webhook.redeliver',
      target: failed!['id'],
      actor: boss.keyId,
    });
    expect((await boss.post('/webhooks/evt_none/redeliver', {})).status).toBe(404);
    await app.check();
  });

  it('is the only URL of a request that is ever asked for: others are passed on (W-8)', async () => {
    await using inside = await startReceiver();
    await using app = await startMediaApp();
    const { admin } = await owner(app);
    const inputs = {
      image_url: `${inside.origin}/a.png`,
      input_mode: 'image',
      reference_url: 'http://169.254.169.254/latest/meta-data/',
      image: `${inside.origin}/b.png`,
    };
    const made = await app.post('/v1/videos', { ...CLIP, ...inputs }, admin);
    expect([made.status, made.text]).toEqual([200, made.text]);
    const id = textOf(made.json['id']);
    for (let turn = 0; turn < 5; turn += 1) await app.pass(2_000);
    expect((await app.get(`/v1/tasks/${id}`, admin)).json['status']).toBe('completed');
    expect(JSON.stringify(app.studio.jobOf(id).fields)).toContain(inputs.image_url);
    expect(inside.connections()).toBe(0);
  });

  it('of a task without one is not there to be sent again', async () => {
    await using app = await startMediaApp();
    const { admin } = await owner(app);
    const made = await app.post('/v1/videos', CLIP, admin);
    const id = textOf(made.json['id']);
    for (const target of [id, 'task_none', '%00', '..']) {
      expect((await app.post(`/v1/tasks/${target}/redeliver`, '', admin)).status).toBe(404);
    }
  });
});

describe('deliveries', () => {
  it('come in pages, the newest first, by status and by task', async () => {
    await using receiver = await startReceiver();
    await using app = await startMediaApp();
    const { admin } = await owner(app);
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) ids.push(await madeVideo(app, admin, receiver.origin));
    const seen: string[] = [];
    let cursor = '';
    do {
      const { json } = await app.get(`/v1/webhooks/deliveries?limit=2${cursor}`, admin);
      const data = listOf(json['data']);
      expect(data.length).toBeLessThanOrEqual(2);
      seen.push(...data.map((one) => textOf(one['task_id'])));
      const next = json['next_cursor'] as unknown as string | null;
      cursor = next === null ? '' : `&cursor=${next}`;
    } while (cursor);
    expect(seen).toEqual(ids.toReversed());
    const of = async (query: string) =>
      listOf((await app.get(`/v1/webhooks/deliveries?${query}`, admin)).json['data']).length;
    expect(await of(`task_id=${ids[2]!}`)).toBe(1);
    expect([await of('status=delivered'), await of('status=failed')]).toEqual([5, 0]);
    for (const query of ['status=x', 'limit=0', 'limit=201', 'cursor=;', 'other=1']) {
      expect((await app.get(`/v1/webhooks/deliveries?${query}`, admin)).status).toBe(400);
    }
  });
});

describe('the secret', () => {
  it('is changed by its owner, who is given it once (W-9)', async () => {
    await using app = await startMediaApp();
    const { admin, accountId } = await owner(app);
    const first = await app.get('/v1/webhooks/secret', admin);
    expect((await app.get('/v1/webhooks/secret', admin)).json).toEqual(first.json);
    const headers = { ...admin, 'idempotency-key': 'rotate-1' };
    const rotated = await app.post('/v1/webhooks/secret/rotate', '', headers);
    expect(rotated.status).toBe(200);
    expect(rotated.json['secret']).not.toEqual(first.json['secret']);
    expect(rotated.json['previous_until']).toBe(Math.floor(app.clock.ms / 1_000) + 86_400);
    // What is repeated does not change it again, and does not say it again.
    const repeated = await app.post('/v1/webhooks/secret/rotate', '', headers);
    expect(repeated.headers.get('idempotency-replayed')).toBe('true');
    expect(repeated.json['secret']).toBeUndefined();
    const now = await app.get('/v1/webhooks/secret', admin);
    expect(now.json['secret']).toEqual(rotated.json['secret']);
    const boss = await operator(app);
    const changes = await boss.audit('?action=webhook_secret.rotate');
    expect(changes).toMatchObject([{ target: accountId }]);
    expect(JSON.stringify(changes)).not.toContain('whsec_');
  });

  it('is for those who act for the whole account', async () => {
    await using app = await startMediaApp();
    const { admin, key, accountId } = await owner(app);
    const { keys } = app.app.store;
    const limits = { usd: 1, diem: null, vcu: null };
    const bound = await keys.create({ type: 'ADMIN', description: '', accountId, limits });
    for (const headers of [key, bearer(bound.secret)]) {
      expect((await app.get('/v1/webhooks/secret', headers)).status).toBe(403);
      expect((await app.post('/v1/webhooks/secret/rotate', '', headers)).status).toBe(403);
    }
    expect((await app.get('/v1/webhooks/secret', admin)).status).toBe(200);
    const stranger = await app.evm();
    const signed = async () => ({ 'sign-in-with-x': await stranger.signIn() });
    expect((await app.get('/v1/webhooks/secret', await signed())).status).toBe(404);
    expect((await app.get('/v1/webhooks/deliveries', await signed())).json).toMatchObject({
      data: [],
    });
  });
});

describe('somebody else', () => {
  it('reads, lists, sends and changes nothing of a webhook or a result (M-1, T-11, W-10)', async () => {
    await using receiver = await startReceiver();
    await using app = await startMediaApp();
    const mine = await owner(app);
    const id = await madeVideo(app, mine.admin, `${receiver.origin}/mine`);
    const secret = textOf((await app.get('/v1/webhooks/secret', mine.admin)).json['secret']);
    const delivery = textOf(
      listOf((await app.get('/v1/webhooks/deliveries', mine.admin)).json['data'])[0]!['id'],
    );
    const task = (await app.get(`/v1/tasks/${id}`, mine.admin)).json;
    const url = textOf(task['result']?.['url']);
    const media = url.split('/')[4]!;
    const theirs = await owner(app);
    const wallet = await app.evm('5');
    const { keys } = app.app.store;
    const house = await keys.create({
      type: 'INFERENCE',
      description: '',
      accountId: HOUSE_ACCOUNT,
    });
    const callers: [string, () => Promise<Headers>][] = [
      ['nobody', () => Promise.resolve({})],
      ['an ADMIN key', () => Promise.resolve(theirs.admin)],
      ['an INFERENCE key', () => Promise.resolve(theirs.key)],
      ['a wallet', async () => ({ 'sign-in-with-x': await wallet.signIn() })],
      ['a key of the house', () => Promise.resolve(bearer(house.secret))],
    ];
    const routes = app.app.routes.filter(({ path }) => /webhook|redeliver|media\/:id/.test(path));
    expect(routes.length).toBeGreaterThanOrEqual(7);
    app.clock.ms += 60_000;
    const leaks: string[] = [];
    for (const { method, path } of routes) {
      for (const [name, headers] of callers) {
        for (const params of [id, delivery, media]) {
          const target = path
            .replace(':id', params)
            .replace(':token', `${Math.floor(app.clock.ms / 1_000) + 999}.${'A'.repeat(22)}`)
            .replace(':name', 'video.mp4');
          const query = method === 'get' && path.endsWith('deliveries') ? `?task_id=${id}` : '';
          const body = method === 'get' ? undefined : {};
          const { status: code, text } = await sendText(
            app,
            method,
            target + query,
            await headers(),
            body,
          );
          const isLeak = [secret, delivery, '/mine', url, 'ftypisom'].some(
            (part) => text.includes(part) && !(part === delivery && params === delivery),
          );
          const isDone = code < 300 && /redeliver|media\/:id/.test(path);
          if (isLeak || isDone)
            leaks.push(`${name}: ${method} ${target} -> ${code} ${text.slice(0, 200)}`);
        }
      }
    }
    expect(leaks).toEqual([]);
    await app.app.webhooks.deliverDue();
    expect(receiver.requests).toHaveLength(1);
    const after = (await app.get('/v1/webhooks/secret', mine.admin)).json;
    expect(after['secret']).toBe(secret as unknown as Json);
  });
});

async function sendText(
  app: MediaApp,
  method: string,
  path: string,
  headers: Headers,
  body?: object,
): Promise<Pick<Answer, 'status' | 'text'>> {
  if (method === 'get') return app.get(path, headers);
  return send(app, method.toUpperCase(), path, headers, body);
}
