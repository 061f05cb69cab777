import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ChannelConfig } from '../../../src/config/config.ts';
import { described } from '../../support/described.ts';
import {
  atWork,
  CHANNEL_KEY,
  mediaChannel,
  mediaOrder,
  type MediaUpstream,
  startMediaUpstream,
} from '../../support/media-upstream.ts';
import { mediaContract } from './contract.ts';

const clip = mediaOrder(
  { duration: 5, aspect_ratio: '16:9', quality: 'pro' },
  { output_second: 5 },
);
const song = mediaOrder({}, { generation: 1 });

const kling = (data: object) => ({ json: { code: 0, message: 'SUCCEED', request_id: 'r', data } });
mediaContract('kling', {
  provider: 'task-http',
  type: 'video',
  model: 'kling-v2-6',
  channel: { task: described('kling') },
  order: clip,
  auth: ['authorization', ''],
  created: kling({ task_id: '831', task_status: 'submitted' }),
  queued: kling({ task_id: '831', task_status: 'submitted' }),
  running: kling({ task_id: '831', task_status: 'processing' }),
  done: (link) => [
    kling({
      task_status: 'succeed',
      task_result: { videos: [{ id: 'v', url: link, duration: '5.1' }] },
    }),
  ],
  failed: [kling({ task_status: 'failed', task_status_msg: 'Server busy.' })],
  moderated: [kling({ task_status: 'failed', task_status_msg: 'Failure to pass risk control.' })],
  unknown: kling({ task_status: 'meditating' }),
  absurd: [
    kling({
      task_status: 'succeed',
      task_result: { videos: [{ url: 'https://x.example/v', duration: 'a while' }] },
    }),
  ],
});

mediaContract('runway', {
  provider: 'task-http',
  type: 'video',
  model: 'gen4_turbo',
  channel: { task: described('runway') },
  order: clip,
  created: { json: { id: '497f6eca-6276-4993' } },
  queued: { json: { id: '497f6eca', status: 'THROTTLED' } },
  running: { json: { id: '497f6eca', status: 'RUNNING', progress: 0.4 } },
  done: (link) => [{ json: { id: '497f6eca', status: 'SUCCEEDED', output: [link] } }],
  failed: [{ json: { status: 'FAILED', failure: 'An error.', failureCode: 'INTERNAL' } }],
  moderated: [
    { json: { status: 'FAILED', failure: 'It was moderated.', failureCode: 'SAFETY.INPUT.TEXT' } },
  ],
  unknown: { json: { status: 'REHEARSING' } },
  absurd: null,
  cancelled: [{ status: 204 }],
  tooLate: [{ status: 404, json: { error: 'Not found' } }],
});

mediaContract('luma', {
  provider: 'task-http',
  type: 'video',
  model: 'ray-2',
  channel: { task: described('luma') },
  order: clip,
  created: { status: 201, json: { id: 'd1968551', state: 'queued' } },
  queued: { json: { id: 'd1968551', state: 'queued' } },
  running: { json: { id: 'd1968551', state: 'dreaming' } },
  done: (link) => [{ json: { id: 'd1968551', state: 'completed', assets: { video: link } } }],
  failed: [{ json: { state: 'failed', failure_reason: 'Something broke.' } }],
  moderated: [{ json: { state: 'failed', failure_reason: 'Advanced moderation failed.' } }],
  unknown: { json: { state: 'sleeping' } },
  absurd: null,
});

const base = (code: number, msg: string) => ({ base_resp: { status_code: code, status_msg: msg } });
const fine = base(0, 'success');
mediaContract('minimax video', {
  provider: 'minimax',
  type: 'video',
  model: 'MiniMax-Hailuo-02',
  channel: { task: described('minimax') },
  order: mediaOrder({ duration: 6, resolution: '768p' }, { output_second: 6 }),
  created: { json: { task_id: '106916112212032', ...fine } },
  queued: { json: { task_id: '1', status: 'Queueing', ...fine } },
  running: { json: { task_id: '1', status: 'Processing', ...fine } },
  // Three questions for one clip.
  done: (link) => [
    { json: { task_id: '1', status: 'Success', file_id: '205258526306433', ...fine } },
    { json: { file: { file_id: 205258526306433, download_url: link }, ...fine } },
  ],
  failed: [{ json: { task_id: '1', status: 'Fail', ...base(1000, 'unknown error') } }],
  moderated: [{ json: { task_id: '1', status: 'Fail', ...base(1027, 'output sensitive') } }],
  unknown: { json: { task_id: '1', status: 'Polishing', ...fine } },
  absurd: null,
});

