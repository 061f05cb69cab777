/** GET /metrics. */
import { z } from 'zod';
import type { Metrics } from '../../metrics/metrics.ts';
import { operation } from '../operation.ts';

export function getMetrics({ metrics }: { metrics: Metrics }) {
  return operation({
    summary: 'Figures for Prometheus, in its text form',
    right: 'admin',
    answer: z.string(),
    run: async ({ ctx }) => {
      const text = await metrics.text();
      ctx.res.writeHead(200, { ...ctx.state.headers, 'content-type': metrics.contentType });
      ctx.res.end(text);
    },
  });
}
