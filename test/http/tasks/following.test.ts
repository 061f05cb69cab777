import { request } from 'node:http';
import { expect, it } from 'vitest';
import { listOf, textOf } from '../../support/app.ts';
import { type MediaApp, startMediaApp } from '../../support/media-app.ts';

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const VIDEO = { model: 'seedance-2-fast', prompt: 'A boat', duration: 6, resolution: '720p' };

interface Told {
  id: string;
  event: string;
  data: { type: string; data: { status: string; result: unknown } };
}

async function* events(response: Response): AsyncGenerator<Told> {
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n');
      text = text.slice(end + 2);
      const of = (name: string) =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = of('data');
      if (data === undefined) continue;
      yield { id: of('id')!, event: of('event')!, data: JSON.parse(data) as Told['data'] };
    }
  }
}

async function made(app: MediaApp, secret: string): Promise<string> {
  return textOf((await app.post('/v1/videos', VIDEO, bearer(secret))).json['id']);
}

it('tells what happens to one task, from its beginning to its end', async () => {
  await using app = await startMediaApp();
  app.studio.usually = { looksToEnd: 3, state: 'processing', progress: 10 };
  const { secret } = await app.key('10');
  const id = await made(app, secret);
  const response = await fetch(`${app.url}/v1/tasks/${id}/events`, { headers: bearer(secret) });
  const told: Told[] = [];
  for await (const event of events(response)) {
    told.push(event);
    app.studio.usually.progress = 10;
    if (app.studio.jobs[0]) app.studio.jobs[0].progress = 10 * (app.studio.jobs[0].looks + 1);
    await app.pass(told.length === 1 ? 0 : 3_000);
    if (told.length === 1) await app.pass(3_000);
  }
  expect(told.map(({ event }) => event)).toEqual([
    'task.created',
    'task.processing',
    'task.progress',
    'task.completed',
  ]);
  expect(told.map(({ data }) => data.data.status)).toEqual([
    'pending',
    'processing',
    'processing',
    'completed',
  ]);
  expect(told.map(({ data }) => data.data.result === null)).toEqual([true, true, true, false]);
  // After a break only what is new.
  const rest = await fetch(`${app.url}/v1/tasks/${id}/events`, {
    headers: { ...bearer(secret), 'last-event-id': told[2]!.id },
  });
  const again: string[] = [];
  for await (const { event } of events(rest)) again.push(event);
  expect(again).toEqual(['task.completed']);
  await app.check();
});

it('tells what happens to all tasks of a caller from now on, and after an event', async () => {
  await using app = await startMediaApp();
  const { secret } = await app.key('10');
  const before = await made(app, secret);
  const leave = new AbortController();
  const response = await fetch(`${app.url}/v1/events`, {
    headers: bearer(secret),
    signal: leave.signal,
  });
  const stream = events(response);
  const next = async () => (await stream.next()).value as Told;
  const id = await made(app, secret);
  expect(await next()).toMatchObject({ event: 'task.created', data: { data: { id } } });
  await app.pass();
  await app.pass(2_000);
  const ended = [await next(), await next()];
  expect(ended.map(({ event }) => event)).toEqual(['task.completed', 'task.completed']);
  leave.abort();
  const page = await app.get('/v1/events?after=0', {
    ...bearer(secret),
    accept: 'application/json',
  });
  const types = listOf(page.json['data']).map(({ type, data }) => [type, data!['id']]);
  expect(types).toHaveLength(4);
  expect(types[0]).toEqual(['task.created', before]);
  const since = await app.get(`/v1/events?after=${textOf(page.json['last_event_id'])}`, {
    ...bearer(secret),
    accept: 'application/json',
  });
  expect(since.json['data']).toEqual([]);
  const wrong = await app.get('/v1/events', { ...bearer(secret), 'last-event-id': 'x' });
  expect(wrong.status).toBe(400);
});

it('has a bound on the streams of a caller', async () => {
  await using app = await startMediaApp();
  const { secret } = await app.key('10');
  const leave = new AbortController();
  const open = () =>
    fetch(`${app.url}/v1/events`, { headers: bearer(secret), signal: leave.signal });
  const streams = await Promise.all(Array.from({ length: 16 }, open));
  expect(streams.map(({ status }) => status)).toEqual(Array.from({ length: 16 }, () => 200));
  const one = await app.get('/v1/events', bearer(secret));
  expect([one.status, one.headers.get('retry-after')]).toEqual([429, '10']);
  leave.abort();
  // Who left has room for another.
  await expect
    .poll(async () => {
      const next = new AbortController();
      const { status, body } = await fetch(`${app.url}/v1/events`, {
        headers: bearer(secret),
        signal: next.signal,
      });
      if (status === 200) next.abort();
      else await body?.cancel();
      return status;
    })
    .toBe(200);
});

it('ends streams and those who wait when the server ends, with what there is', async () => {
  await using app = await startMediaApp();
  const { secret } = await app.key('10');
  const id = await made(app, secret);
  const stream = await fetch(`${app.url}/v1/events`, { headers: bearer(secret) });
  const reader = stream.body!.getReader();
  await reader.read();
  const poll = await beginPoll(app, `/v1/tasks/${id}?wait=60`, bearer(secret));
  const at = performance.now();
  await app.stop();
  expect(JSON.parse(await poll.answer)).toMatchObject({ id, status: 'pending' });
  while (!(await reader.read()).done);
  expect(performance.now() - at).toBeLessThan(10_000);
});

/** A request that the server has for sure when this resolves. */
async function beginPoll(
  app: MediaApp,
  path: string,
  headers: Record<string, string>,
): Promise<{ answer: Promise<string> }> {
  const begun = Promise.withResolvers<void>();
  const answer = new Promise<string>((resolve, reject) => {
    const asked = request(
      app.url + path,
      { headers: { ...headers, expect: '100-continue' } },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve(text));
      },
    );
    asked.on('continue', begun.resolve).on('error', reject);
    asked.flushHeaders();
    asked.on('continue', () => asked.end());
  });
  await begun.promise;
  return { answer };
}