mediaContract('minimax music', {
  provider: 'minimax',
  type: 'music',
  model: 'music-2.0',
  channel: { task: described('minimax') },
  order: song,
  created: null,
  done: () => [
    {
      json: {
        data: { audio: '494433', status: 2 },
        extra_info: { music_duration: 25364 },
        ...fine,
      },
    },
  ],
  isInline: true,
  failed: [{ json: { data: {}, ...fine } }],
  moderated: [{ json: base(1026, 'input new_sensitive') }],
  absurd: [{ json: { data: { audio: '494433' }, extra_info: { music_duration: -1 }, ...fine } }],
});

const suno = (data: object) => ({ json: { code: 200, msg: 'success', data } });
mediaContract('suno, as sunoapi.org has it', {
  provider: 'task-http',
  type: 'music',
  model: 'V5',
  channel: { task: described('suno-a') },
  order: song,
  created: suno({ taskId: '5c79be8e' }),
  queued: suno({ taskId: '5c79be8e', status: 'PENDING' }),
  running: suno({ taskId: '5c79be8e', status: 'FIRST_SUCCESS', response: { sunoData: [] } }),
  done: (link) => [
    suno({
      status: 'SUCCESS',
      response: {
        sunoData: [
          { audioUrl: link, duration: 198 },
          { audioUrl: link, duration: 180 },
        ],
      },
    }),
  ],
  failed: [suno({ status: 'GENERATE_AUDIO_FAILED', errorMessage: 'No audio.' })],
  moderated: [suno({ status: 'SENSITIVE_WORD_ERROR', errorMessage: 'A word.' })],
  unknown: suno({ status: 'TUNING' }),
  absurd: null,
});

mediaContract('suno, as gateways have it', {
  provider: 'task-http',
  type: 'music',
  model: 'chirp-v5',
  channel: { task: described('suno-b') },
  order: song,
  created: { json: { code: 'success', message: '', data: '7b6a3a2e' } },
  queued: { json: { code: 'success', data: { status: 'NOT_START', progress: '0%' } } },
  running: { json: { code: 'success', data: { status: 'IN_PROGRESS', progress: '40%' } } },
  done: (link) => [
    { json: { code: 'success', data: { status: 'SUCCESS', data: [{ audio_url: link }] } } },
  ],
  failed: [{ json: { code: 'success', data: { status: 'FAILURE', fail_reason: 'No.' } } }],
  moderated: [
    { json: { code: 'success', data: { status: 'FAILURE', fail_reason: 'moderation failure' } } },
  ],
  unknown: { json: { code: 'success', data: { status: 'HUMMING' } } },
  absurd: null,
});

