/** What every provider of media must do, whatever its upstream: the same tests for all. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ChannelConfig, MediaType } from '../../../src/config/config.ts';
import { AppError } from '../../../src/errors.ts';
import type { Order } from '../../../src/orders/order.ts';
import type { Fields, Json } from '../../../src/providers/media.ts';
import {
  type Answer,
  atWork,
  CHANNEL_KEY,
  mediaChannel,
  type MediaUpstream,
  startMediaUpstream,
} from '../../support/media-upstream.ts';

export interface Shapes {
  provider: string;
  type: MediaType;
  model: string;
  channel?: Partial<ChannelConfig>;
  fields?: Fields;
  order?: Order;
  /** What it answers a submit with; null: the answer is the result (`done`). */
  created: Answer | null;
  queued?: Answer;
  running?: Answer;
  /** All answers of one question about a finished job; `link` is where the result lies. */
  done(link: string): Answer[];
  failed: Answer[];
  moderated: Answer[];
  /** A state that nobody knows. */
  unknown?: Answer;
  /** Usage figures that cannot be; null where it reports none. */
  absurd: Answer[] | null;
  cancelled?: Answer[];
  tooLate?: Answer[];
  /** The key's header. */
  auth?: [name: string, value: string];
  /** The result's bytes are in the answer. */
  isInline?: true;
}

const ELSEWHERE = 'https://cdn.example.com/results/1';

