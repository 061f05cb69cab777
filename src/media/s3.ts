/** Results in a bucket of any server that speaks S3, by path (endpoint/bucket/name), signed with Signature Version 4. */
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { AwsV4Signer } from 'aws4fetch';
import { type Dispatcher, Pool } from 'undici';
import type { S3Config } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { type BlobInfo, BlobMissing, type Blobs, type Range } from './blobs.ts';
import type { Spooled } from './spool.ts';

const CONNECTIONS = 32;
const CONNECT_TIMEOUT_MS = 10_000;
/** Of silence: while it takes bytes in, or before and between those that it gives. */
const SILENCE_MS = 60_000;
const TRIES = 3;
const PAUSE_MS = 250;
const PAGE = 1_000;
const MAX_LISTING_BYTES = 4 * 1024 * 1024;
const RETRY_AFTER_SECONDS = 10;

interface S3Request {
  method: 'GET' | 'PUT' | 'DELETE';
  /** The whole key of an object; '' for the bucket. */
  name: string;
  query?: string;
  headers?: Record<string, string>;
  body?: () => Readable;
}

export class S3Blobs implements Blobs {
  readonly #config: S3Config;
  readonly #folder: string;
  readonly #pool: Pool;

  /** `owner`: of the objects, so that two servers may share a bucket and neither takes the other's for orphans. */
  constructor(config: S3Config, owner: string) {
    this.#config = config;
    this.#folder = `${config.prefix}${owner}/`;
    this.#pool = new Pool(new URL(config.endpoint).origin, {
      connections: CONNECTIONS,
      connect: { timeout: CONNECT_TIMEOUT_MS },
      headersTimeout: SILENCE_MS,
      bodyTimeout: SILENCE_MS,
    });
  }

  async keep(id: string, file: Spooled, contentType: string): Promise<string> {
    const name = `${this.#folder}${id}`;
    const answer = await this.#send({
      method: 'PUT',
      name,
      headers: {
        'content-type': contentType,
        'content-length': String(file.bytes),
        // The server refuses what arrives otherwise than it left.
        'x-amz-content-sha256': file.sha256,
      },
      body: () => createReadStream(file.path),
    });
    await answer.body.dump();
    await rm(file.path, { force: true });
    return name;
  }

  async read(name: string, range?: Range): Promise<AsyncIterable<Buffer>> {
    const headers = range && { range: `bytes=${range.first}-${range.last}` };
    const answer = await this.#send({ method: 'GET', name, ...(headers && { headers }) });
    if (!range) return answer.body;
    const said = String(answer.headers['content-range']);
    if (said.startsWith(`bytes ${range.first}-`)) {
      return atMost(answer.body, range.last - range.first + 1);
    }
    answer.body.destroy();
    throw unavailable(`answered ${answer.statusCode} to a range`);
  }

  async remove(name: string): Promise<void> {
    try {
      const answer = await this.#send({ method: 'DELETE', name });
      await answer.body.dump();
    } catch (error) {
      if (!(error instanceof BlobMissing)) throw error;
    }
  }

  async list(page: string | null): Promise<{ blobs: BlobInfo[]; next: string | null }> {
    const prefix = this.#folder;
    const query = new URLSearchParams({ 'list-type': '2', 'max-keys': String(PAGE), prefix });
    if (page !== null) query.set('continuation-token', page);
    const answer = await this.#send({ method: 'GET', name: '', query: query.toString() });
    const text = await textOf(answer.body);
    const blobs = Array.from(text.matchAll(/<Contents>(.*?)<\/Contents>/gs), ([, entry = '']) => {
      const name = element(entry, 'Key');
      const modifiedAtMs = Date.parse(element(entry, 'LastModified'));
      return { id: name.slice(prefix.length), name, modifiedAtMs };
    });
    const isMore = element(text, 'IsTruncated') === 'true';
    return { blobs, next: (isMore && element(text, 'NextContinuationToken')) || null };
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }

  /** Throws BlobMissing, or unavailable where the server fails or refuses. */
  async #send(request: S3Request): Promise<Dispatcher.ResponseData> {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#try(request).catch((error: unknown) => {
        if (attempt < TRIES) return null;
        throw unavailable('cannot be reached', error);
      });
      if (answer && answer.statusCode < 300) return answer;
      if (answer) {
        const said = await textOf(answer.body).catch(() => '');
        if (answer.statusCode === 404 && request.name !== '') throw new BlobMissing(request.name);
        const isItsFault = answer.statusCode >= 500 || answer.statusCode === 429;
        if (!isItsFault || attempt === TRIES) {
          throw unavailable(`answered ${answer.statusCode} ${element(said, 'Code')}`);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * 2 ** attempt));
    }
  }

  async #try({ method, name, query = '', headers, body }: S3Request) {
    const { endpoint, bucket, region, accessKey, secretKey } = this.#config;
    const path = name === '' ? bucket : `${bucket}/${name}`;
    const url = `${endpoint}/${path}${query && `?${query}`}`;
    const signer = new AwsV4Signer({
      method,
      url,
      headers: headers ?? {},
      accessKeyId: accessKey,
      secretAccessKey: secretKey,
      region,
      service: 's3',
    });
    const signed = await signer.sign();
    const answer = await this.#pool.request({
      method,
      path: signed.url.pathname + signed.url.search,
      headers: Object.fromEntries(signed.headers),
      body: body?.() ?? null,
    });
    // One that is left unread ends in an error that nobody waits for.
    answer.body.on('error', () => {});
    return answer;
  }
}

/** Some servers send more than was asked for. */
async function* atMost(body: Readable, length: number): AsyncGenerator<Buffer> {
  let left = length;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    yield chunk.subarray(0, left);
    left -= chunk.length;
    if (left <= 0) return;
  }
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_LISTING_BYTES) throw unavailable('sent a listing without end');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The text of the first such element; names and dates have nothing in them that XML would escape. */
function element(xml: string, name: string): string {
  const [, text = ''] = new RegExp(`<${name}>([^<]{0,2000})</${name}>`).exec(xml) ?? [];
  return text.replaceAll('&amp;', '&');
}

function unavailable(what: string, cause?: unknown): AppError {
  return new AppError('unavailable', 'Results cannot be kept or read at the moment.', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
    cause: new Error(`the S3 server ${what}`, { cause }),
  });
}
