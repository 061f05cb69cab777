import { describe, expect, it } from 'vitest';
import { readAsked } from '../../src/orders/asked.ts';

const refused = (fields: Record<string, unknown>) => () => readAsked('video', fields);

describe('what a media request may not name', () => {
  it.each([
    'task_id',
    'taskId',
    'TASK_ID',
    'video_id',
    'remixed_from_video_id',
    'file_id',
    'continue_clip_id',
    'characters',
    'persona_id',
    'previous_response_id',
  ])('%s, which lies in the account that all callers share', (name) => {
    expect(refused({ prompt: 'a', [name]: 'one_of_somebody_else' })).toThrow(
      expect.objectContaining({ code: 'unsupported_parameter', details: { field: name } }),
    );
  });

  it('nor deep inside of something else', () => {
    expect(refused({ keyframes: { frame0: { type: 'generation', id: 'abc' } } })).toThrow(
      '"id" is not supported here',
    );
    expect(refused({ input_reference: { file_id: 'file-1' } })).toThrow('"file_id"');
    expect(refused({ references: [[{ asset_id: 'x' }]] })).toThrow('"asset_id"');
  });

  it('an address to report to, or another route', () => {
    for (const name of ['webhook', 'webhook_url', 'callBackUrl', 'fal_webhook', 'callback']) {
      expect(refused({ [name]: 'https://me.example' })).toThrow('only callback_url is told');
    }
    expect(refused({ api_key: 'sk-1' })).toThrow('the gateway chooses the route');
  });

  it('a link that only somebody’s account can read', () => {
    for (const url of [
      'gs://bucket/a.png',
      's3://bucket/a.png',
      'asset://asset-1',
      'file:///etc',
      `${' '.repeat(3_000)}file:///etc`,
      '\u0001file:///etc',
      's\n3://bucket/a.png',
    ]) {
      expect(refused({ image_url: url })).toThrow('links must begin with https: or data:');
      expect(refused({ reference_image_urls: [url] })).toThrow('links must begin with');
    }
  });

  it('lets through what everybody sends', () => {
    const fields = {
      prompt: 'File: a gs://like thing, and no link.',
      image_url: 'https://example.com/a.png',
      reference_image_urls: ['data:image/png;base64,aaaa'],
      elements: [{ frontal_image_url: 'https://example.com/b.png' }],
      keyframes: [{ image_url: 'https://example.com/c.png', frame_index: 3 }],
      callback_url: 'https://me.example/hook',
      store: false,
      seed: 7,
      camera_fixed: true,
    };
    expect(readAsked('video', fields)).toMatchObject({ input_mode: 'image' });
  });
});
