import { expect, it } from 'vitest';
import { HOUSE_ACCOUNT } from '../../../src/keys/keys.ts';
import { listOf, textOf } from '../../support/app.ts';
import { type MediaApp, startMediaApp } from '../../support/media-app.ts';

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const VIDEO = { model: 'seedance-2-fast', prompt: 'A boat', duration: 6, resolution: '720p' };

async function made(app: MediaApp, headers: Record<string, string>): Promise<string> {
  const answer = await app.post('/v1/videos', VIDEO, headers);
  expect(answer.status).toBe(200);
  return textOf(answer.json['id']);
}

it('answers a long poll as soon as the task ends', async () => {
  await using app = await startMediaApp();
  const { secret } = await app.key('10');
  const id = await made(app, bearer(secret));
  await app.pass();
  const at = performance.now();
  const poll = app.get(`/v1/tasks/${id}?wait=30`, bearer(secret));
  // The poll must be waiting before the task ends, or it would find it so.
  await expect.poll(() => app.logged.length >= 0).toBe(true);
  await app.pass(2_000);
  const answer = await poll;
  expect(answer.json['status']).toBe('completed');
  expect(performance.now() - at).toBeLessThan(20_000);
  const over = await app.get(
    `/v1/tasks/${await made(app, bearer(secret))}?wait=0.05`,
    bearer(secret),
  );
  expect(over.json['status']).toBe('pending');
  const wrong = await app.get(`/v1/tasks/${id}?wait=61`, bearer(secret));
  expect([wrong.status, wrong.json['error']!['code']]).toEqual([400, 'invalid_request']);
});

it('lists tasks newest first, a page at a time', async () => {
  await using app = await startMediaApp();
  const { secret } = await app.key('10');
  const ids: string[] = [];
  for (let n = 0; n < 5; n += 1) ids.unshift(await made(app, bearer(secret)));
  const first = await app.get('/v1/tasks?limit=2', bearer(secret));
  expect(first.json['has_more']).toBe(true);
  const second = await app.get(
    `/v1/tasks?limit=3&cursor=${textOf(first.json['next_cursor'])}`,
    bearer(secret),
  );
  const seen = [...listOf(first.json['data']), ...listOf(second.json['data'])];
  expect(seen.map(({ id }) => id)).toEqual(ids);
  expect(second.json).toMatchObject({ has_more: false, next_cursor: null });
  await app.pass();
  await app.pass(2_000);
  const image = await app.post(
    '/v1/images/generations',
    { model: 'picture', prompt: 'x' },
    bearer(secret),
  );
  const count = async (query: string) =>
    listOf((await app.get(`/v1/tasks?${query}`, bearer(secret))).json['data']).length;
  expect(image.status).toBe(200);
  expect(await count('status=completed')).toBe(5);
  expect(await count('kind=image')).toBe(1);
  expect(await count('kind=video&status=pending')).toBe(0);
});

it('says how many stand before a task, and what is left of its time', async () => {
  await using app = await startMediaApp({
    change: ({ channels }) => {
      channels.at(-1)!.concurrency = 1;
    },
  });
  app.studio.usually = { looksToEnd: 99, state: 'processing' };
  const { secret } = await app.key('10');
  await made(app, bearer(secret));
  await app.pass();
  const second = await made(app, bearer(secret));
  const third = await made(app, bearer(secret));
  const place = async (id: string) =>
    (await app.get(`/v1/tasks/${id}`, bearer(secret))).json['queue_position'];
  expect([await place(second), await place(third)]).toEqual([0, 1]);
});

it('cancels a task that waits, one that its upstream lets go of, and no other', async () => {
  await using app = await startMediaApp({
    change: ({ channels }) => {
      channels.at(-1)!.concurrency = 1;
    },
  });
  app.studio.usually = { looksToEnd: 99, state: 'processing' };
  const { secret } = await app.key('10');
  const cancel = async (id: string) => {
    const response = await fetch(`${app.url}/v1/tasks/${id}`, {
      method: 'DELETE',
      headers: bearer(secret),
    });
    return { status: response.status, json: (await response.json()) as Record<string, unknown> };
  };
  const running = await made(app, bearer(secret));
  await app.pass();
  const waiting = await made(app, bearer(secret));
  const cancelled = await cancel(waiting);
  expect(cancelled).toMatchObject({
    status: 200,
    json: { status: 'cancelled', credits_charged: 0, error: { code: 'cancelled' } },
  });
  // Once more is no error.
  expect((await cancel(waiting)).status).toBe(200);
  expect((await cancel(running)).json['status']).toBe('cancelled');
  expect(app.studio.jobOf(running).state).toBe('failed');
  app.studio.usually = {};
  const done = await made(app, bearer(secret));
  await app.pass();
  await app.pass(2_000);
  expect(await cancel(done)).toMatchObject({
    status: 409,
    json: { error: { code: 'state_conflict', details: { status: 'completed' } } },
  });
  await app.check();
});

