/** GET /admin/live: the figures of the overview as they change, as server-sent events. */
import type { AdminOptions } from '../admin/options.ts';
import { AppError } from '../../errors.ts';
import type { OpenNow } from '../open-now.ts';
import { goneSignal } from '../request.ts';
import { figuresOf } from './overview.ts';
import { type PageOptions, stream } from './page.ts';

/** Pages that are open at once. */
const MAX_STREAMS = 50;
const EVERY_MS = 2_000;
/** Then the browser comes again, and who it is is asked again. */
const MAX_TICKS = 300;

export interface LiveOptions extends PageOptions, Pick<AdminOptions, 'operator'> {
  openNow: Pick<OpenNow, 'pages'>;
  /** `stopping` fires when the server ends. */
  tasks: { readonly stopping: AbortSignal };
}

export function live(options: LiveOptions) {
  const { openNow } = options;
  return stream(options, async ({ ctx }, isStillIn) => {
    if (openNow.pages >= MAX_STREAMS)
      throw new AppError('rate_limited', 'Too many pages are open.');
    openNow.pages += 1;
    try {
      const gone = AbortSignal.any([goneSignal(ctx.res), options.tasks.stopping]);
      const { headers } = ctx.state;
      headers['content-type'] = 'text/event-stream; charset=utf-8';
      ctx.res.writeHead(200, headers);
      let last = '';
      for (let tick = 0; tick < MAX_TICKS && !gone.aborted; tick += 1) {
        if (!(await isStillIn())) break;
        const now = JSON.stringify(figuresOf(await options.operator.standing.now()));
        ctx.res.write(now === last ? ': still\n\n' : `event: figures\ndata: ${now}\n\n`);
        last = now;
        await pause(EVERY_MS, gone);
      }
      ctx.res.end();
    } finally {
      openNow.pages -= 1;
    }
  });
}

/** Ends earlier where the page is gone. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
