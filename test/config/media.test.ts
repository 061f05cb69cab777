import { describe, expect, it } from 'vitest';
import { describeConfig } from '../../src/config/describe.ts';
import { errorOf, FILE, load, pathsOf } from '../support/config.ts';

const S3 = {
  bucket: 'results',
  endpoint: 'https://s3.eu-central-1.amazonaws.com',
  access_key: '${S3_ACCESS_KEY}',
  secret_key: '${S3_SECRET_KEY}',
};
const KEYS = { S3_ACCESS_KEY: 'AKIA7QWERTY1', S3_SECRET_KEY: 'x/y+zQ8wErTyUiOp9876' };

function withMedia(media: object, more = ''): string {
  return `${FILE}\nmedia: ${JSON.stringify(media)}\n${more}`;
}

describe('media', () => {
  it('is on disk, for thirty days, unless the file says otherwise', () => {
    expect(load(FILE).media).toEqual({
      store: 'disk',
      retentionMs: 30 * 86_400_000,
      maxBytes: 536_870_912,
      s3: null,
    });
    const media = { store: 'disk', retention_days: 2, max_bytes: 4_096 };
    expect(load(withMedia(media)).media).toMatchObject({
      retentionMs: 2 * 86_400_000,
      maxBytes: 4_096,
    });
  });

  it('may be a bucket, whose keys are shown to nobody', () => {
    const config = load(withMedia({ store: 's3', s3: S3 }), KEYS);
    expect(config.media.s3).toEqual({
      bucket: 'results',
      endpoint: 'https://s3.eu-central-1.amazonaws.com',
      region: 'us-east-1',
      prefix: '',
      accessKey: KEYS.S3_ACCESS_KEY,
      secretKey: KEYS.S3_SECRET_KEY,
    });
    const shown = JSON.stringify(describeConfig(config));
    expect(shown).toContain('"bucket":"results"');
    for (const key of Object.values(KEYS)) expect(shown).not.toContain(key.slice(0, 8));
    // What is there already stays reachable while new results go to the disk.
    expect(load(withMedia({ s3: S3 }), KEYS).media).toMatchObject({
      store: 'disk',
      s3: { bucket: 'results' },
    });
    const local = { ...S3, endpoint: 'http://minio:9000/', region: 'home', prefix: 'a/b/' };
    expect(load(withMedia({ store: 's3', s3: local }), KEYS).media.s3).toMatchObject({
      endpoint: 'http://minio:9000',
      prefix: 'a/b/',
    });
  });

  it('names what is wrong with it, and never a value', () => {
    const faulty: [object, string][] = [
      [{ store: 's3' }, 'media.s3'],
      [{ store: 'tape' }, 'media.store'],
      [{ retention_days: 0 }, 'media.retention_days'],
      [{ max_bytes: 1 }, 'media.max_bytes'],
      [{ retention: 3 }, 'media.retention'],
      [{ s3: { ...S3, bucket: 'No Bucket' } }, 'media.s3.bucket'],
      [{ s3: { ...S3, endpoint: 's3.example.com' } }, 'media.s3.endpoint'],
      [{ s3: { ...S3, endpoint: 'https://u:p@s3.example.com' } }, 'media.s3.endpoint'],
      [{ s3: { ...S3, endpoint: 'https://s3.example.com/?x' } }, 'media.s3.endpoint'],
      [{ s3: { ...S3, region: 'no region' } }, 'media.s3.region'],
      [{ s3: { ...S3, prefix: '../up/' } }, 'media.s3.prefix'],
      [{ s3: { ...S3, prefix: '/up/' } }, 'media.s3.prefix'],
      [{ s3: { ...S3, secret_key: 'changeme' } }, 'media.s3.secret_key'],
      [{ s3: { ...S3, secret: 'x' } }, 'media.s3.secret'],
    ];
    for (const [media, path] of faulty) {
      expect(pathsOf(withMedia(media), KEYS)).toEqual([path]);
    }
    const missing = errorOf(withMedia({ store: 's3', s3: S3 }), { S3_ACCESS_KEY: 'AKIA7QWERTY1' });
    expect(missing.message).toContain('S3_SECRET_KEY');
    expect(missing.message).not.toContain('AKIA7QWERTY1');
    const { bucket: _, ...bare } = S3;
    expect(pathsOf(withMedia({ s3: bare }), KEYS)).toEqual(['media.s3.bucket']);
  });
});

describe('webhooks', () => {
  it('go to the public internet by 443 and 80, unless the file says otherwise', () => {
    expect(load(FILE).webhooks).toEqual({ allowPrivate: [], ports: [443, 80] });
    const own = 'webhooks: { allow_private: [10.0.0.0/8], ports: [8443, 0] }';
    expect(load(`${FILE}\n${own}`).webhooks).toEqual({
      allowPrivate: ['10.0.0.0/8'],
      ports: [8_443, 0],
    });
    expect(pathsOf(`${FILE}\nwebhooks: { ports: [70000] }`)).toEqual(['webhooks.ports[0]']);
    expect(pathsOf(`${FILE}\nwebhooks: { allow_private: [0.0.0.0/0] }`)).toEqual([
      'webhooks.allow_private[0]',
    ]);
  });

  it('of a sandbox that only this machine reaches may come back to it', () => {
    const sandbox = (host: string) => load(null, { SANDBOX: '1', HOST: host }).webhooks;
    for (const host of ['127.0.0.1', '::1', 'localhost']) {
      expect(sandbox(host)).toEqual({ allowPrivate: ['127.0.0.0/8', '::1'], ports: [0] });
    }
    expect(sandbox('0.0.0.0')).toEqual({ allowPrivate: [], ports: [443, 80] });
  });
});
