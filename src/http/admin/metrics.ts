/** GET /metrics. */
import { z } from 'zod';
import type { Metrics } from '../../metrics/metrics.ts';
import { isAskedDirectly } from '../doors.ts';
import type { Step } from '../in-turn.ts';
import { operation } from '../operation.ts';
import type { Context } from '../request.ts';

export function getMetrics({ metrics }: { metrics: Metrics }) {
  return operation({
    summary: 'Figures for Prometheus, in its text form',
    right: 'admin',
    answer: z.string(),
    run: ({ ctx }) => send(ctx, metrics),
  });
}

/** On the operator's own listener a program there needs no key; anybody else goes on to `next`, which asks for one. */
export function metricsOfOwnDoor({ metrics }: { metrics: Metrics }): Step {
  return async (ctx, next) => {
    const { door, credentials } = ctx.state;
    const isNobody = credentials.apiKey === null && credentials.signIn === null;
    if (door === 'admin' && isNobody && isAskedDirectly(ctx.req)) return send(ctx, metrics);
    await next();
  };
}

async function send(ctx: Context, metrics: Metrics): Promise<void> {
  const text = await metrics.text();
  ctx.res.writeHead(200, { ...ctx.state.headers, 'content-type': metrics.contentType });
  ctx.res.end(text);
}
