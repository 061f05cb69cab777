/** What the page of a run loads besides itself: its figures and text as they come, and the files that it made. */
import { createReadStream } from 'node:fs';
import { AppError } from '../../errors.ts';
import { isOver, type Run } from '../../playground/run.ts';
import { sendBytes } from '../media/file.ts';
import { goneSignal } from '../request.ts';
import { idOf } from './actions.ts';
import { pause } from './live.ts';
import { stream } from './page.ts';
import { chainOf, isShown, money, type RunPageOptions, stepText } from './playground.ts';

const LOOK_MS = 150;
/** Whether its session still stands is asked about every two seconds. */
const LOOKS_A_SESSION = 13;
/** Longer than any run. */
const MAX_LOOKS = 1_000;
const MAX_STREAMS = 20;

/** GET /admin/playground/runs/{id}/live: its figures and text as they come, then `done`. */
export function runLive(options: RunPageOptions) {
  const { openNow } = options;
  return stream(options, async (call, isStillIn) => {
    const { ctx, session } = call;
    const run = options.playground.find(session.hash, idOf(call));
    if (openNow.runs >= MAX_STREAMS) throw new AppError('rate_limited', 'Too many pages are open.');
    openNow.runs += 1;
    try {
      const gone = AbortSignal.any([goneSignal(ctx.res), options.tasks.stopping]);
      const { headers } = ctx.state;
      headers['content-type'] = 'text/event-stream; charset=utf-8';
      ctx.res.writeHead(200, headers);
      let last = '';
      for (let look = 0; look < MAX_LOOKS && !gone.aborted; look += 1) {
        if (look % LOOKS_A_SESSION === 0 && !(await isStillIn())) break;
        const now = JSON.stringify(figuresOf(run));
        if (now !== last) ctx.res.write(`event: figures\ndata: ${now}\n\n`);
        last = now;
        if (isOver(run)) break;
        await pause(LOOK_MS, gone);
      }
      if (isOver(run)) ctx.res.write('event: done\ndata: {}\n\n');
      ctx.res.end();
    } finally {
      openNow.runs -= 1;
    }
  });
}

function figuresOf(run: Run): Record<string, string> {
  const { expected, most, asked, network, cost, before, after } = run.figures;
  return {
    state: run.state,
    step: stepText(run),
    text: run.text,
    expected: money(expected),
    most: money(most),
    asked: money(asked),
    network: chainOf(network),
    cost: money(cost),
    before: money(before),
    after: money(after),
  };
}

/** GET /admin/playground/runs/{id}/results/{place}: a file, for the session whose run made it. One range at most. */
export function runResult(options: RunPageOptions) {
  return stream(options, async (call) => {
    const { ctx, session, params } = call;
    const place = Number(/^\d{1,2}$/.exec(params['place'] ?? '')?.[0] ?? -1);
    const { path, contentType, bytes } = options.playground.result(session.hash, idOf(call), place);
    const isInline = isShown(contentType);
    const { headers } = ctx.state;
    headers['content-type'] = isInline ? contentType : 'application/octet-stream';
    headers['content-disposition'] = isInline ? 'inline' : 'attachment';
    headers['content-security-policy'] = "default-src 'none'; sandbox";
    headers['accept-ranges'] = 'bytes';
    const [, from = '', to = ''] =
      /^bytes=(\d{1,12})-(\d{0,12})$/.exec(ctx.req.headers.range ?? '') ?? [];
    const first = Number(from || 0);
    const last = to === '' ? bytes - 1 : Math.min(Number(to), bytes - 1);
    const isRange = from !== '' && first <= last;
    if (isRange) headers['content-range'] = `bytes ${first}-${last}/${bytes}`;
    const range = isRange ? { start: first, end: last } : { start: 0, end: bytes - 1 };
    headers['content-length'] = String(range.end - range.start + 1);
    const file = await openFile(path, range);
    ctx.res.writeHead(isRange ? 206 : 200, headers);
    await sendBytes(ctx, file);
  });
}

/** The oldest results go before their runs are forgotten. */
async function openFile(path: string, range: { start: number; end: number }) {
  const file = createReadStream(path, range);
  await new Promise<void>((resolve, reject) => {
    file.once('open', () => resolve());
    file.once('error', () => reject(new AppError('gone', 'This result is gone. Run it again.')));
  });
  return file as AsyncIterable<Buffer>;
}
