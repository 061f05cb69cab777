import { mediaOrder } from '../../support/media-upstream.ts';
import { mediaContract } from './contract.ts';

const PNG = Buffer.from('iVBORw0KGgo=', 'base64').toString('base64');
const clip = mediaOrder({ duration: 6, resolution: '720p', n: 1 }, { output_second: 6 });

mediaContract('openai images', {
  provider: 'openai',
  type: 'image',
  model: 'gpt-image-2',
  order: mediaOrder({ n: 1, size: '1024x1024' }, { image: 1, output_image_token: 4_160 }),
  created: null,
  done: () => [
    { json: { created: 1, data: [{ b64_json: PNG }], usage: { output_tokens: 1_056 } } },
  ],
  isInline: true,
  failed: [{ json: { error: { message: 'The server had an error.', type: 'server_error' } } }],
  moderated: [
    { status: 400, json: { error: { code: 'moderation_blocked', message: 'Rejected.' } } },
  ],
  absurd: [{ json: { data: [{ b64_json: PNG }], usage: { output_tokens: -5, cost: 'Infinity' } } }],
});

mediaContract('openai-videos', {
  provider: 'openai-videos',
  type: 'video',
  model: 'wan-3',
  order: clip,
  created: { json: { id: 'video_1', object: 'video', status: 'queued', progress: 0 } },
  queued: { json: { id: 'video_1', status: 'queued' } },
  running: { json: { id: 'video_1', status: 'in_progress', progress: 40 } },
  done: (link) => [
    { json: { id: 'video_1', status: 'completed', seconds: '6', metadata: { url: link } } },
  ],
  failed: [
    { json: { id: 'video_1', status: 'failed', error: { code: 'oom', message: 'No memory.' } } },
  ],
  moderated: [
    {
      json: { id: 'video_1', status: 'failed', error: { code: 'moderation_blocked', message: '' } },
    },
  ],
  unknown: { json: { id: 'video_1', status: 'percolating' } },
  absurd: [
    { json: { status: 'completed', seconds: 1e300, metadata: { url: 'https://x.example/v' } } },
  ],
  cancelled: [{ json: { id: 'video_1', deleted: true } }],
});

mediaContract('openrouter videos', {
  provider: 'openai',
  type: 'video',
  model: 'bytedance/seedance-2.0',
  channel: { dialect: 'openrouter' },
  order: clip,
  created: {
    status: 202,
    json: { id: 'gen-1', polling_url: '/api/v1/videos/gen-1', status: 'pending' },
  },
  queued: { json: { id: 'gen-1', status: 'pending' } },
  running: { json: { id: 'gen-1', status: 'in_progress' } },
  done: (link) => [
    { json: { id: 'gen-1', status: 'completed', urls: [link], usage: { cost: 0.34 } } },
  ],
  failed: [{ json: { id: 'gen-1', status: 'failed', error: 'Provider returned error' } }],
  moderated: [{ json: { id: 'gen-1', status: 'failed', error: 'Blocked by content policy' } }],
  unknown: { json: { id: 'gen-1', status: 'dreaming of sheep' } },
  absurd: [{ json: { status: 'completed', urls: ['https://x.example/v'], usage: { cost: -1 } } }],
});

mediaContract('xai videos', {
  provider: 'openai',
  type: 'video',
  model: 'grok-imagine-video',
  channel: { dialect: 'xai' },
  order: clip,
  created: { json: { request_id: 'req-1' } },
  queued: { json: { status: 'pending' } },
  running: { json: { status: 'processing' } },
  done: (link) => [
    {
      json: {
        status: 'done',
        video: { url: link, duration: 6, respect_moderation: true },
        usage: { cost_in_usd_ticks: 3_000_000_000 },
      },
    },
  ],
  // A failure is a good status here.
  failed: [{ json: { status: 'failed', error: { code: 'internal_error', message: 'Failed.' } } }],
  moderated: [{ json: { status: 'done', video: { url: '', respect_moderation: false } } }],
  unknown: { json: { status: 'brewing' } },
  absurd: [
    {
      json: {
        status: 'done',
        video: { url: 'https://x.example/v', duration: 'NaN' },
        usage: { cost_in_usd_ticks: 1e30 },
      },
    },
  ],
});

mediaContract('fal', {
  provider: 'fal',
  type: 'video',
  model: 'fal-ai/kling-video/v2.5/pro/text-to-video',
  order: clip,
  auth: ['authorization', 'Key secret-upstream-key-1234567890'],
  created: {
    json: {
      request_id: '764cabcf-b745-4b3e-ae38-1200304cf45b',
      status_url: 'https://queue.fal.run/fal-ai/kling-video/requests/764cabcf/status',
      response_url: 'https://queue.fal.run/fal-ai/kling-video/requests/764cabcf',
      queue_position: 3,
    },
  },
  queued: { json: { status: 'IN_QUEUE', queue_position: 2 } },
  running: { json: { status: 'IN_PROGRESS', logs: null } },
  done: (link) => [
    { json: { status: 'COMPLETED', metrics: { inference_time: 61.2 } } },
    {
      headers: { 'x-fal-billable-units': '6' },
      json: { video: { url: link, content_type: 'video/mp4', file_size: 12 } },
    },
  ],
  // COMPLETED says nothing of success.
  failed: [
    { json: { status: 'COMPLETED' } },
    { json: { detail: 'Failed to generate.', error_type: 'runner_server_error' } },
  ],
  moderated: [
    { json: { status: 'COMPLETED' } },
    {
      status: 422,
      json: {
        detail: [{ loc: ['body', 'prompt'], msg: 'flagged', type: 'content_policy_violation' }],
      },
    },
  ],
  unknown: { json: { status: 'CONTEMPLATING' } },
  absurd: [
    { json: { status: 'COMPLETED' } },
    { json: { video: { url: 'https://x.example/v', duration: -4 } } },
  ],
  cancelled: [{ status: 202, json: { status: 'CANCELLATION_REQUESTED' } }],
  tooLate: [{ status: 400, json: { status: 'ALREADY_COMPLETED' } }],
});

