/** Turns traces on, where the environment asks for them. */
import type { Log } from '../log.ts';
import { Exporter } from './exporter.ts';
import { OtlpTracer } from './otlp-tracer.ts';
import { traceSettings } from './settings.ts';
import { setTracer } from './trace.ts';

export interface Tracing {
  /** Sends what has ended. */
  flush(): Promise<void>;
  /** Turns them off, after sending what is left. */
  close(): Promise<void>;
}

/** Null where they stay off. */
export function startTracing(
  environment: Record<string, string | undefined>,
  log: Pick<Log, 'info' | 'warn'>,
): Tracing | null {
  const settings = traceSettings(environment);
  if (!settings) return null;
  const { notes, sampler, ...where } = settings;
  for (const note of notes) log.warn('traces_setting', { note });
  if (where.url === '') return null;
  const exporter = new Exporter({ ...where, log });
  setTracer(new OtlpTracer(sampler, exporter));
  log.info('traces_on', { collector: new URL(where.url).host });
  return {
    flush: () => exporter.flush(),
    close: async () => {
      setTracer(null);
      await exporter.close();
    },
  };
}