export function mediaContract(name: string, shapes: Shapes): void {
  const { created } = shapes;
  describe(`${name}: what every provider does`, () => {
    let upstream: MediaUpstream;
    beforeAll(async () => {
      upstream = await startMediaUpstream();
    });
    afterAll(async () => {
      await upstream[Symbol.asyncDispose]();
    });

    beforeEach(() => upstream.forget());

    const work = (more: Partial<ChannelConfig> = {}) =>
      atWork(shapes.provider, {
        type: shapes.type,
        upstreamModel: shapes.model,
        channel: mediaChannel(upstream.url, { ...shapes.channel, ...more }),
        ...(shapes.fields && { fields: shapes.fields }),
        ...(shapes.order && { order: shapes.order }),
      });

    /** The end of a job whose upstream answers so. */
    async function ended(answers: Answer[]) {
      await using job = work();
      if (created === null) {
        upstream.next(...answers);
        return await job.start();
      }
      upstream.next(created);
      const started = await job.start();
      if (started.state !== 'started') throw new Error(`started as ${started.state}`);
      upstream.next(...answers);
      return await job.poll(stored(started.ref));
    }

    it('gives what was made, and keeps its key to its own host', async () => {
      const before = upstream.requests.length;
      const end = await ended(shapes.done(ELSEWHERE));
      if (end.state !== 'completed') throw new Error(`ended as ${JSON.stringify(end)}`);
      const [asset] = end.assets;
      if (shapes.isInline) {
        expect(asset && 'bytes' in asset && asset.bytes.length > 0).toBe(true);
      } else {
        expect(asset).toMatchObject({ url: ELSEWHERE });
        expect(asset).not.toHaveProperty('headers');
      }
      const [header, value] = shapes.auth ?? ['authorization', `Bearer ${CHANNEL_KEY}`];
      for (const request of upstream.requests.slice(before)) {
        if (value !== '') expect(request.headers[header]).toBe(value);
        expect(request.headers['accept-encoding']).toBe('identity');
      }
    });

    it('tells a failure, without a secret in it', async () => {
      const end = await ended(shapes.failed);
      expect(end).toMatchObject({ state: 'failed', failure: 'failed' });
      expect(JSON.stringify(end)).not.toContain(CHANNEL_KEY);
    });

    it('tells moderation from failure', async () => {
      const end = await ended(shapes.moderated);
      expect(end).toMatchObject({ state: 'failed', failure: 'moderated' });
    });

    it('tells that a request was refused, in the words of the upstream', async () => {
      await using job = work();
      const message = `duration must be 5 or 10 (key ${CHANNEL_KEY})`;
      upstream.next({ status: 400, json: { error: { message, type: 'invalid_request_error' } } });
      const end = await job.start();
      expect(end).toMatchObject({ state: 'failed', failure: 'refused', isRetryable: false });
      expect(end).toHaveProperty('message', 'duration must be 5 or 10 (key [redacted])');
    });

    it('says when to come again after a 429', async () => {
      await using job = work();
      upstream.next({ status: 429, headers: { 'retry-after': '7' }, json: {} });
      await expect(job.start()).rejects.toMatchObject({
        code: 'upstream_busy',
        retryAfterSeconds: 7,
      });
    });

    it('says whether a submit that failed may have begun something', async () => {
      await using job = work();
      upstream.next({ status: 500, json: {} });
      expect(await isSent(job.start())).toBe(true);
      upstream.next({ status: 502, bytes: Buffer.from('<html>bad gateway</html>') });
      expect(await isSent(job.start())).toBe(true);
      upstream.next({ status: 503, json: {} });
      expect(await isSent(job.start())).toBe(false);
      upstream.next({ status: 401, json: { error: { message: `bad key ${CHANNEL_KEY}` } } });
      expect(await isSent(job.start())).toBe(false);
      upstream.next({ act: (response) => response.destroy() });
      expect(await isSent(job.start())).toBe(true);
      await using nowhere = work({ baseUrl: 'http://127.0.0.1:1' });
      expect(await isSent(nowhere.start())).toBe(false);
    });

    it('does not wait for ever', async () => {
      await using job = work({ timeout: { firstByteMs: 100, idleMs: 100, totalMs: 200 } });
      upstream.next({ act: () => {} });
      await expect(job.start()).rejects.toMatchObject({ code: 'upstream_timeout' });
      upstream.next({ act: () => {} });
      expect(await isSent(job.start())).toBe(true);
    });

    it('takes garbage for a submit whose outcome is not known', async () => {
      await using job = work();
      const garbage = {
        bytes: Buffer.from('{"id": '),
        headers: { 'content-type': 'application/json' },
      };
      upstream.next(garbage);
      await expect(job.start()).rejects.toMatchObject({ code: 'upstream_failed' });
      upstream.next(garbage);
      expect(await isSent(job.start())).toBe(true);
    });

    it('follows no redirect', async () => {
      await using job = work();
      const before = upstream.requests.length;
      upstream.next({ status: 307, headers: { location: `${upstream.url}/elsewhere` } });
      await expect(job.start()).rejects.toMatchObject({ code: 'upstream_failed' });
      expect(upstream.requests.length).toBe(before + 1);
    });

    const { absurd } = shapes;
    it.runIf(absurd !== null)('believes no figure that cannot be', async () => {
      const end = await ended(absurd!);
      if (end.state !== 'completed') throw new Error(`ended as ${JSON.stringify(end)}`);
      for (const amount of Object.values(end.measured.units)) {
        expect(amount).toBeGreaterThanOrEqual(0);
        expect(amount).toBeLessThanOrEqual(2 ** 33);
      }
      expect(end.measured.upstreamCostUsd ?? '0').toMatch(/^\d+(\.\d+)?$/);
    });

    if (created === null) return;

    it('sees it wait and run', async () => {
      if (shapes.queued) expect(await ended([shapes.queued])).toMatchObject({ state: 'pending' });
      expect(await ended([shapes.running!])).toMatchObject({ state: 'processing' });
    });

    it('asks again after whatever may pass', async () => {
      await using job = work();
      upstream.next(created);
      const started = await job.start();
      if (started.state !== 'started') throw new Error(`started as ${started.state}`);
      const ref = stored(started.ref);
      upstream.next({ status: 429, headers: { 'retry-after': '9' }, json: {} });
      await expect(job.poll(ref)).rejects.toMatchObject({ retryAfterSeconds: 9 });
      for (const answer of [
        { status: 500 },
        { status: 401, json: {} },
        { status: 400, json: { error: 'what?' } },
        { bytes: Buffer.from('<html>') },
        { act: (response) => response.destroy() },
      ] satisfies Answer[]) {
        upstream.next(answer);
        await expect(job.poll(ref)).rejects.toBeInstanceOf(AppError);
      }
      upstream.next(...shapes.done(ELSEWHERE));
      expect(await job.poll(ref)).toMatchObject({ state: 'completed' });
    });

    it('knows when the upstream does not know it any more (T-3)', async () => {
      expect(await ended([{ status: 404, json: { error: 'not found' } }])).toEqual({
        state: 'gone',
      });
    });

    it('takes a state that nobody knows for one that runs', async () => {
      expect(await ended([shapes.unknown!])).toMatchObject({ state: 'processing' });
    });

    it('takes an answer without an id for a submit whose outcome is not known', async () => {
      await using job = work();
      upstream.next({ json: { hello: 'world' } });
      expect(await isSent(job.start())).toBe(true);
    });

    it('cancels where the upstream can', async () => {
      await using job = work();
      upstream.next(created);
      const started = await job.start();
      if (started.state !== 'started') throw new Error(`started as ${started.state}`);
      const ref = stored(started.ref);
      if (!job.provider.cancel) return;
      if (!shapes.cancelled) {
        expect(await job.cancel(ref)).toBe('unsupported');
        return;
      }
      upstream.next(...shapes.cancelled);
      expect(await job.cancel(ref)).toBe('cancelled');
      upstream.next(...(shapes.tooLate ?? [{ status: 400, json: {} }]));
      expect(await job.cancel(ref)).toBe('too_late');
    });
  });
}

/** As it comes back from the database. */
function stored(ref: Json): Json {
  const text = JSON.stringify(ref);
  expect(text).not.toContain(CHANNEL_KEY);
  return JSON.parse(text) as Json;
}

async function isSent(submit: Promise<unknown>): Promise<unknown> {
  const error = await submit.then(
    (value) => new Error(`no error but ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof AppError)) throw error;
  expect(JSON.stringify([error.message, error.details])).not.toContain(CHANNEL_KEY);
  return error.details?.['isSent'];
}