const prediction = (more: object) => ({
  json: { id: 'p1', version: 'hidden', input: {}, urls: {}, ...more },
});

mediaContract('replicate', {
  provider: 'replicate',
  type: 'video',
  model: 'bytedance/seedance-1-pro',
  order: clip,
  created: { status: 201, ...prediction({ status: 'starting', output: null }) },
  queued: prediction({ status: 'starting' }),
  running: prediction({ status: 'processing', logs: '40%' }),
  done: (link) => [
    prediction({ status: 'succeeded', output: link, metrics: { predict_time: 31 } }),
  ],
  failed: [prediction({ status: 'aborted', error: null })],
  moderated: [prediction({ status: 'failed', error: 'NSFW content detected. (E005)' })],
  unknown: prediction({ status: 'pondering' }),
  absurd: null,
  cancelled: [prediction({ status: 'canceled' })],
  tooLate: [prediction({ status: 'succeeded' })],
});

mediaContract('modelark', {
  provider: 'modelark',
  type: 'video',
  model: 'seedance-2-fast',
  order: mediaOrder({ duration: 6, resolution: '720p' }, { video_token: 130_500 }),
  created: { json: { id: 'cgt-1' } },
  queued: { json: { id: 'cgt-1', status: 'queued' } },
  running: { json: { id: 'cgt-1', status: 'running' } },
  done: (link) => [
    {
      json: {
        id: 'cgt-1',
        status: 'succeeded',
        content: { video_url: link },
        usage: { completion_tokens: 130_500, total_tokens: 130_500 },
      },
    },
  ],
  failed: [{ json: { status: 'failed', error: { code: 'InternalServiceError', message: 'x' } } }],
  moderated: [
    {
      json: {
        status: 'failed',
        error: { code: 'OutputVideoSensitiveContentDetected', message: 'It may contain …' },
      },
    },
  ],
  unknown: { json: { status: 'archiving' } },
  absurd: [
    {
      json: {
        status: 'succeeded',
        content: { video_url: 'https://x.example/v' },
        usage: { completion_tokens: 9e99 },
      },
    },
  ],
  cancelled: [{ json: { status: 'queued' } }, {}],
  tooLate: [{ json: { status: 'running' } }],
});

mediaContract('venice video', {
  provider: 'venice',
  type: 'video',
  model: 'wan-2.6-text-to-video',
  order: clip,
  created: { json: { model: 'wan-2.6-text-to-video', queue_id: '123e4567-e89b' } },
  running: { json: { status: 'PROCESSING', average_execution_time: 9e4, execution_duration: 3e4 } },
  done: () => [{ headers: { 'content-type': 'video/mp4' }, bytes: Buffer.from('0000ftypisom') }],
  isInline: true,
  failed: [{ json: { status: 'failed', error: 'The provider failed.' } }],
  moderated: [{ status: 422, json: { error: 'Your prompt violates the content policy.' } }],
  unknown: { json: { status: 'MARINATING' } },
  absurd: null,
});

mediaContract('venice image', {
  provider: 'venice',
  type: 'image',
  model: 'venice-sd35',
  order: mediaOrder({ n: 2, size: '1024x1024' }, { image: 2 }),
  created: null,
  done: () => [{ json: { id: 'generate-image-1', images: [PNG, PNG], timing: {} } }],
  isInline: true,
  failed: [{ json: { error: 'Inference processing failed' } }],
  moderated: [
    {
      headers: { 'content-type': 'image/png', 'x-venice-is-content-violation': 'true' },
      bytes: Buffer.from('blurred'),
    },
  ],
  absurd: null,
});

mediaContract('elevenlabs music', {
  provider: 'elevenlabs',
  type: 'music',
  model: 'music_v1',
  order: mediaOrder({ duration: 30 }, { output_second: 30 }),
  auth: ['xi-api-key', 'secret-upstream-key-1234567890'],
  created: null,
  done: () => [{ headers: { 'content-type': 'audio/mpeg' }, bytes: Buffer.from('ID3') }],
  isInline: true,
  failed: [{ json: { detail: { status: 'failed', message: 'Something failed.' } } }],
  moderated: [
    {
      status: 422,
      json: { detail: { status: 'bad_prompt', message: 'It violates our content policy.' } },
    },
  ],
  absurd: null,
});
