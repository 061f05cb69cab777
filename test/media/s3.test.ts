import { createHash, createHmac } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { S3Config } from '../../src/config/config.ts';
import { S3Blobs } from '../../src/media/s3.ts';
import { collect } from '../support/media.ts';
import { bytes, type Received, type Receiver, startReceiver, status } from '../support/receiver.ts';

const hex = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string) =>
  createHmac('sha256', key).update(text).digest();

/** AWS Signature Version 4 as its documentation says it, over what arrived. */
function isSigned({ method, path, headers }: Received, secret: string): boolean {
  const form =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})$/;
  const [, , day = '', region = '', names = '', signature] =
    form.exec(headers.authorization ?? '') ?? [];
  if (!names.split(';').includes('host') || !names.includes('x-amz-content-sha256')) return false;
  const [place = '', query = ''] = path.split('?');
  const sorted = query.split('&').filter(Boolean).toSorted().join('&');
  const lines = names.split(';').map((name) => `${name}:${String(headers[name]).trim()}\n`);
  const canonical = [
    method,
    place,
    sorted,
    lines.join(''),
    names,
    headers['x-amz-content-sha256'],
  ].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, hex(canonical)].join('\n');
  const key = [day, region, 's3', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secret}`);
  return hmac(key, toSign).toString('hex') === signature;
}

const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';

function configOf({ origin }: Receiver): S3Config {
  return {
    bucket: 'results',
    endpoint: origin,
    region: 'eu-central-1',
    prefix: 'a/b_',
    accessKey: 'AKIDEXAMPLE',
    secretKey: SECRET,
  };
}

const listing = (more: string) =>
  `<?xml version="1.0"?><ListBucketResult>${more}</ListBucketResult>`;

describe('the S3 server is asked', () => {
  it('in requests that are signed as they arrive', async () => {
    await using receiver = await startReceiver();
    const directory = await mkdtemp(join(tmpdir(), 'farebox-s3-'));
    const path = join(directory, 'file');
    const body = Buffer.from('a result');
    await writeFile(path, body);
    const blobs = new S3Blobs(configOf(receiver), 'owner');
    receiver.next(
      status(200),
      bytes('result', { 'content-range': 'bytes 2-7/8' }, 206),
      bytes(body),
      bytes(listing('<IsTruncated>false</IsTruncated>')),
      status(204),
    );
    const spooled = { path, bytes: body.length, sha256: hex(body) };
    const name = await blobs.keep('med_x', spooled, 'video/mp4');
    expect(name).toBe('a/b_owner/med_x');
    expect((await collect(await blobs.read(name, { first: 2, last: 7 }))).toString()).toBe(
      'result',
    );
    expect((await collect(await blobs.read(name))).equals(body)).toBe(true);
    await blobs.list('to+ken/=1');
    await blobs.remove(name);
    await blobs.close();
    await rm(directory, { recursive: true });
    const asked = receiver.requests.map(({ method, path: to }) => `${method} ${to}`);
    expect(asked).toEqual([
      'PUT /results/a/b_owner/med_x',
      'GET /results/a/b_owner/med_x',
      'GET /results/a/b_owner/med_x',
      'GET /results?list-type=2&max-keys=1000&prefix=a%2Fb_owner%2F&continuation-token=to%2Bken%2F%3D1',
      'DELETE /results/a/b_owner/med_x',
    ]);
    expect(receiver.requests.map((request) => isSigned(request, SECRET))).toEqual(
      receiver.requests.map(() => true),
    );
    expect(receiver.requests.some((request) => isSigned(request, 'another'))).toBe(false);
    expect(receiver.requests[0]).toMatchObject({
      body,
      headers: {
        'content-type': 'video/mp4',
        'content-length': '8',
        'x-amz-content-sha256': hex(body),
      },
    });
    expect(JSON.stringify(receiver.requests)).not.toContain(SECRET);
  });

  it('again where it fails, and not where it refuses', async () => {
    await using receiver = await startReceiver(status(503));
    const blobs = new S3Blobs(configOf(receiver), 'owner');
    receiver.next(status(500), (response) => response.destroy(), bytes('x'));
    expect((await collect(await blobs.read('n'))).toString()).toBe('x');
    expect(receiver.requests).toHaveLength(3);
    await expect(blobs.read('n')).rejects.toMatchObject({ code: 'unavailable' });
    expect(receiver.requests).toHaveLength(6);
    receiver.next(bytes('<Error><Code>AccessDenied</Code></Error>', {}, 403));
    await expect(blobs.read('n')).rejects.toMatchObject({
      cause: { message: 'the S3 server answered 403 AccessDenied' },
    });
    expect(receiver.requests).toHaveLength(7);
    receiver.next(status(404), status(404));
    await expect(blobs.read('n')).rejects.toThrow('n');
    await blobs.remove('n');
    await blobs.close();
  });

  it('page by page for what is there', async () => {
    const entry = (n: number) =>
      `<Contents><Key>a/b_owner/med_${n}</Key><LastModified>2026-01-0${n}T00:00:00.000Z</LastModified></Contents>`;
    await using receiver = await startReceiver();
    const blobs = new S3Blobs(configOf(receiver), 'owner');
    const more =
      '<IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;2</NextContinuationToken>';
    receiver.next(bytes(listing(entry(1) + entry(2) + more)), bytes(listing(entry(3))));
    const first = await blobs.list(null);
    expect(first).toEqual({
      blobs: [1, 2].map((n) => ({
        id: `med_${n}`,
        name: `a/b_owner/med_${n}`,
        modifiedAtMs: Date.UTC(2026, 0, n),
      })),
      next: 't&2',
    });
    expect(await blobs.list(first.next)).toMatchObject({ blobs: [{ id: 'med_3' }], next: null });
    expect(receiver.requests[1]!.path).toContain('continuation-token=t%262');
    await blobs.close();
  });

  it('for a range, and believed to have sent it only where it says so', async () => {
    await using receiver = await startReceiver();
    const blobs = new S3Blobs(configOf(receiver), 'owner');
    receiver.next(
      bytes('0123456789'),
      bytes('23456789', { 'content-range': 'bytes 2-9/10' }, 206),
      bytes('123', { 'content-range': 'bytes 1-3/10' }, 206),
    );
    const range = { first: 2, last: 4 };
    await expect(blobs.read('n', range)).rejects.toMatchObject({ code: 'unavailable' });
    expect((await collect(await blobs.read('n', range))).toString()).toBe('234');
    await expect(blobs.read('n', range)).rejects.toMatchObject({ code: 'unavailable' });
    await blobs.close();
  });
});
