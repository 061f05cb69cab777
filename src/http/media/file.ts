/**
 * GET /media/{id}/{end}.{signature}/{name}: a result, for whoever has its link. One range at most; nothing that a browser could run;
 * a reader that stops reading is let go.
 */
import type { MediaRow } from '../../db/tables.ts';
import { AppError } from '../../errors.ts';
import type { Clock } from '../../clock.ts';
import type { MediaStore } from '../../media/store.ts';
import { fileName, isInline } from '../../media/types.ts';
import type { ClientIp } from '../client-ip.ts';
import type { OpenNow } from '../open-now.ts';
import type { Context } from '../request.ts';

export interface MediaFileOptions {
  media: MediaStore;
  clock: Clock;
  clientIp: ClientIp;
  openNow: Pick<OpenNow, 'downloads'>;
  /** How long a reader may stop; 30 s by default. */
  stalledMs?: number;
}

const ID = /^med_[0-9a-f]{32}$/;
const RANGE = /^bytes=([0-9]{0,15})-([0-9]{0,15})$/;
/** Downloads at once, in all and by one address. */
const MOST_AT_ONCE = 512;
const MOST_BY_ADDRESS = 32;
const STALLED_MS = 30_000;
/** Pictures, films and sound in a browser tab need no more than this. */
const POLICY =
  "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox";

export function mediaFile(options: MediaFileOptions) {
  const { media, clock, clientIp, openNow, stalledMs = STALLED_MS } = options;
  const { downloads } = openNow;
  const { by: running } = downloads;
  return async (ctx: Context): Promise<void> => {
    const { id, token } = (ctx as unknown as { params: Record<string, string> }).params;
    const row = await find(media, id ?? '', token ?? '', clock.nowMs());
    const maxAgeMs = media.endOfLink(row.id, token ?? '')! - clock.nowMs();
    // Not in the state: an error that comes in between has headers of its own.
    const headers: Record<string, string> = {
      ...ctx.state.headers,
      ...headersOf(row, Math.floor(maxAgeMs / 1_000)),
    };
    const etag = headers['etag']!;
    if (ctx.req.headers['if-none-match']?.includes(etag)) return answer(ctx, 304, headers);
    const range = rangeOf(ctx, row, etag);
    if (range === 'bad') {
      headers['content-range'] = `bytes */${row.bytes}`;
      return answer(ctx, 416, headers);
    }
    const { first, last } = range ?? { first: 0, last: row.bytes - 1 };
    if (range) headers['content-range'] = `bytes ${first}-${last}/${row.bytes}`;
    headers['content-length'] = String(last - first + 1);
    const status = range ? 206 : 200;
    if (ctx.method === 'HEAD') return answer(ctx, status, headers);
    const address = clientIp(ctx.req);
    const mine = running.get(address) ?? 0;
    if (downloads.all >= MOST_AT_ONCE || mine >= MOST_BY_ADDRESS) throw tooMany();
    running.set(address, mine + 1);
    downloads.all += 1;
    try {
      const bytes = await media.open(row, range ?? undefined);
      ctx.res.writeHead(status, headers);
      await sendBytes(ctx, bytes, stalledMs);
    } finally {
      downloads.all -= 1;
      const left = running.get(address)! - 1;
      if (left > 0) running.set(address, left);
      else running.delete(address);
    }
  };
}

/** A wrong signature and an unknown id are the same; a link that is over says so to whoever had it. */
async function find(
  media: MediaStore,
  id: string,
  token: string,
  nowMs: number,
): Promise<MediaRow> {
  const end = ID.test(id) ? media.endOfLink(id, token) : null;
  const row = end === null ? undefined : await media.find(id);
  if (end === null || !row) throw new AppError('not_found', 'There is no result under this link.');
  if (row.deleted_at !== null) throw new AppError('gone', 'This result was deleted.');
  if (end > nowMs) return row;
  throw new AppError(
    'gone',
    `This link is over. GET /v1/tasks/${row.task_id} gives a fresh one to the owner.`,
  );
}

function headersOf({ content_type, sha256 }: MediaRow, maxAgeSeconds: number) {
  const place = isInline(content_type) ? 'inline' : 'attachment';
  return {
    'content-type': content_type,
    'content-disposition': `${place}; filename="${fileName(content_type)}"`,
    'x-content-type-options': 'nosniff',
    'content-security-policy': POLICY,
    'referrer-policy': 'no-referrer',
    'access-control-allow-origin': '*',
    'access-control-expose-headers': 'Content-Range, Content-Length, ETag, Content-Disposition',
    'cross-origin-resource-policy': 'cross-origin',
    'accept-ranges': 'bytes',
    'cache-control': `private, max-age=${maxAgeSeconds}`,
    etag: `"${sha256}"`,
  };
}

/** RFC 9110, 14: null without one, or where it was for other bytes; `bad` for what cannot be satisfied, and for more than one. */
function rangeOf(
  { req }: Context,
  { bytes }: MediaRow,
  etag: string,
): { first: number; last: number } | 'bad' | null {
  const { range, 'if-range': ifRange } = req.headers;
  if (range === undefined || (ifRange !== undefined && ifRange !== etag)) return null;
  const [, from = '', to = ''] = RANGE.exec(range.trim()) ?? [];
  if (from === '' && to === '') return 'bad';
  if (from === '') {
    const length = Math.min(Number(to), bytes);
    return length > 0 ? { first: bytes - length, last: bytes - 1 } : 'bad';
  }
  const first = Number(from);
  const last = to === '' ? bytes - 1 : Math.min(Number(to), bytes - 1);
  return first <= last ? { first, last } : 'bad';
}

function answer({ res }: Context, status: number, headers: Record<string, string>): void {
  res.writeHead(status, headers);
  res.end();
}

/** Reads no faster than the caller does. Answers whether all of it was taken. */
export async function sendBytes(
  { res }: Context,
  bytes: AsyncIterable<Buffer>,
  stalledMs = STALLED_MS,
): Promise<boolean> {
  for await (const chunk of bytes) {
    if (res.destroyed) return false;
    if (!res.write(chunk) && !(await drained(res, stalledMs))) {
      res.destroy();
      return false;
    }
  }
  res.end();
  const isTaken = res.writableFinished || (await drained(res, stalledMs, 'finish'));
  if (!isTaken) res.destroy();
  return isTaken;
}

/** Whether the caller goes on reading. */
function drained(
  res: Context['res'],
  stalledMs: number,
  event: 'drain' | 'finish' = 'drain',
): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (isDrained: boolean) => () => {
      clearTimeout(timer);
      res.off(event, onDrain).off('close', onClose);
      resolve(isDrained);
    };
    const [onDrain, onClose] = [end(true), end(false)];
    const timer = setTimeout(onClose, stalledMs);
    res.on(event, onDrain).on('close', onClose);
  });
}

function tooMany(): AppError {
  return new AppError('rate_limited', 'Too many downloads at once.', { retryAfterSeconds: 1 });
}
