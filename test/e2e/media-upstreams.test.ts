/** From a caller's request over a provider to bytes in our store and a charge, for each way that a result can come. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { demoFile, readAsked } from '../../src/demo/file.ts';
import { listOf, startApp, textOf } from '../support/app.ts';
import {
  type Answer,
  CHANNEL_KEY,
  type MediaUpstream,
  type Recorded,
  startMediaUpstream,
} from '../support/media-upstream.ts';

const clip = demoFile(readAsked({ type: 'video', prompt: 'fox', duration: 1 })).bytes;
const tune = demoFile(readAsked({ type: 'music', duration: 1 })).bytes;
const picture = demoFile(readAsked({ prompt: 'fox', size: '64x64' })).bytes;

let upstream: MediaUpstream;
beforeAll(async () => {
  upstream = await startMediaUpstream();
});
afterAll(() => upstream[Symbol.asyncDispose]());

interface Way {
  provider: string;
  path: string;
  body: object;
  usd: number;
  bytes: Buffer;
  answer(request: Recorded): Answer;
}

const isOurs = ({ headers }: Recorded) => headers.authorization === `Bearer ${CHANNEL_KEY}`;

const WAYS: Record<string, Way> = {
  'a link behind the upstream’s own door': {
    provider: 'openai-videos',
    path: '/v1/videos',
    body: { model: 'demo-video', prompt: 'fox', duration: 2, resolution: '480p' },
    usd: 0.06,
    bytes: clip,
    answer: (request) => {
      if (!isOurs(request)) return { status: 401, json: {} };
      if (request.path.endsWith('/content'))
        return { headers: { 'content-type': 'video/mp4' }, bytes: clip };
      return {
        json: { id: 'video_1', status: request.method === 'POST' ? 'queued' : 'completed' },
      };
    },
  },
  'bytes in the answer to a question': {
    provider: 'venice',
    path: '/v1/videos',
    body: { model: 'demo-video', prompt: 'fox', duration: 4, resolution: '720p' },
    usd: 0.2,
    bytes: clip,
    answer: ({ path }) =>
      path.endsWith('/queue')
        ? { json: { model: 'demo-video', queue_id: 'q1' } }
        : { headers: { 'content-type': 'video/mp4' }, bytes: clip },
  },
  'bytes in the answer to the submit': {
    provider: 'elevenlabs',
    path: '/v1/music/generations',
    body: { model: 'demo-music', prompt: 'fox', duration: 60 },
    usd: 0.1,
    bytes: tune,
    answer: () => ({ headers: { 'content-type': 'audio/wav' }, bytes: tune }),
  },
  'base64 in JSON, one less than was asked for': {
    provider: 'openai',
    path: '/v1/images/generations',
    body: { model: 'demo-image', prompt: 'fox', n: 3 },
    usd: 0.04,
    bytes: picture,
    answer: () => {
      const image = { b64_json: picture.toString('base64') };
      return { json: { data: [image, image] } };
    },
  },
  'a link to the upstream’s own host': {
    provider: 'replicate',
    path: '/v1/videos',
    body: { model: 'demo-video', prompt: 'fox', duration: 2, resolution: '720p' },
    usd: 0.1,
    bytes: clip,
    answer: (request) => {
      // The key is for its interface, and not for what it gives away.
      if (request.path === '/out.mp4') return isOurs(request) ? { status: 500 } : { bytes: clip };
      const isDone = request.method === 'GET';
      const output = isDone ? `${upstream.url}/out.mp4` : null;
      return { json: { id: 'p1', status: isDone ? 'succeeded' : 'starting', output } };
    },
  },
};

describe('a result comes as', () => {
  it.each(Object.keys(WAYS))('%s', async (name) => {
    const way = WAYS[name]!;
    upstream.otherwise((request) => way.answer(request));
    await using app = await startApp({
      demoUrl: upstream.url,
      change: ({ channels }) => {
        Object.assign(channels[1]!, { provider: way.provider, apiKey: CHANNEL_KEY });
      },
    });
    const { secret, accountId } = await app.key('1');
    const headers = { authorization: `Bearer ${secret}` };
    const made = await app.post(way.path, way.body, headers);
    const task = await app.get(`/v1/tasks/${textOf(made.json['id'])}?wait=20`, headers);
    expect(task.json, task.text).toMatchObject({ status: 'completed' });
    const [asset] = listOf(task.json['result']!['data']);
    const file = Buffer.from(await (await fetch(textOf(asset!['url']))).arrayBuffer());
    expect(file.equals(way.bytes)).toBe(true);
    const { posted } = await app.app.store.accounts.balance(accountId);
    expect((1e9 - posted) / 1e9).toBe(way.usd);
    await app.check();
  });
});