/** Every route about one task, under every method that it has. */
const OF_ONE: [method: string, path: (id: string) => string][] = [
  ['GET', (id) => `/v1/tasks/${id}`],
  ['GET', (id) => `/v1/tasks/${id}?wait=1`],
  ['DELETE', (id) => `/v1/tasks/${id}`],
  ['GET', (id) => `/v1/tasks/${id}/events`],
  ['POST', (id) => `/v1/tasks/${id}/redeliver`],
  ['GET', (id) => `/api/v1/media/tasks/${id}`],
  ['DELETE', (id) => `/api/v1/media/tasks/${id}`],
];
const OF_ALL = [
  '/v1/tasks',
  '/api/v1/media/tasks',
  '/v1/events?after=0',
  '/v1/webhooks/deliveries',
];

it('shows a task to nobody but its owner, on any route (T-11)', async () => {
  await using app = await startMediaApp();
  const { keys } = app.app.store;
  const routes = app.app.routes.filter(({ path }) => /tasks\/:id/.test(path));
  const tested = new Set(OF_ONE.map(([method, path]) => `${method} ${path(':id').split('?')[0]}`));
  expect(routes.map(({ method, path }) => `${method.toUpperCase()} ${path}`).sort()).toEqual(
    [...tested].sort(),
  );
  const owner = await app.evm('10');
  const signIn = async () => ({ 'sign-in-with-x': await owner.signIn() });
  const id = await made(app, await signIn());
  const house = await keys.create({ accountId: HOUSE_ACCOUNT, type: 'ADMIN', description: '' });
  const strangers: Record<string, () => Promise<Record<string, string>>> = {
    'a key of another account': async () => bearer((await app.key('1')).secret),
    'an ADMIN key of another account': async () => bearer((await app.key('1', 'ADMIN')).secret),
    'another wallet': async () => ({ 'sign-in-with-x': await (await app.evm('1')).signIn() }),
    'a wallet that never paid': async () => ({
      'sign-in-with-x': await (await app.evm()).signIn(),
    }),
    'an operator': () => Promise.resolve(bearer(house.secret)),
  };
  const unlike: unknown[] = [];
  for (const [who, headers] of Object.entries(strangers)) {
    for (const [method, path] of OF_ONE) {
      const answers = await Promise.all(
        [id, 'task_00000000000000000000000000'].map(async (named) => {
          const response = await fetch(app.url + path(named), {
            method,
            headers: { ...(await headers()), accept: 'application/json' },
          });
          return [response.status, (await response.text()).replaceAll(named, '')];
        }),
      );
      const [its, none] = answers;
      if (its![0] !== 404 && its![0] !== 403) unlike.push([who, method, path(id), its]);
      if (String(its) !== String(none)) unlike.push([who, method, path(id), answers]);
    }
    for (const path of OF_ALL) {
      const answer = await app.get(path, { ...(await headers()), accept: 'application/json' });
      if (answer.text.includes(id)) unlike.push([who, path]);
    }
  }
  expect(unlike).toEqual([]);
  const nobody = await app.get(`/v1/tasks/${id}`);
  expect(nobody.status).toBe(401);
  expect((await app.get(`/v1/tasks/${id}`, await signIn())).json['status']).toBe('pending');
  // Nobody's request went on to the upstream.
  expect(app.studio.jobs.map(({ looks, state }) => [looks, state])).toEqual([[0, 'pending']]);
});

it('shows an INFERENCE key its own tasks and those of keys that it made', async () => {
  await using app = await startMediaApp();
  const { keys } = app.app.store;
  const { accountId } = await app.key('10');
  const make = (more: object = {}) =>
    keys.create({ accountId, type: 'INFERENCE', description: '', ...more });
  const parent = await make();
  const child = await make({ parentId: parent.id });
  const sibling = await make();
  const admin = await make({ type: 'ADMIN' });
  const ids = {
    parent: await made(app, bearer(parent.secret)),
    child: await made(app, bearer(child.secret)),
    sibling: await made(app, bearer(sibling.secret)),
  };
  const seen = async (secret: string) => {
    const list = await app.get('/v1/tasks', bearer(secret));
    const events = await app.get('/v1/events?after=0', {
      ...bearer(secret),
      accept: 'application/json',
    });
    const names = Object.entries(ids).filter(([, id]) => list.text.includes(id));
    expect(Object.entries(ids).filter(([, id]) => events.text.includes(id))).toEqual(names);
    for (const [name, id] of Object.entries(ids)) {
      const { status } = await app.get(`/v1/tasks/${id}`, bearer(secret));
      expect([name, status]).toEqual([name, names.some(([of]) => of === name) ? 200 : 404]);
    }
    return names.map(([name]) => name);
  };
  expect(await seen(parent.secret)).toEqual(['parent', 'child']);
  expect(await seen(child.secret)).toEqual(['child']);
  expect(await seen(sibling.secret)).toEqual(['sibling']);
  expect(await seen(admin.secret)).toEqual(['parent', 'child', 'sibling']);
});
