import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ChannelConfig } from '../../../src/config/config.ts';
import { AppError } from '../../../src/errors.ts';
import { encodeBody } from '../../../src/providers/media/multipart.ts';
import { MediaCalls } from '../../../src/providers/media/http.ts';
import { findMediaProvider, MEDIA_PROVIDERS } from '../../../src/providers/media/index.ts';
import {
  CHANNEL_KEY,
  mediaChannel,
  type MediaUpstream,
  startMediaUpstream,
} from '../../support/media-upstream.ts';

let upstream: MediaUpstream;
let calls: MediaCalls;
beforeAll(async () => {
  upstream = await startMediaUpstream();
  calls = new MediaCalls({ maxBytes: 1_000, nowMs: () => 0 });
});
afterAll(async () => {
  await calls.close();
  await upstream[Symbol.asyncDispose]();
});
beforeEach(() => upstream.forget());

const to = (more: Partial<ChannelConfig> = {}, signal?: AbortSignal) =>
  calls.to(mediaChannel(`${upstream.url}/v1`, more), signal);

describe('the way to a channel', () => {
  it.each([
    'https://evil.example/v1/x',
    'http://127.0.0.1:1/v1/x',
    '//evil.example/x',
    'http://user:secret@127.0.0.1/x',
    'evil',
    '',
  ])('does not lead to %o', async (target) => {
    const before = upstream.requests.length;
    if (target.startsWith('/')) upstream.next({ json: {} });
    const outcome = await to()
      .request({ to: target })
      .catch((error: unknown) => error);
    // What begins with a slash stays below the channel's own address, whatever it looks like.
    if (target.startsWith('/')) expect(upstream.requests.at(-1)!.path).toBe('/v1//evil.example/x');
    else {
      expect(outcome).toMatchObject({ code: 'upstream_failed' });
      expect(upstream.requests.length).toBe(before);
    }
  });

  it('leads to whole addresses on its own server', async () => {
    upstream.next({ json: { a: 1 } });
    const answer = await to().request({ to: `${upstream.url}/elsewhere?b=2` });
    expect(answer.json()).toEqual({ a: 1 });
    expect(upstream.requests.at(-1)).toMatchObject({ method: 'GET', path: '/elsewhere?b=2' });
  });

  it('takes no more bytes than it may, and none that are compressed', async () => {
    upstream.next({ bytes: Buffer.alloc(1_001) });
    await expect(to().request({ to: '/x' })).rejects.toThrow('sent more than 1000 bytes');
    const zipped = gzipSync('{}');
    upstream.next({ bytes: zipped, headers: { 'content-encoding': 'gzip' } });
    await expect(to().request({ to: '/x' })).rejects.toThrow('compressed its answer, unasked');
  });

  it('lets a slow answer take its time, and a fast one not', async () => {
    const timeout = { firstByteMs: 50, idleMs: 500, totalMs: 2_000 };
    const late = {
      act: (response: { end(text: string): void }) =>
        void setTimeout(() => response.end('{}'), 1_200),
    };
    upstream.next(late, late);
    await expect(to({ timeout }).request({ to: '/x' })).rejects.toMatchObject({
      code: 'upstream_timeout',
    });
    expect((await to({ timeout }).request({ to: '/x', isSlow: true })).status).toBe(200);
  });

  it('ends when it is called off, and says whether it had begun', async () => {
    const early = to({}, AbortSignal.abort());
    await expect(early.request({ to: '/x' })).rejects.toMatchObject({ details: { isSent: false } });
    const stop = new AbortController();
    upstream.next({ act: () => stop.abort() });
    await expect(to({}, stop.signal).request({ to: '/x' })).rejects.toMatchObject({
      code: 'unavailable',
      details: { isSent: true },
    });
  });

  it('takes a status for what its channel says that it means', async () => {
    const channel = { statusMap: { 403: 'busy', 418: 'sick', 500: 'refused' } as const };
    upstream.next({ status: 403 }, { status: 418 }, { status: 500, json: {} });
    await expect(to(channel).request({ to: '/x' })).rejects.toMatchObject({
      code: 'upstream_busy',
    });
    await expect(to(channel).request({ to: '/x' })).rejects.toMatchObject({
      code: 'upstream_failed',
    });
    expect((await to(channel).request({ to: '/x' })).status).toBe(500);
  });

  it('keeps what is secret out of what callers read', () => {
    const { clean } = to({ headers: { 'x-auth': 'another-secret' } });
    const text = clean(`no ${CHANNEL_KEY}, no another-secret,\nno Bearer abc.def`);
    expect(text).toBe('no [redacted], no [redacted], no [redacted]');
  });
});

describe('bodies', () => {
  it('writes forms that others can read', async () => {
    const { bytes, contentType } = encodeBody({
      multipart: [
        { name: 'prompt', value: 'Ä "fox"\r\n--x' },
        {
          name: 'a"b',
          value: Buffer.from([0, 1, 2]),
          filename: 'x"\r\ny.png',
          contentType: 'image/png',
        },
      ],
    });
    const form = await new Response(new Uint8Array(bytes), {
      headers: { 'content-type': contentType },
    }).formData();
    expect(form.get('prompt')).toBe('Ä "fox"\r\n--x');
    const file = form.get('a"b') as File;
    expect([file.type, file.size]).toEqual(['image/png', 3]);
    expect(Array.from(form.keys())).toHaveLength(2);
  });
});

describe('providers by name', () => {
  it('finds who makes what', () => {
    expect(findMediaProvider('openai', 'image').name).toBe('openai');
    expect(findMediaProvider('openai', 'video').name).toBe('openai-videos');
    expect(findMediaProvider('minimax', 'music').name).toBe('task-http');
  });

  it('says who makes no such thing', () => {
    for (const [name, type] of [
      ['elevenlabs', 'video'],
      ['anthropic', 'image'],
      ['constructor', 'image'],
    ] as const) {
      expect(() => findMediaProvider(name, type)).toThrow(AppError);
    }
  });

  it('knows every one that the settings offer', async () => {
    const { default: schema } = await import('../../../config/farebox.schema.json', {
      with: { type: 'json' },
    });
    const offered = schema.definitions.channel.properties.provider.enum;
    expect(offered).toEqual(expect.arrayContaining([...MEDIA_PROVIDERS]));
    const others = offered.filter((name) => !MEDIA_PROVIDERS.includes(name));
    expect(others).toEqual(['anthropic']);
  });
});