describe('upstreams that are described', () => {
  let upstream: MediaUpstream;
  beforeAll(async () => {
    upstream = await startMediaUpstream();
  });
  afterAll(async () => {
    await upstream[Symbol.asyncDispose]();
  });

  function work(
    task: string,
    more: Partial<Parameters<typeof atWork>[1]> = {},
    channel: Partial<ChannelConfig> = {},
  ) {
    return atWork('task-http', {
      type: 'video',
      upstreamModel: 'm1',
      channel: mediaChannel(upstream.url, { task: described(task), ...channel }),
      order: clip,
      ...more,
    });
  }

  it('signs a token for Kling with its two keys, by the clock', async () => {
    await using job = work('kling');
    upstream.next(kling({ task_id: '1' }));
    await job.start();
    const sent = upstream.requests.at(-1)!;
    const [head = '', body = '', signature] = sent.headers.authorization!.slice(7).split('.');
    expect(JSON.parse(Buffer.from(head, 'base64url').toString())).toEqual({
      alg: 'HS256',
      typ: 'JWT',
    });
    expect(JSON.parse(Buffer.from(body, 'base64url').toString())).toEqual({
      iss: 'access-key-of-mine',
      exp: 1_700_000_000 + 1_800,
      nbf: 1_700_000_000 - 5,
    });
    const mac = createHmac('sha256', CHANNEL_KEY).update(`${head}.${body}`).digest('base64url');
    expect(signature).toBe(mac);
  });

  it('asks where it was made, with what the order says, in the words of the upstream', async () => {
    await using job = work('kling', {
      fields: {
        prompt: 'A fox.',
        image_url: 'data:image/png;base64,iVBORw0KGgo=',
        end_image_url: 'https://example.com/last.png',
        cfg_scale: 0.5,
        duration: '5s',
        webhook: 'https://me.example',
      },
    });
    upstream.next(kling({ task_id: '831' }));
    const started = await job.start();
    expect(upstream.requests.at(-1)).toMatchObject({
      path: '/v1/videos/image2video',
      json: {
        model_name: 'm1',
        prompt: 'A fox.',
        image: 'iVBORw0KGgo=',
        image_tail: 'https://example.com/last.png',
        duration: '5',
        mode: 'pro',
        cfg_scale: 0.5,
        external_task_id: 'task_0123456789',
      },
    });
    expect(upstream.requests.at(-1)!.json).not.toHaveProperty('webhook');
    if (started.state !== 'started') throw new Error(started.state);
    upstream.next(kling({ task_status: 'processing' }));
    await job.poll(started.ref);
    expect(upstream.requests.at(-1)!.path).toBe('/v1/videos/image2video/831');
  });

  it('leaves out what nobody said, and objects about what is not there', async () => {
    await using job = work('luma', { order: mediaOrder({ duration: 9 }) });
    upstream.next({ json: { id: 'a' } });
    await job.start();
    expect(upstream.requests.at(-1)!.json).toEqual({
      model: 'm1',
      prompt: 'A red fox.',
      duration: '9s',
    });
    await using framed = work('luma', {
      fields: { prompt: 'x', last_frame: 'https://example.com/2.png' },
      order: mediaOrder({}),
    });
    upstream.next({ json: { id: 'a' } });
    await framed.start();
    expect(upstream.requests.at(-1)!.json['keyframes']).toEqual({
      frame1: { type: 'image', url: 'https://example.com/2.png' },
    });
  });

  it('translates by tables, and takes fractions for progress', async () => {
    await using job = work('runway');
    upstream.next({ json: { id: 't1' } });
    const started = await job.start();
    expect(upstream.requests.at(-1)).toMatchObject({
      path: '/v1/text_to_video',
      headers: { 'x-runway-version': '2024-11-06' },
      json: { ratio: '1280:720', duration: 5 },
    });
    if (started.state !== 'started') throw new Error(started.state);
    upstream.next({ json: { status: 'RUNNING', progress: 0.42 } });
    expect(await job.poll(started.ref)).toEqual({ state: 'processing', progress: 42 });
  });

  it('tells too fast from no balance, inside of good statuses', async () => {
    await using job = work('minimax');
    upstream.next({ json: base(1002, 'rate limit') });
    await expect(job.start()).rejects.toMatchObject({ code: 'upstream_busy' });
    upstream.next({ json: base(1008, 'insufficient balance') });
    await expect(job.start()).rejects.toMatchObject({
      code: 'upstream_failed',
      details: { isSent: false },
    });
    upstream.next({ json: base(2013, 'invalid params: duration') });
    expect(await job.start()).toMatchObject({ state: 'failed', failure: 'refused' });
  });

  it('adds up what several results are measured as', async () => {
    const task = `{ types: [music], create: [{ path: /x }], result: { urls: ["/songs/*/url"] },
      measured: { output_second: { at: "/songs/*/ms", times: 0.001 } } }`;
    await using job = work(task, { type: 'music' });
    const songs = [1_500, 2_500].map((ms) => ({ url: 'https://a.example/s', ms }));
    upstream.next({ json: { songs } });
    expect(await job.start()).toMatchObject({
      state: 'completed',
      measured: { units: { generation: 2, output_second: 4 } },
    });
  });

  it('puts one value into one place of a path, whatever is in it', async () => {
    const task = `{ types: [video], create: [{ method: POST, path: "/m/{model}/run?q={prompt}", body: {} }], id: /id,
      poll: { path: "/j/{id}" }, result: { urls: [/u] } }`;
    await using job = work(task, { upstreamModel: '../../admin', fields: { prompt: 'a&b=c#d' } });
    upstream.next({ json: { id: '..' } });
    await expect(job.start()).rejects.toMatchObject({ code: 'upstream_failed' });
    expect(upstream.requests.at(-1)!.path).toBe('/m/..%2F..%2Fadmin/run?q=a%26b%3Dc%23d');
  });
});
